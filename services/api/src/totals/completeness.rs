//! Who has reported, when, and who is missing.

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
use crate::request::media_type::{JSON, accepted};
use crate::request::page::{Cursor, MAX_LIMIT, Page, PageQuery, link, listed};
use crate::request::query::Query;
use crate::request::total_ref::{TotalParameters, TotalQuery};

/// How the units at or below a unit stand to a form.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "form": "ngay-30-7", "period": "2021-07", "unit": "87",
    "expected": 14, "reported": 1, "missing_count": 13, "late_count": 0, "due_at": "2021-08-05T16:59:59Z",
    "units": [
        {"unit": "866", "name_vi": "Thành phố Cao Lãnh", "name_en": "Cao Lanh City", "status": "reported",
         "first_reported_at": "2021-08-02T01:15:30Z", "last_reported_at": "2021-08-03T07:00:00Z",
         "submission": "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11", "revision": 2, "late": false},
        {"unit": "867", "name_vi": "Thành phố Sa Đéc", "name_en": "Sa Dec City", "status": "missing", "late": false}
    ],
    "next_cursor": "63383637"
}))]
pub(crate) struct UnitCoverageList {
    form: String,
    period: String,
    unit: String,
    /// Units at or below that report the form.
    expected: u32,
    /// Those that did.
    reported: u32,
    /// How many did not.
    missing_count: u32,
    /// How many did after the due time.
    late_count: u32,
    /// The last second in which a report is in time.
    due_at: DateTime<Utc>,
    units: Vec<UnitCoverageBody>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// How one unit stands to a form.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnitCoverage)]
pub(crate) struct UnitCoverageBody {
    /// The unit's code.
    unit: String,
    name_vi: String,
    name_en: String,
    status: CoverageStatus,
    /// When the first revision since the last withdrawal came.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_reported_at: Option<DateTime<Utc>>,
    /// When the current revision came.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_reported_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submission: Option<Uuid>,
    /// The current revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<i32>,
    /// Whether the first came after the due time.
    late: bool,
}

/// Whether a unit has reported.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CoverageStatus {
    /// In time.
    Reported,
    /// After the due time.
    Late,
    /// Not at all.
    Missing,
}

/// Read who has reported
///
/// Every unit at or below that reports the form, by code: whether it did, when first and last, and whether that was
/// late.
#[utoipa::path(
    tag = "totals",
    params(TotalQuery, PageQuery),
    responses(
        (status = 200, description = "A page of units", body = UnitCoverageList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page")
        )),
        BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/coverage")]
pub(crate) async fn list_coverage(request: HttpRequest, store: Authorized) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let asked = TotalParameters::read(&mut query);
    let page = Page::read(&mut query, MAX_LIMIT, |cursor| matches!(cursor, Cursor::Code(_)));
    let about = asked.resolve(query, store.catalogue())?;
    let all = store.completeness(&about).await?;
    let counts: CompletenessCounts = all.iter().map(|unit| unit.status).collect();
    let behind = |unit: &UnitCompleteness| match &page.after {
        Some(Cursor::Code(code)) => unit.unit.as_str() > code.as_str(),
        _ => true,
    };
    let mut shown: Vec<UnitCompleteness> = all.into_iter().filter(behind).take(page.limit + 1).collect();
    let next_cursor = page.cut(&mut shown, |last| Cursor::Code(last.unit.to_string()));
    let next = link(&request, next_cursor.as_deref());
    let body = UnitCoverageList {
        form: about.scope.form.code.to_string(),
        period: about.scope.period.to_string(),
        unit: about.unit.to_string(),
        expected: counts.expected,
        reported: counts.reported,
        missing_count: counts.missing(),
        late_count: counts.late,
        due_at: about.scope.form.due_at(about.scope.period),
        units: shown
            .iter()
            .map(|unit| UnitCoverageBody::new(unit, &about.scope.tree))
            .collect(),
        next_cursor,
    };
    Ok(listed(body, next))
}

impl UnitCoverageBody {
    fn new(coverage: &UnitCompleteness, tree: &Tree) -> Self {
        let names = tree
            .get(coverage.unit.as_str())
            .map(|place| place.unit().names.clone());
        let (name_vi, name_en) = names.map(|names| (names.vi, names.en)).unwrap_or_default();
        let report = coverage.report.as_ref();
        Self {
            unit: coverage.unit.to_string(),
            name_vi,
            name_en,
            status: match coverage.status {
                ReportStatus::Missing => CoverageStatus::Missing,
                ReportStatus::Late => CoverageStatus::Late,
                ReportStatus::OnTime => CoverageStatus::Reported,
            },
            first_reported_at: report.map(|report| report.first_received_at),
            last_reported_at: report.map(|report| report.last_received_at),
            submission: report.map(|report| report.submission.0),
            revision: report.map(|report| report.revision),
            late: coverage.status == ReportStatus::Late,
        }
    }
}
