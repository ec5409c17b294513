//! The response body of a total.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tonghop_domain::{Completeness, IndicatorCode, Kind, TotalRow};
use tonghop_storage::TotalRead;
use utoipa::ToSchema;

use crate::problem::text::Language;
use crate::request::names::name_in;
use crate::submissions::figure::CellBody;
use tonghop_access::TotalRef;

/// The figures of a unit and all units below it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Totals, example = json!({
    "form": "ngay-30-7", "period": "2021-07", "unit": "87", "version": 31,
    "completeness": {
        "expected": 14, "reported": 14, "missing": [], "missing_count": 0, "late": [], "late_count": 0,
        "due_at": "2021-08-05T16:59:59Z"
    },
    "freshness": {"as_of": "2021-08-05T02:00:00.5Z", "pending": 0},
    "totals": [
        {"indicator": "TT.PT", "value": 756, "expected": 13, "reporting": 12, "done_no_number": 0, "not_done": 1, "not_applicable": 0, "not_reported": 0},
        {"indicator": "TT.PANO", "value": null, "expected": 13, "reporting": 0, "done_no_number": 12, "not_done": 1, "not_applicable": 0, "not_reported": 0},
        {"indicator": "CS.SO", "value": 3, "breakdowns": [{"by": {"facility_type": "cua_khau"}, "value": 2}, {"by": {"facility_type": "trung_tam"}, "value": 1}],
         "expected": 14, "reporting": 14, "done_no_number": 0, "not_done": 0, "not_applicable": 0, "not_reported": 0}
    ],
    "ratios": [{"indicator": "HT.TYLE", "value": null}]
}))]
pub(crate) struct TotalsBody {
    form: String,
    period: String,
    unit: String,
    /// The unit's name, with `names`.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_name: Option<String>,
    /// The number of refreshes of this total; 0 if nothing was reported yet.
    version: i64,
    completeness: CompletenessBody,
    freshness: FreshnessBody,
    /// Every indicator that units report, in the form's order, or the requested ones.
    totals: Vec<TotalRowBody>,
    /// Indicators computed from others.
    ratios: Vec<RatioBody>,
}

/// The number of units that are expected to report, and of those that did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Completeness)]
pub(crate) struct CompletenessBody {
    /// Units at or below that report the form.
    expected: u32,
    /// Units that reported.
    reported: u32,
    /// The codes of units that did not report, in the catalogue's order; at most 200.
    missing: Vec<String>,
    /// The number of units that did not report.
    missing_count: u32,
    /// The codes of units that reported after the deadline, in the catalogue's order; at most 200.
    late: Vec<String>,
    /// The number of units that reported after the deadline.
    late_count: u32,
    /// The deadline: the last second in which a report is on time.
    due_at: DateTime<Utc>,
}

/// The freshness of a total.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Freshness)]
pub(crate) struct FreshnessBody {
    /// The total contains every report recorded before this time.
    as_of: DateTime<Utc>,
    /// The number of changes that the total does not contain yet.
    pending: i64,
}

/// The row of one indicator in a total. The five counts from `reporting` to `not_reported` add up to `expected`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TotalRow)]
pub(crate) struct TotalRowBody {
    /// The indicator's code.
    pub(crate) indicator: String,
    /// The indicator's name, with `names`.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The sum; for a flag, the number of units that answered yes. Null if no unit reported a number, which differs from 0.
    #[schema(required = true)]
    pub(crate) value: Option<i64>,
    /// The distinct items of a list; at most 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) items: Option<Vec<String>>,
    /// Whether more items exist than `items` contains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) items_truncated: Option<bool>,
    /// The sums of the breakdowns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    breakdowns: Vec<CellBody>,
    /// Units at or below that are expected to report the indicator, and further units that reported it.
    pub(crate) expected: u32,
    /// Units that reported a value, items or a text.
    pub(crate) reporting: u32,
    /// Units that carried the activity out without counting.
    pub(crate) done_no_number: u32,
    /// Units that did not carry the activity out.
    pub(crate) not_done: u32,
    /// Units to which the indicator does not apply.
    pub(crate) not_applicable: u32,
    /// Units that are expected to report the indicator and did not.
    pub(crate) not_reported: u32,
}

/// An indicator that is computed from others.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ratio)]
pub(crate) struct RatioBody {
    /// The indicator's code.
    pub(crate) indicator: String,
    /// The indicator's name, with `names`.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The ratio, rounded to four decimals; null if a part is missing or the denominator is 0.
    #[schema(required = true)]
    pub(crate) value: Option<f64>,
}

impl TotalsBody {
    pub(crate) fn new(
        about: &TotalRef,
        wanted: &[IndicatorCode],
        read: &TotalRead,
        names: Option<Language>,
    ) -> Self {
        let form = &about.scope.form;
        let name_of = |code: &IndicatorCode| {
            let indicator = form.indicator(code.as_str())?;
            Some(name_in(&indicator.names, names?))
        };
        let place = about.scope.tree.get(about.unit.as_str());
        let wanted: HashSet<&IndicatorCode> = wanted.iter().collect();
        let is_wanted = |code: &IndicatorCode| wanted.is_empty() || wanted.contains(code);
        let completeness = &read.total.completeness;
        let lines = form.reportable().zip(&read.total.rows);
        Self {
            form: form.code.to_string(),
            period: about.scope.period.to_string(),
            unit: about.unit.to_string(),
            unit_name: place.and_then(|place| Some(name_in(&place.unit().names, names?))),
            version: read.version,
            completeness: CompletenessBody::new(completeness, form.due_at(about.scope.period)),
            freshness: FreshnessBody {
                as_of: read.freshness.as_of,
                pending: read.freshness.pending,
            },
            totals: lines
                .filter(|(indicator, _)| is_wanted(&indicator.code))
                .map(|(indicator, line)| TotalRowBody {
                    name: name_of(&indicator.code),
                    ..TotalRowBody::new(indicator, line)
                })
                .collect(),
            ratios: read
                .total
                .ratios(form)
                .into_iter()
                .filter(|(code, _)| is_wanted(code))
                .map(|(code, value)| RatioBody {
                    name: name_of(&code),
                    indicator: code.to_string(),
                    value,
                })
                .collect(),
        }
    }

    /// The lines with the rows of their cells, for tables.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&TotalRowBody, &[CellBody])> {
        self.totals.iter().map(|line| (line, line.breakdowns.as_slice()))
    }

    /// The ratios.
    pub(crate) fn ratios(&self) -> &[RatioBody] {
        &self.ratios
    }

    /// The units that are expected, those that reported, the pending changes, and `as_of`.
    pub(crate) fn state(&self) -> (u32, u32, i64, DateTime<Utc>) {
        let (completeness, freshness) = (&self.completeness, &self.freshness);
        (
            completeness.expected,
            completeness.reported,
            freshness.pending,
            freshness.as_of,
        )
    }
}

impl CompletenessBody {
    fn new(completeness: &Completeness, due_at: DateTime<Utc>) -> Self {
        Self {
            expected: completeness.expected,
            reported: completeness.reported,
            missing: completeness.missing.iter().map(ToString::to_string).collect(),
            missing_count: completeness.counts().missing(),
            late: completeness.late.iter().map(ToString::to_string).collect(),
            late_count: completeness.late_count,
            due_at,
        }
    }
}

impl TotalRowBody {
    fn new(indicator: &tonghop_domain::Indicator, line: &TotalRow) -> Self {
        let is_list = indicator.kind == Kind::List;
        Self {
            indicator: indicator.code.to_string(),
            name: None,
            value: line.value,
            items: is_list.then(|| line.items.clone()),
            items_truncated: is_list.then_some(line.items_truncated),
            breakdowns: line
                .cells
                .iter()
                .map(|(key, value)| CellBody::new(key, *value))
                .collect(),
            expected: line.counts.expected,
            reporting: line.counts.reporting,
            done_no_number: line.counts.done_no_number,
            not_done: line.counts.not_done,
            not_applicable: line.counts.not_applicable,
            not_reported: line.counts.not_reported(),
        }
    }
}
