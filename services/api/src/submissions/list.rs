//! `GET /v1/submissions`

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::Utc;
use serde::Serialize;
use tonghop_access::AuthorizedStore;
use tonghop_domain::{FormCode, Period, UnitCode, UnitId};
use tonghop_storage::SubmissionFilter;
use utoipa::ToSchema;

use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::problem::{Missing, Problem};
use crate::request::caller::Authorized;
use crate::request::media_type::{JSON, accepted};
use crate::request::page::{Cursor, Page, PageQuery, link, listed, next};
use crate::request::query::Query;
use crate::request::total_ref::period;
use crate::submissions::body::SubmissionBody;

pub(crate) const DEFAULT_LIMIT: usize = 50;

/// A page of submissions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubmissionList {
    submissions: Vec<SubmissionBody>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
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
pub(crate) async fn list_submissions(
    request: HttpRequest,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
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
        units: units(&store, form.as_ref(), period, unit.as_ref())?,
        form,
        period,
        updated_since,
        after: page.after.as_ref().and_then(|cursor| match cursor {
            Cursor::Submission(time, id) => Some((*time, *id)),
            Cursor::Revision(_) | Cursor::Code(_) => None,
        }),
    };
    let (found, more) = store.submissions(filter, page.limit).await?;
    let next_cursor = next(&found, more, |last| Cursor::Submission(last.received_at, last.id));
    let submissions = SubmissionBody::of_all(&store, &found).await?;
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
    store: &AuthorizedStore,
    form: Option<&FormCode>,
    period: Option<Period>,
    unit: Option<&UnitCode>,
) -> Result<Option<Vec<UnitId>>, Problem> {
    let catalogue = store.catalogue();
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
        (_, None) => catalogue.tree(catalogue.today(Utc::now())),
    };
    let Some(unit) = unit else {
        return Ok(None);
    };
    let place = tree.get(unit.as_str()).ok_or_else(|| missing("unit"))?;
    store.require_unit(&tree, unit)?;
    Ok(Some(place.at_or_below().map(|place| place.id()).collect()))
}
