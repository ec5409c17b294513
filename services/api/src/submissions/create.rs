//! `POST /v1/submissions`

use std::sync::Arc;

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, post};
use tonghop_domain::{Change, SubmissionId};
use tonghop_storage::Write;

use crate::openapi::problem_responses::{
    BadRequest, Busy, ConditionFailed, NotAcceptable, TooLarge, TooSlow, Unavailable, Unprocessable,
    WrongMedia,
};
use crate::problem::Problem;
use crate::request::body::read_body;
use crate::request::caller::Authorized;
use crate::request::idempotency::IdempotencyKeyHeader;
use crate::request::media_type::{JSON, accepted, check_content_type};
use crate::request::preconditions::{IfFirstHeader, IfMatchHeader};
use crate::request::prefer::PreferHeader;
use crate::request::query::Query;
use crate::submissions::body::{NewSubmission, SubmissionBody};
use crate::submissions::parse::read_beside;
use crate::submissions::record::record;
use crate::submissions::write_headers::{DryRunQuery, WriteHeaders};

/// Submit or correct a report
///
/// Records the report of one unit on one form for one period. A second report on the same unit, form and period is a
/// correction: the next revision of the same submission. A report that equals the current revision changes nothing, and
/// the status is 200. All errors of a body are returned at once. A 2xx response is sent only after the report is stored.
#[utoipa::path(
    tag = "submissions",
    request_body(content = NewSubmission, content_type = "application/json", description = "The report; at most 1 MiB"),
    params(
        DryRunQuery,
        IdempotencyKeyHeader,
        IfMatchHeader,
        IfFirstHeader,
        PreferHeader,
    ),
    responses(
        (status = 201, description = "Recorded as a new revision", body = SubmissionBody, headers(
            ("ETag" = String, description = "The revision in quotation marks"),
            ("Location" = String, description = "The path of the submission"),
            ("Idempotency-Replayed" = String, description = "`true` if this repeats the response to an earlier request with the same key"),
            ("Preference-Applied" = String, description = "`wait=N` if the preference was applied")
        )),
        (status = 200, description = "The report equals the current revision, or this is a dry run: nothing was recorded", body = SubmissionBody, headers(
            ("ETag" = String, description = "The current revision in quotation marks; not in a dry run"),
            ("Location" = String, description = "The path of the submission; not in a dry run"),
            ("Idempotency-Replayed" = String, description = "`true` if this repeats the response to an earlier request with the same key"),
            ("Preference-Applied" = String, description = "`wait=N` if the preference was applied")
        )),
        BadRequest, NotAcceptable, TooSlow, ConditionFailed, TooLarge, WrongMedia, Unprocessable, Busy, Unavailable
    )
)]
#[post("/v1/submissions")]
pub(crate) async fn create_submission(
    request: HttpRequest,
    payload: Payload,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    store.require_submitter()?;
    let body = read_body(&request, payload, &store).await?;
    let mut query = Query::of(&request);
    let DryRunQuery { dry_run } = DryRunQuery::read(&mut query);
    query.finish()?;
    accepted(request.headers(), &[JSON])?;
    check_content_type(request.headers(), &[JSON])?;
    let headers = WriteHeaders::of(&request, store.caller())?;
    let submission = read_beside(body.bytes.clone(), store.catalogue()).await?;
    let key = headers.key.clone().filter(|_| !dry_run);
    let change = Write {
        new_id: SubmissionId::generate(),
        condition: headers.condition(&store, &submission.key).await?,
        idempotency: headers.idempotency(key, &body.bytes),
        key: submission.key,
        change: Change::Report(Arc::new(submission.content)),
        origin: store.context().origin().clone(),
        action: store.context().action().to_owned(),
    };
    let recorded = record(&store, change, dry_run).await?;
    let wait_s = headers.wait_s.filter(|_| !dry_run);
    let aggregated_at = recorded.aggregated_at(&store, wait_s).await;
    let mut body = SubmissionBody::new(&recorded.revision, aggregated_at, store.catalogue())?;
    body.dry_run = dry_run.then_some(true);
    Ok(recorded.response(recorded.status(dry_run), &body, wait_s))
}
