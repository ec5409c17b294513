//! `GET /v1/submissions/{id}/revisions` and below

use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::problem::{Missing, Problem};
use crate::request::caller::Authorized;
use crate::request::fields::{Entry, Fields, FieldsQuery};
use crate::request::media_type::{JSON, accepted};
use crate::request::names::{NamesQuery, read_only_names};
use crate::request::paging::{LongPageQuery, RevisionPage, page_response};
use crate::request::path::submission_id;
use crate::request::preconditions::IfNoneMatchHeader;
use crate::request::query::Query;
use crate::request::spelling::unsigned;
use crate::request::tagged::NotModified;
use crate::submissions::body::{SubmissionBody, wanted_parts};
use crate::submissions::read::respond_revision;

/// A page of revisions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevisionList {
    #[schema(value_type = Vec<SubmissionBody>)]
    revisions: Vec<Entry<SubmissionBody>>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// List the revisions of a submission
///
/// Its history, the newest revision first.
#[utoipa::path(
    tag = "submissions",
    params(
        ("id" = Uuid, Path, description = "The submission's id", example = "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11"),
        NamesQuery, FieldsQuery<SubmissionBody>, LongPageQuery, IfNoneMatchHeader
    ),
    responses(
        (status = 200, description = "A page of revisions", body = RevisionList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page"),
            ("ETag" = String, description = "A weak tag of the page")
        )),
        NotModified, BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/submissions/{id}/revisions")]
pub(crate) async fn list_revisions(
    request: HttpRequest,
    id: Path<String>,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let NamesQuery { names } = NamesQuery::read(&mut query);
    let fields = Fields::read::<SubmissionBody>(&mut query);
    let page = RevisionPage::read_long(&mut query);
    query.finish()?;
    let id = submission_id(&id)?;
    let (found, more) = store
        .revisions(id, page.after, page.limit, wanted_parts(&fields))
        .await?;
    let revisions = SubmissionBody::of_all(&store, &found, names).await?;
    let page = RevisionPage::entries(found, more, |last| last.revision);
    page_response(&request, page.next_cursor, |next_cursor| RevisionList {
        revisions: fields.of_all(revisions),
        next_cursor,
    })
}

/// Read one revision
///
/// A revision never changes; only `aggregated_at` does.
#[utoipa::path(
    tag = "submissions",
    params(
        ("id" = Uuid, Path, description = "The submission's id", example = "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11"),
        ("revision" = i32, Path, description = "The number of the revision, from 1", example = 1, minimum = 1),
        NamesQuery,
        IfNoneMatchHeader,
    ),
    responses(
        (status = 200, description = "The revision of the submission", body = SubmissionBody, headers(
            ("ETag" = String, description = "The revision and the state of `aggregated_at`, in quotation marks")
        )),
        (status = 304, description = "You have it already", headers(("ETag" = String, description = "Its tag"))),
        BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/submissions/{id}/revisions/{revision}")]
pub(crate) async fn get_revision(
    request: HttpRequest,
    path: Path<(String, String)>,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let names = read_only_names(&request)?;
    let (id, number) = path.into_inner();
    let number = unsigned(&number).ok_or(Problem::NotFound(Missing::Revision))?;
    let revision = store.revision(submission_id(&id)?, number).await?;
    respond_revision(&request, &store, revision, names).await
}
