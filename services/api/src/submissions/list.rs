//! `GET /v1/submissions`

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tonghop_access::AuthorizedStore;
use tonghop_domain::{FormCode, Period, UnitCode, UnitId};
use tonghop_storage::SubmissionFilter;
use utoipa::ToSchema;

use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::openapi::text_types::{FormText, PeriodText, UnitText};
use crate::problem::{Missing, Problem};
use crate::request::caller::Authorized;
use crate::request::media_type::{JSON, accepted};
use crate::request::paging::{PageQuery, SubmissionPage, page_response};
use crate::request::parameters::query_parameters;
use crate::request::query::Query;
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

query_parameters! {
    /// The query parameters that select submissions.
    pub(crate) struct SubmissionListQuery {
        /// Only submissions on this form
        #[param(value_type = Option<FormText>, inline, example = "ngay-30-7")]
        form: Option<FormCode> = Query::code,
        /// Only submissions for this period
        #[param(value_type = Option<PeriodText>, inline, example = "2021-07")]
        period: Option<Period> = Query::period,
        /// Only submissions of this unit and all units below it, in the tree of the period's last day (today without a period)
        #[param(value_type = Option<UnitText>, inline, example = "87")]
        unit: Option<UnitCode> = Query::code,
        /// Only submissions whose current revision was recorded at this time or later
        #[param(value_type = Option<String>, format = DateTime, example = "2021-08-01T00:00:00Z")]
        updated_since: Option<DateTime<Utc>> = Query::time,
    }
}

/// List submissions
///
/// Current revisions, the newest first.
#[utoipa::path(
    tag = "submissions",
    params(
        SubmissionListQuery, PageQuery
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
    let parameters = SubmissionListQuery::read(&mut query);
    let page = SubmissionPage::read_with_default(&mut query, DEFAULT_LIMIT);
    query.finish()?;
    let filter = SubmissionFilter {
        units: units(&store, &parameters)?,
        form: parameters.form,
        period: parameters.period,
        updated_since: parameters.updated_since,
        after: page.after,
    };
    let (found, more) = store.submissions(filter, page.limit).await?;
    let submissions = SubmissionBody::of_all(&store, &found).await?;
    let page = SubmissionPage::entries(found, more, |last| (last.received_at, last.id));
    Ok(page_response(&request, page.next_cursor, |next_cursor| {
        SubmissionList {
            submissions,
            next_cursor,
        }
    }))
}

/// The unit that a query names and all units below it, in the tree that the query means; none when it names no unit.
fn units(store: &AuthorizedStore, query: &SubmissionListQuery) -> Result<Option<Vec<UnitId>>, Problem> {
    let (form, period, unit) = (query.form.as_ref(), query.period, query.unit.as_ref());
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
