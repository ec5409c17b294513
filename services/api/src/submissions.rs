//! Creating and withdrawing submissions.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, delete, post};
use tonghop_domain::{Change, SubmissionId};
use tonghop_storage::Write;

use crate::access::Access;
use crate::body::read_beside;
use crate::document::{
    BadRequest, ConditionFailed, NotAcceptable, NotFound, TooLarge, TooSlow, Unavailable, Unprocessable,
    WrongMedia,
};
use crate::header::{JSON, accepted, check_content_type};
use crate::payload::{Room, read_body};
use crate::problem::{Missing, Problem};
use crate::query::Query;
use crate::submission::{NewSubmission, SubmissionBody};
use crate::wait::Wait;
use crate::write::{Wishes, write};

/// Report, or correct a report
///
/// Records the report of one unit on one form for one period. The same unit, form and period again is a correction:
/// the next revision of the same submission. What equals the current revision changes nothing and is answered with
/// 200. Everything wrong with a body is told at once. An answer of 2xx is given only after the report is stored.
#[utoipa::path(
    tag = "submissions",
    request_body(content = NewSubmission, content_type = "application/json", description = "The report, at most 1 MiB"),
    params(
        ("dry_run" = Option<bool>, Query, description = "true: check only, store nothing", example = false),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters of your choice. The same request sent again with the same key is answered as before; keys are kept 30 days"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the revision that is corrected: refused with 412 when another is current", example = "\"1\""),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only as the first revision", example = "*"),
        ("Prefer" = Option<String>, Header, description = "`wait=5`: answer when the province's total holds the report, or after so many seconds (at most 30)", example = "wait=5"),
    ),
    responses(
        (status = 201, description = "Recorded as a new revision", body = SubmissionBody, headers(
            ("ETag" = String, description = "The revision in quotation marks"),
            ("Location" = String, description = "The path of the submission"),
            ("Idempotency-Replayed" = String, description = "`true` when the key was used before and this is the answer of then"),
            ("Preference-Applied" = String, description = "`wait=N` when the answer waited, or could have")
        )),
        (status = 200, description = "Equal to the current revision, or a dry run: nothing was recorded", body = SubmissionBody, headers(
            ("ETag" = String, description = "The current revision in quotation marks; not in a dry run"),
            ("Location" = String, description = "The path of the submission; not in a dry run"),
            ("Idempotency-Replayed" = String, description = "`true` when the key was used before and this is the answer of then"),
            ("Preference-Applied" = String, description = "`wait=N` when the answer waited, or could have")
        )),
        BadRequest, NotAcceptable, TooSlow, ConditionFailed, TooLarge, WrongMedia, Unprocessable, Unavailable
    )
)]
#[post("/v1/submissions")]
pub(crate) async fn create_submission(
    request: HttpRequest,
    payload: Payload,
    room: Data<Room>,
    access: Access,
    wait: Data<Wait>,
) -> Result<HttpResponse, Problem> {
    let body = read_body(&request, payload, &room).await?;
    let mut query = Query::of(&request);
    let dry_run = query.flag("dry_run");
    query.finish()?;
    accepted(request.headers(), &[JSON])?;
    check_content_type(request.headers(), JSON)?;
    let wishes = Wishes::of(&request, access.caller())?;
    let submission = read_beside(body.bytes.clone(), access.catalogue()).await?;
    let key = wishes.key.clone().filter(|_| !dry_run);
    let change = Write {
        condition: wishes.condition(&access, &submission.key).await?,
        idempotency: wishes.idempotency(key, &body.bytes),
        key: submission.key,
        change: Change::Report(Arc::new(submission.content)),
        origin: access.trace().origin().clone(),
        action: access.trace().action().to_owned(),
    };
    let written = write(&access, change, dry_run).await?;
    let wait_s = wishes.wait_s.filter(|_| !dry_run);
    let aggregated_at = written.aggregated_at(&access, &wait, wait_s).await;
    let mut answer = SubmissionBody::new(&written.revision, aggregated_at, access.catalogue())?;
    answer.dry_run = dry_run.then_some(true);
    Ok(written.respond(written.status(dry_run), &answer, wait_s))
}

/// Withdraw a report
///
/// Takes a report back, for instance because it was filed for the wrong period. Nothing is deleted: the withdrawal is
/// a revision without figures. A later report on the same form, period and unit is the next revision.
#[utoipa::path(
    tag = "submissions",
    params(
        ("id" = Uuid, Path, description = "The submission's id", example = "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11"),
        ("If-Match" = String, Header, description = "The ETag of the revision that is withdrawn", example = "\"1\""),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters of your choice. The same request sent again with the same key is answered as before; keys are kept 30 days"),
        ("Prefer" = Option<String>, Header, description = "`wait=5`: answer when the province's total no longer holds the report, or after so many seconds (at most 30)", example = "wait=5"),
    ),
    responses(
        (status = 200, description = "Withdrawn, now or before", body = SubmissionBody, headers(
            ("ETag" = String, description = "The current revision in quotation marks"),
            ("Location" = String, description = "The path of the submission"),
            ("Idempotency-Replayed" = String, description = "`true` when the key was used before and this is the answer of then"),
            ("Preference-Applied" = String, description = "`wait=N` when the answer waited, or could have")
        )),
        BadRequest, NotFound, NotAcceptable, ConditionFailed, Unprocessable, crate::document::ConditionRequired, Unavailable
    )
)]
#[delete("/v1/submissions/{id}")]
pub(crate) async fn withdraw_submission(
    request: HttpRequest,
    id: Path<String>,
    access: Access,
    wait: Data<Wait>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    accepted(request.headers(), &[JSON])?;
    let wishes = Wishes::of(&request, access.caller())?;
    if wishes.if_match.is_none() {
        return Err(Problem::PreconditionRequired);
    }
    let key = access.submission_key(submission_id(&id)?).await?;
    let change = Write {
        condition: wishes.condition(&access, &key).await?,
        idempotency: wishes.idempotency(wishes.key.clone(), b""),
        key,
        change: Change::Withdraw,
        origin: access.trace().origin().clone(),
        action: access.trace().action().to_owned(),
    };
    let written = write(&access, change, false).await?;
    let aggregated_at = written.aggregated_at(&access, &wait, wishes.wait_s).await;
    let answer = SubmissionBody::new(&written.revision, aggregated_at, access.catalogue())?;
    Ok(written.respond(StatusCode::OK, &answer, wishes.wait_s))
}

/// The id in a path; what is no id is the id of nothing.
pub(crate) fn submission_id(text: &str) -> Result<SubmissionId, Problem> {
    let id = text.parse().map_err(|_| Problem::NotFound(Missing::Submission))?;
    Ok(SubmissionId(id))
}
