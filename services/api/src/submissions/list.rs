//! `GET /v1/submissions`

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tonghop_access::AuthorizedStore;
use tonghop_domain::{FormCode, Period, Revision, Status, SubmissionId, UnitCode};
use tonghop_storage::{SubmissionFilter, SubmissionOrder};
use utoipa::ToSchema;

use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::openapi::text_types::{FormText, PeriodText, UnitText};
use crate::problem::text::localized;
use crate::problem::{Missing, Problem};
use crate::request::caller::Authorized;
use crate::request::fields::{Entry, Fields, FieldsQuery};
use crate::request::media_type::{JSON, accepted};
use crate::request::names::NamesQuery;
use crate::request::paging::{LongPageQuery, SubmissionPage, page_response};
use crate::request::parameters::query_parameters;
use crate::request::preconditions::IfNoneMatchHeader;
use crate::request::query::Query;
use crate::request::tagged::NotModified;
use crate::submissions::body::{StatusBody, SubmissionBody, wanted_parts};

/// A page of submissions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubmissionList {
    #[schema(value_type = Vec<SubmissionBody>)]
    submissions: Vec<Entry<SubmissionBody>>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// Only with `updated_since` and in the order `updated`: the `updated_since` with which to ask next, after the last page. Nothing that was
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
        /// Only submissions whose current revision was recorded at this time or later
        #[param(value_type = Option<String>, format = DateTime, example = "2021-08-01T00:00:00Z")]
        updated_since: Option<DateTime<Utc>> = Query::time,
        /// Only submissions whose current revision has this status
        #[param(value_type = Option<StatusBody>, inline, example = "accepted")]
        status: Option<Status> = read_status,
        /// The order: `-created` unless you say otherwise, with `updated_since` `updated`
        #[param(value_type = Option<SortBody>, inline, example = "-created")]
        sort: Option<SubmissionOrder> = read_sort,
    }
}

/// The order of a list: by the time of the first revision (`created`), or by that of the current one (`updated`), from old to
/// new, or with a minus sign from new to old.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it describes the parameter for the OpenAPI document; read_sort reads it"
)]
pub(crate) enum SortBody {
    #[serde(rename = "-created")]
    NewestFirst,
    #[serde(rename = "created")]
    OldestFirst,
    #[serde(rename = "updated")]
    LastChangedLast,
    #[serde(rename = "-updated")]
    LastChangedFirst,
}

fn read_status(query: &mut Query, name: &'static str) -> Option<Status> {
    let hint = || {
        localized(
            "Write accepted or withdrawn.",
            "Hãy viết accepted hoặc withdrawn.",
        )
    };
    query.optional(name, hint, |text| {
        [Status::Accepted, Status::Withdrawn]
            .into_iter()
            .find(|status| status.as_str() == text)
    })
}

fn read_sort(query: &mut Query, name: &'static str) -> Option<SubmissionOrder> {
    let hint = || {
        localized(
            "Write created, -created, updated or -updated.",
            "Hãy viết created, -created, updated hoặc -updated.",
        )
    };
    query.optional(name, hint, |text| match text {
        "-created" => Some(SubmissionOrder::NewestFirst),
        "created" => Some(SubmissionOrder::OldestFirst),
        "updated" => Some(SubmissionOrder::LastChangedLast),
        "-updated" => Some(SubmissionOrder::LastChangedFirst),
        _ => None,
    })
}

/// List submissions
///
/// Current revisions. The submission that was created last comes first, and a correction does not move it, unless `sort`
/// says otherwise. With `updated_since`, the one that was changed last comes last, so a reader of page after page misses
/// none that is corrected meanwhile; with `-updated`, that can happen.
#[utoipa::path(
    tag = "submissions",
    params(
        SubmissionListQuery, NamesQuery, FieldsQuery<SubmissionBody>, LongPageQuery, IfNoneMatchHeader
    ),
    responses(
        (status = 200, description = "A page of submissions", body = SubmissionList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page"),
            ("ETag" = String, description = "A weak tag of the page")
        )),
        NotModified, BadRequest, NotFound, NotAcceptable, Unavailable
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
    let NamesQuery { names } = NamesQuery::read(&mut query);
    let fields = Fields::read::<SubmissionBody>(&mut query);
    let page = SubmissionPage::read_long(&mut query);
    query.finish()?;
    check_names(&store, &parameters)?;
    let (filter, unit) = parameters.filter(page.after);
    let parts = wanted_parts(&fields);
    let found = store
        .submissions(filter, unit.as_ref(), page.limit, parts)
        .await?;
    let next_since = found.next_since;
    let submissions = SubmissionBody::of_all(&store, &found.revisions, names).await?;
    let position = |last: &Revision| (last.received_at, last.id);
    let page = SubmissionPage::entries(found.revisions, found.more, position);
    page_response(&request, page.next_cursor, |next_cursor| SubmissionList {
        submissions: fields.of_all(submissions),
        next_cursor,
        next_since,
    })
}

impl SubmissionListQuery {
    /// The filter for the page after a position, and the unit.
    fn filter(self, after: Option<(DateTime<Utc>, SubmissionId)>) -> (SubmissionFilter, Option<UnitCode>) {
        let filter = SubmissionFilter {
            form: self.form,
            period: self.period,
            status: self.status,
            order: self.sort.unwrap_or(match self.updated_since {
                Some(_) => SubmissionOrder::LastChangedLast,
                None => SubmissionOrder::NewestFirst,
            }),
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
