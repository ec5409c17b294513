//! Reading submissions and their revisions.

use actix_web::http::header::{CACHE_CONTROL, ETAG};
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{FixedOffset, NaiveDate, Utc};
use serde::Serialize;
use tonghop_domain::{FormCode, Period, Revision, UnitCode, UnitId};
use tonghop_storage::SubmissionFilter;
use utoipa::{IntoParams, ToSchema};

use crate::about::period;
use crate::access::Access;
use crate::cursor::{Cursor, Page, link, next};
use crate::document::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::header::{JSON, Tags, accepted};
use crate::problem::{Missing, Problem};
use crate::query::Query;
use crate::submission::{SubmissionBody, tag_of};
use crate::submissions::submission_id;

const DEFAULT_LIMIT: usize = 50;

/// A page of submissions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubmissionList {
    submissions: Vec<SubmissionBody>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// A page of revisions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevisionList {
    revisions: Vec<SubmissionBody>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// How a list is cut into pages.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes the parameters for the OpenAPI document")]
pub(crate) struct PageQuery {
    /// How many entries at the most.
    #[param(minimum = 1, maximum = 200, example = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List submissions
///
/// Current revisions, the newest first.
#[utoipa::path(
    tag = "submissions",
    params(
        ("form" = Option<String>, Query, description = "Only on this form", example = "ngay-30-7"),
        ("period" = Option<String>, Query, description = "Only for this period", example = "2021-07"),
        ("unit" = Option<String>, Query, description = "Only of this unit and all below it, in the tree of the period's last day, or of today without a period", example = "87"),
        ("updated_since" = Option<String>, Query, format = DateTime, description = "Only those whose current revision was recorded at this time or later", example = "2021-08-01T00:00:00Z"),
        PageQuery
    ),
    responses(
        (status = 200, description = "A page of submissions", body = SubmissionList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page")
        )),
        BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/submissions")]
pub(crate) async fn list_submissions(request: HttpRequest, access: Access) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let form: Option<FormCode> = query.code("form");
    let period = period(&mut query);
    let unit: Option<UnitCode> = query.code("unit");
    let updated_since = query.time("updated_since");
    let page = Page::read(&mut query, DEFAULT_LIMIT, |cursor| {
        matches!(cursor, Cursor::Submission(..))
    });
    query.finish()?;
    let filter = SubmissionFilter {
        units: units(&access, form.as_ref(), period, unit.as_ref())?,
        form,
        period,
        updated_since,
        after: page.after.as_ref().and_then(|cursor| match cursor {
            Cursor::Submission(time, id) => Some((*time, *id)),
            Cursor::Revision(_) | Cursor::Code(_) => None,
        }),
    };
    let (found, more) = access.submissions(filter, page.limit).await?;
    let next_cursor = next(&found, more, |last| Cursor::Submission(last.received_at, last.id));
    let submissions = SubmissionBody::of_all(&access, &found).await?;
    let link = link(&request, next_cursor.as_deref());
    Ok(listed(
        SubmissionList {
            submissions,
            next_cursor,
        },
        link,
    ))
}

/// The unit and all below it, in the tree that the question means.
fn units(
    access: &Access,
    form: Option<&FormCode>,
    period: Option<Period>,
    unit: Option<&UnitCode>,
) -> Result<Option<Vec<UnitId>>, Problem> {
    let catalogue = access.catalogue();
    let missing = |name| Problem::NotFound(Missing::Parameter(name));
    if form.is_some_and(|form| !catalogue.has_form(form.as_str())) {
        return Err(missing("form"));
    }
    let tree = match (form, period) {
        (Some(form), Some(period)) => {
            let scope = catalogue.scope(form.as_str(), period);
            scope.ok_or_else(|| missing("period"))?.tree
        }
        (None, Some(period)) => catalogue.tree(period.last_day(tonghop_domain::Calendar::Civil)),
        (_, None) => catalogue.tree(today()),
    };
    let Some(unit) = unit else {
        return Ok(None);
    };
    let place = tree.get(unit.as_str()).ok_or_else(|| missing("unit"))?;
    access.check_unit(&tree, unit)?;
    Ok(Some(place.at_or_below().map(|place| place.id()).collect()))
}

/// Today in Viet Nam.
pub(crate) fn today() -> NaiveDate {
    let offset = FixedOffset::east_opt(7 * 3600);
    offset.map_or_else(
        || Utc::now().date_naive(),
        |offset| Utc::now().with_timezone(&offset).date_naive(),
    )
}

/// Read a submission
///
/// Its current revision.
#[utoipa::path(
    tag = "submissions",
    params(
        ("id" = Uuid, Path, description = "The submission's id", example = "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of the answer that you have", example = "\"1\""),
    ),
    responses(
        (status = 200, description = "The current revision", body = SubmissionBody, headers(
            ("ETag" = String, description = "The revision in quotation marks; send it as If-Match to correct or withdraw")
        )),
        (status = 304, description = "The revision that you have is still the current one", headers(
            ("ETag" = String, description = "Its tag")
        )),
        BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/submissions/{id}")]
pub(crate) async fn get_submission(
    request: HttpRequest,
    id: Path<String>,
    access: Access,
) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    Query::of(&request).finish()?;
    let revision = access.submission(submission_id(&id)?).await?;
    told(&request, &access, revision).await
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
    access: Access,
) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    Query::of(&request).finish()?;
    let (id, number) = path.into_inner();
    let number = number.parse().map_err(|_| Problem::NotFound(Missing::Revision))?;
    let revision = access.revision(submission_id(&id)?, number).await?;
    told(&request, &access, revision).await
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
    access: Access,
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
    let (found, more) = access.revisions(submission_id(&id)?, before, page.limit).await?;
    let next_cursor = next(&found, more, |last| Cursor::Revision(last.revision));
    let revisions = SubmissionBody::of_all(&access, &found).await?;
    let link = link(&request, next_cursor.as_deref());
    Ok(listed(
        RevisionList {
            revisions,
            next_cursor,
        },
        link,
    ))
}

/// One revision, or that the caller has it already.
async fn told(request: &HttpRequest, access: &Access, revision: Revision) -> Result<HttpResponse, Problem> {
    let tag = tag_of(&revision);
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
    let mut bodies = SubmissionBody::of_all(access, std::slice::from_ref(&revision)).await?;
    let body: Option<SubmissionBody> = bodies.pop();
    Ok(response.json(body))
}

/// A page with the link to the next one.
pub(crate) fn listed(
    body: impl Serialize,
    next: Option<(
        actix_web::http::header::HeaderName,
        actix_web::http::header::HeaderValue,
    )>,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store"));
    if let Some(next) = next {
        response.insert_header(next);
    }
    response.json(body)
}
