//! `GET /v1/submissions/{id}/revisions` and below

use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::problem::{Missing, Problem};
use crate::request::caller::Authorized;
use crate::request::media_type::{JSON, accepted};
use crate::request::page::{Cursor, Page, PageQuery, link, listed, next};
use crate::request::path::submission_id;
use crate::request::query::Query;
use crate::submissions::body::SubmissionBody;
use crate::submissions::list::DEFAULT_LIMIT;
use crate::submissions::read::respond_revision;

/// A page of revisions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevisionList {
    revisions: Vec<SubmissionBody>,
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
        PageQuery
    ),
    responses(
        (status = 200, description = "A page of revisions", body = RevisionList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page")
        )),
        BadRequest, NotFound, NotAcceptable, Unavailable
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
    let page = Page::read(&mut query, DEFAULT_LIMIT, |cursor| {
        matches!(cursor, Cursor::Revision(_))
    });
    query.finish()?;
    let before = page.after.as_ref().and_then(|cursor| match cursor {
        Cursor::Revision(revision) => Some(*revision),
        Cursor::Submission(..) | Cursor::Code(_) => None,
    });
    let (found, more) = store.revisions(submission_id(&id)?, before, page.limit).await?;
    let next_cursor = next(&found, more, |last| Cursor::Revision(last.revision));
    let revisions = SubmissionBody::of_all(&store, &found).await?;
    let link = link(&request, next_cursor.as_deref());
    Ok(listed(
        RevisionList {
            revisions,
            next_cursor,
        },
        link,
    ))
}

/// Read one revision
///
/// A revision never changes; only `aggregated_at` does.
#[utoipa::path(
    tag = "submissions",
    params(
        ("id" = Uuid, Path, description = "The submission's id", example = "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11"),
        ("revision" = i32, Path, description = "The number of the revision, from 1", example = 1, minimum = 1),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of the answer that you have", example = "\"1\""),
    ),
    responses(
        (status = 200, description = "The revision", body = SubmissionBody, headers(
            ("ETag" = String, description = "The revision in quotation marks")
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
    Query::of(&request).finish()?;
    let (id, number) = path.into_inner();
    let number = number.parse().map_err(|_| Problem::NotFound(Missing::Revision))?;
    let revision = store.revision(submission_id(&id)?, number).await?;
    respond_revision(&request, &store, revision).await
}
