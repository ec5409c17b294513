//! `GET /v1/submissions/{id}`

use actix_web::http::header::{CACHE_CONTROL, ETAG};
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse, get};
use tonghop_access::AuthorizedStore;
use tonghop_domain::Revision;

use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::problem::Problem;
use crate::problem::text::Language;
use crate::request::caller::Authorized;
use crate::request::media_type::{JSON, accepted};
use crate::request::names::{NamesQuery, read_only_names};
use crate::request::path::submission_id;
use crate::request::preconditions::{IfNoneMatchHeader, Tags};
use crate::submissions::body::{SubmissionBody, tag_of};

/// Read a submission
///
/// Its current revision.
#[utoipa::path(
    tag = "submissions",
    params(
        ("id" = Uuid, Path, description = "The submission's id", example = "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11"),
        NamesQuery,
        IfNoneMatchHeader,
    ),
    responses(
        (status = 200, description = "The current revision", body = SubmissionBody, headers(
            ("ETag" = String, description = "The revision and the state of `aggregated_at`, in quotation marks; send it as If-Match to correct or withdraw")
        )),
        (status = 304, description = "The revision that you have is the current one", headers(
            ("ETag" = String, description = "Its tag")
        )),
        BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/submissions/{id}")]
pub(crate) async fn get_submission(
    request: HttpRequest,
    id: Path<String>,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let names = read_only_names(&request)?;
    let revision = store.submission(submission_id(&id)?).await?;
    respond_revision(&request, &store, revision, names).await
}

/// Responds with a revision, or with 304 if the caller has it already.
pub(crate) async fn respond_revision(
    request: &HttpRequest,
    store: &AuthorizedStore,
    revision: Revision,
    names: Option<Language>,
) -> Result<HttpResponse, Problem> {
    let aggregated = store.aggregated_at(std::slice::from_ref(&revision)).await?;
    let aggregated_at = aggregated.first().copied().flatten();
    let tag = tag_of(&revision, aggregated_at);
    let known = Tags::if_none_match(request.headers())?.is_some_and(|tags| tags.match_weakly(&tag));
    let mut response = if known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header((ETAG, tag))
        .insert_header((CACHE_CONTROL, "no-store"));
    if known {
        return Ok(response.finish());
    }
    let body = SubmissionBody::named(&revision, aggregated_at, store.catalogue(), names)?;
    Ok(response.json(body))
}
