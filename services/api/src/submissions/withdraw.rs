//! `DELETE /v1/submissions/{id}`

use actix_web::http::StatusCode;
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse, delete};
use tonghop_domain::{Change, SubmissionId};
use tonghop_storage::Write;

use crate::openapi::problem_responses::{
    BadRequest, ConditionFailed, NotAcceptable, NotFound, Unavailable, Unprocessable,
};
use crate::problem::Problem;
use crate::request::caller::Authorized;
use crate::request::idempotency::IdempotencyKeyHeader;
use crate::request::media_type::{JSON, accepted};
use crate::request::path::submission_id;
use crate::request::preconditions::RequiredIfMatchHeader;
use crate::request::prefer::PreferHeader;
use crate::request::query::Query;
use crate::submissions::body::SubmissionBody;
use crate::submissions::record::record;
use crate::submissions::write_headers::WriteHeaders;

/// Withdraw a report
///
/// Withdraws a report, for instance one submitted for the wrong period. Nothing is deleted: the withdrawal is a revision
/// without figures. A later report on the same form, period and unit is the next revision.
#[utoipa::path(
    tag = "submissions",
    params(
        ("id" = Uuid, Path, description = "The submission's id", example = "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11"),
        RequiredIfMatchHeader,
        IdempotencyKeyHeader,
        PreferHeader,
    ),
    responses(
        (status = 200, description = "The report is withdrawn, now or already before", body = SubmissionBody, headers(
            ("ETag" = String, description = "The current revision in quotation marks"),
            ("Location" = String, description = "The path of the submission"),
            ("Idempotency-Replayed" = String, description = "`true` if this repeats the response to an earlier request with the same key"),
            ("Preference-Applied" = String, description = "`wait=N` if the preference was applied")
        )),
        BadRequest, NotFound, NotAcceptable, ConditionFailed, Unprocessable, crate::openapi::problem_responses::ConditionRequired, Unavailable
    )
)]
#[delete("/v1/submissions/{id}")]
pub(crate) async fn withdraw_submission(
    request: HttpRequest,
    id: Path<String>,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    accepted(request.headers(), &[JSON])?;
    let headers = WriteHeaders::of(&request, store.caller())?;
    if headers.if_match.is_none() {
        return Err(Problem::PreconditionRequired);
    }
    let key = store.submission_key(submission_id(&id)?).await?;
    let change = Write {
        new_id: SubmissionId::generate(),
        condition: headers.condition(&store, &key).await?,
        idempotency: headers.idempotency(headers.key.clone(), b""),
        key,
        change: Change::Withdraw,
        origin: store.context().origin().clone(),
        action: store.context().action().to_owned(),
    };
    let recorded = record(&store, change, false).await?;
    let aggregated_at = recorded.aggregated_at(&store, headers.wait_s).await;
    let body = SubmissionBody::new(&recorded.revision, aggregated_at, store.catalogue())?;
    Ok(recorded.response(StatusCode::OK, &body, headers.wait_s))
}
