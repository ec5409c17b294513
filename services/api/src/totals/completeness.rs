//! `GET /v1/completeness`: which units reported and which are missing.

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tonghop_domain::{CompletenessCounts, ReportStatus, Tree};
use tonghop_storage::UnitCompleteness;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::problem::Problem;
use crate::request::caller::Authorized;
use crate::request::fields::{Entry, Fields, FieldsQuery, ListEntry};
use crate::request::media_type::{JSON, accepted};
use crate::request::paging::{CodePage, PageQuery, page_response};
use crate::request::preconditions::IfNoneMatchHeader;
use crate::request::query::Query;
use crate::request::tagged::NotModified;
use crate::request::total_ref::TotalQuery;

/// The completeness of a form, by unit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "form": "ngay-30-7", "period": "2021-07", "unit": "87",
    "expected": 14, "reported": 1, "missing_count": 13, "late_count": 0, "due_at": "2021-08-05T16:59:59Z",
    "units": [
        {"unit": "866", "name_vi": "Thành phố Cao Lãnh", "name_en": "Cao Lanh City", "status": "reported",
         "indicators_expected": 56, "indicators_answered": 56, "first_reported_at": "2021-08-02T01:15:30Z", "last_reported_at": "2021-08-03T07:00:00Z",
         "submission": "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11", "revision": 2, "late": false},
        {"unit": "867", "name_vi": "Thành phố Sa Đéc", "name_en": "Sa Dec City", "status": "missing",
         "indicators_expected": 56, "indicators_answered": 0, "late": false}
    ],
    "next_cursor": "63383637"
}))]
pub(crate) struct UnitCompletenessList {
    form: String,
    period: String,
    unit: String,
    /// Units at or below that report the form.
    expected: u32,
    /// Units that reported.
    reported: u32,
    /// Units that did not report.
    missing_count: u32,
    /// Units that reported after the deadline.
    late_count: u32,
    /// The deadline: the last second in which a report is on time.
    due_at: DateTime<Utc>,
    #[schema(value_type = Vec<UnitCompletenessBody>)]
    units: Vec<Entry<UnitCompletenessBody>>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// The report of one unit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnitCompleteness)]
pub(crate) struct UnitCompletenessBody {
    /// The unit's code.
    unit: String,
    name_vi: String,
    name_en: String,
    status: UnitReportStatus,
    /// The number of indicators that the unit is expected to report.
    indicators_expected: u32,
    /// Those of them that it answered with a value, items, a text or a state.
    indicators_answered: u32,
    /// The time of the first revision since the last withdrawal.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_reported_at: Option<DateTime<Utc>>,
    /// The time of the current revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_reported_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submission: Option<Uuid>,
    /// The current revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<i32>,
    /// Whether the first revision arrived after the deadline.
    late: bool,
}

impl ListEntry for UnitCompletenessBody {}

/// Whether a unit has reported.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnitReportStatus {
    /// The unit reported on time.
    Reported,
    /// The unit reported after the deadline.
    Late,
    /// The unit has not reported.
    Missing,
}

/// List the completeness of units
///
/// Lists every unit at or below that reports the form, in the catalogue's order: whether it reported, when first and
/// last, whether late, and how many of its expected indicators it has answered.
#[utoipa::path(
    tag = "totals",
    params(TotalQuery, FieldsQuery<UnitCompletenessBody>, PageQuery, IfNoneMatchHeader),
    responses(
        (status = 200, description = "A page of units and what they reported", body = UnitCompletenessList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page"),
            ("ETag" = String, description = "A weak tag of the page")
        )),
        NotModified, BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/completeness")]
pub(crate) async fn list_completeness(
    request: HttpRequest,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let parameters = TotalQuery::read(&mut query);
    let fields = Fields::read::<UnitCompletenessBody>(&mut query);
    let page = CodePage::read(&mut query);
    let total = parameters.resolve(query, store.catalogue())?;
    let all = store.completeness(&total).await?;
    let counts: CompletenessCounts = all.iter().map(|unit| unit.status).collect();
    let page = page.of(all, |unit| unit.unit.to_string())?;
    let units = page.entries.iter();
    let units = units.map(|unit| UnitCompletenessBody::new(unit, &total.scope.tree));
    let body = UnitCompletenessList {
        form: total.scope.form.code.to_string(),
        period: total.scope.period.to_string(),
        unit: total.unit.to_string(),
        expected: counts.expected,
        reported: counts.reported,
        missing_count: counts.missing(),
        late_count: counts.late,
        due_at: total.scope.form.due_at(total.scope.period),
        units: fields.of_all(units),
        next_cursor: page.next_cursor.clone(),
    };
    page_response(&request, page.next_cursor, |_| body)
}

impl UnitCompletenessBody {
    fn new(completeness: &UnitCompleteness, tree: &Tree) -> Self {
        let names = tree
            .get(completeness.unit.as_str())
            .map(|place| place.unit().names.clone());
        let (name_vi, name_en) = names.map(|names| (names.vi, names.en)).unwrap_or_default();
        let report = completeness.report.as_ref();
        Self {
            unit: completeness.unit.to_string(),
            name_vi,
            name_en,
            status: match completeness.status {
                ReportStatus::Missing => UnitReportStatus::Missing,
                ReportStatus::Late => UnitReportStatus::Late,
                ReportStatus::OnTime => UnitReportStatus::Reported,
            },
            indicators_expected: completeness.indicators.expected,
            indicators_answered: completeness.indicators.answered,
            first_reported_at: report.map(|report| report.first_received_at),
            last_reported_at: report.map(|report| report.last_received_at),
            submission: report.map(|report| report.submission.0),
            revision: report.map(|report| report.revision),
            late: completeness.status == ReportStatus::Late,
        }
    }
}
