//! `GET /v1/submissions`

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tonghop_access::AuthorizedStore;
use tonghop_domain::{FormCode, Period, Revision, SubmissionId, UnitCode};
use tonghop_storage::SubmissionFilter;
use utoipa::ToSchema;

use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::openapi::text_types::{FormText, PeriodText, UnitText};
use crate::problem::{Missing, Problem};
use crate::request::caller::Authorized;
use crate::request::media_type::{JSON, accepted};
use crate::request::paging::{LongPageQuery, SubmissionPage, page_response};
use crate::request::parameters::query_parameters;
use crate::request::query::Query;
use crate::submissions::body::SubmissionBody;

/// A page of submissions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubmissionList {
    submissions: Vec<SubmissionBody>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// Only with `updated_since`: the `updated_since` with which to ask next, after the last page. Nothing that was
    /// recorded before this time can still appear.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_since: Option<DateTime<Utc>>,
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
        /// Only submissions of this unit and all units below it, each in the tree of its own period
        #[param(value_type = Option<UnitText>, inline, example = "87")]
        unit: Option<UnitCode> = Query::code,
        /// Only submissions whose current revision was recorded at this time or later, the oldest first
        #[param(value_type = Option<String>, format = DateTime, example = "2021-08-01T00:00:00Z")]
        updated_since: Option<DateTime<Utc>> = Query::time,
    }
}

/// List submissions
///
/// Current revisions. Without `updated_since`, the submission that was created last comes first, and a correction does
/// not move it; with `updated_since`, the one that was changed last comes last. So a reader of page after page misses none
/// that is corrected meanwhile.
#[utoipa::path(
    tag = "submissions",
    params(
        SubmissionListQuery, LongPageQuery
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
    let page = SubmissionPage::read_long(&mut query);
    query.finish()?;
    check_names(&store, &parameters)?;
    let (filter, unit) = parameters.filter(page.after);
    let found = store.submissions(filter, unit.as_ref(), page.limit).await?;
    let next_since = found.next_since;
    let submissions = SubmissionBody::of_all(&store, &found.revisions).await?;
    let position = |last: &Revision| (last.received_at, last.id);
    let page = SubmissionPage::entries(found.revisions, found.more, position);
    Ok(page_response(&request, page.next_cursor, |next_cursor| {
        SubmissionList {
            submissions,
            next_cursor,
            next_since,
        }
    }))
}

impl SubmissionListQuery {
    /// The filter for the page after a position, and the unit.
    fn filter(self, after: Option<(DateTime<Utc>, SubmissionId)>) -> (SubmissionFilter, Option<UnitCode>) {
        let filter = SubmissionFilter {
            form: self.form,
            period: self.period,
            updated_since: self.updated_since,
            after,
            ..SubmissionFilter::default()
        };
        (filter, self.unit)
    }
}

/// Fails if the form does not exist, or is not reported for the period.
fn check_names(store: &AuthorizedStore, query: &SubmissionListQuery) -> Result<(), Problem> {
    let Some(form) = &query.form else { return Ok(()) };
    let catalogue = store.catalogue();
    let missing = |name| Err(Problem::NotFound(Missing::Parameter(name)));
    if !catalogue.has_form(form.as_str()) {
        return missing("form");
    }
    match query.period {
        Some(period) if catalogue.scope(form.as_str(), period).is_none() => missing("period"),
        _ => Ok(()),
    }
}
