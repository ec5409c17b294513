//! Totals, and the rule by which they are computed.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::catalogue::Scope;
use crate::code::IndicatorCode;
use crate::completeness::Completeness;
use crate::figure::{CellKey, Content, Reported};
use crate::form::Form;
use crate::indicator::{Indicator, Kind};
use crate::tree::Place;

/// The maximum number of items in a row of a total.
pub const MAX_TOTAL_ITEMS: usize = 200;

/// The scale to which ratios are rounded: four decimals.
const RATIO_SCALE: f64 = 10_000.0;

/// The error for a sum that exceeds 64 bits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sum of {0} exceeds 64 bits")]
pub struct Overflow(pub IndicatorCode);

/// The parts of a unit's accepted report that totals need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The time of the first revision since the last withdrawal.
    pub first_received_at: DateTime<Utc>,
    /// The content of the current revision.
    pub content: Content,
}

/// The number of units per state of an indicator. The states, together with `not_reported`, add up to `expected`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Units that are expected to report the indicator, or did so although they were not.
    pub expected: u32,
    /// Units that reported a value, items or a text.
    pub reporting: u32,
    /// Units that carried the activity out without counting.
    pub done_no_number: u32,
    /// Units that did not carry the activity out.
    pub not_done: u32,
    /// Units to which the indicator does not apply.
    pub not_applicable: u32,
}

impl Counts {
    /// The number of expected units that reported nothing for the indicator. Counts that were corrupted in the database do
    /// not cause a panic.
    pub fn not_reported(&self) -> u32 {
        let reported = [
            self.reporting,
            self.done_no_number,
            self.not_done,
            self.not_applicable,
        ];
        reported
            .iter()
            .fold(self.expected, |left, count| left.saturating_sub(*count))
    }
}

/// The row of one indicator in a total.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TotalRow {
    /// The sum, or for a flag the number of units that answered yes; none if no unit reported a number.
    pub value: Option<i64>,
    /// The distinct items of a list: the unit's own first, then those of its children in the catalogue's order; at most 200.
    pub items: Vec<String>,
    /// Whether more items exist than `items` contains.
    pub items_truncated: bool,
    /// The sums of the breakdowns.
    pub cells: BTreeMap<CellKey, i64>,
    /// The number of units per state.
    pub counts: Counts,
}

/// The figures of a unit and all units below it: one row per reportable indicator, in the form's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// Which units reported.
    pub completeness: Completeness,
    /// The indicators.
    pub rows: Vec<TotalRow>,
}

impl Total {
    /// The contribution of the unit itself: its report, a missing report, or nothing if it does not report the form.
    pub fn of_unit(scope: &Scope, place: Place<'_>, report: Option<&Report>) -> Self {
        let form = &scope.form;
        let mut total = Self {
            completeness: Completeness::default(),
            rows: vec![TotalRow::default(); form.reportable().count()],
        };
        if !form.is_reported_by(place.unit()) {
            return total;
        }
        let status = scope.report_status(report.map(|report| report.first_received_at));
        total.completeness = Completeness::of_unit(place.code(), status);
        total.expect(&form.expected_rows(place.unit()), 1);
        let Some(report) = report else {
            return total;
        };
        for figure in &report.content.figures {
            let at = form.row_index(figure.indicator.as_str());
            if let Some(row) = at.and_then(|at| total.rows.get_mut(at)) {
                row.record(&figure.reported);
                row.cells
                    .extend(figure.cells.iter().map(|cell| (cell.key.clone(), cell.value)));
            }
        }
        total
    }

    /// The total of a unit if no unit at or below it has reported.
    pub fn without_reports(scope: &Scope, place: Place<'_>) -> Self {
        let expected = || {
            let all = place.at_or_below();
            all.filter(|unit| scope.form.is_reported_by(unit.unit()))
        };
        let mut total = Self {
            completeness: Completeness::of_missing(expected().map(Place::code)),
            rows: vec![TotalRow::default(); scope.form.reportable().count()],
        };
        // Few rules, and many units that the same ones name.
        let mut named_by: HashMap<Vec<usize>, u32> = HashMap::new();
        for unit in expected() {
            *named_by
                .entry(scope.form.rules_that_name(unit.unit()))
                .or_default() += 1;
        }
        for (rules, units) in named_by {
            total.expect(&scope.form.rows_of_rules(&rules), units);
        }
        total
    }

    /// Counts units that are expected to report these rows.
    fn expect(&mut self, rows: &[bool], units: u32) {
        for (row, _) in self.rows.iter_mut().zip(rows).filter(|(_, expected)| **expected) {
            row.counts.expected += units;
        }
    }

    /// Merges a unit's own contribution and the totals of its children. The order of the children does not matter.
    ///
    /// # Errors
    /// A sum that exceeds 64 bits.
    pub fn roll_up(form: &Form, own: Self, mut children: Vec<(Place<'_>, Self)>) -> Result<Self, Overflow> {
        children.sort_by_key(|(place, _)| place.order());
        let mut total = own;
        for (_, child) in children {
            total.merge(form, child)?;
        }
        Ok(total)
    }

    fn merge(&mut self, form: &Form, other: Self) -> Result<(), Overflow> {
        self.completeness.merge(other.completeness);
        for ((row, part), indicator) in self.rows.iter_mut().zip(other.rows).zip(form.reportable()) {
            row.merge(part).ok_or_else(|| Overflow(indicator.code.clone()))?;
        }
        Ok(())
    }

    /// The ratios of the form, rounded to four decimals. A ratio is none if a part is missing or the denominator is 0.
    pub fn ratios(&self, form: &Form) -> Vec<(IndicatorCode, Option<f64>)> {
        let value = |code: &IndicatorCode| self.rows.get(form.row_index(code.as_str())?)?.value;
        let ratio = |indicator: &Indicator| match &indicator.kind {
            Kind::Ratio(formula) => {
                let numerator = value(&formula.numerator);
                let denominator = value(&formula.denominator).filter(|value| *value != 0);
                let quotient = numerator.zip(denominator).map(|(numerator, denominator)| {
                    let exact = formula.factor as f64 * numerator as f64 / denominator as f64;
                    (exact * RATIO_SCALE).round() / RATIO_SCALE
                });
                Some((indicator.code.clone(), quotient))
            }
            _ => None,
        };
        form.indicators
            .iter()
            .filter_map(|indicator| ratio(indicator))
            .collect()
    }
}

impl TotalRow {
    /// Whether no unit reported anything for the indicator.
    pub fn is_silent(&self) -> bool {
        let counts = Counts {
            expected: self.counts.expected,
            ..Counts::default()
        };
        *self
            == Self {
                counts,
                ..Self::default()
            }
    }

    /// Records the figure of one unit in an empty row. A unit that reports an indicator counts as expected to do so.
    fn record(&mut self, reported: &Reported) {
        let counts = &mut self.counts;
        counts.expected = 1;
        match reported {
            Reported::DoneNoNumber => counts.done_no_number += 1,
            Reported::NotDone => counts.not_done += 1,
            Reported::NotApplicable => counts.not_applicable += 1,
            Reported::Value(_) | Reported::Flag(_) | Reported::Items(_) | Reported::Text(_) => {
                counts.reporting += 1
            }
        }
        match reported {
            Reported::Value(value) => self.value = Some(*value),
            Reported::Flag(flag) => self.value = Some(i64::from(*flag)),
            Reported::Items(items) => self.union(items.clone(), false),
            _ => {}
        }
    }

    fn merge(&mut self, other: Self) -> Option<()> {
        self.value = add_values(self.value, other.value)?;
        for (key, value) in other.cells {
            let sum = self.cells.entry(key).or_insert(0);
            *sum = sum.checked_add(value)?;
        }
        self.union(other.items, other.items_truncated);
        self.counts.expected += other.counts.expected;
        self.counts.reporting += other.counts.reporting;
        self.counts.done_no_number += other.counts.done_no_number;
        self.counts.not_done += other.counts.not_done;
        self.counts.not_applicable += other.counts.not_applicable;
        Some(())
    }

    /// Adds new items. Truncating a child's list loses nothing in its parent's: the child alone fills it.
    fn union(&mut self, items: Vec<String>, truncated: bool) {
        self.items_truncated |= truncated;
        if items.is_empty() {
            return;
        }
        let mut known: HashSet<String> = self.items.iter().cloned().collect();
        for item in items {
            if known.contains(&item) {
                continue;
            }
            if self.items.len() == MAX_TOTAL_ITEMS {
                self.items_truncated = true;
                return;
            }
            known.insert(item.clone());
            self.items.push(item);
        }
    }
}

/// Adds two values of which either may be missing. Returns none if the sum exceeds 64 bits.
fn add_values(a: Option<i64>, b: Option<i64>) -> Option<Option<i64>> {
    match (a, b) {
        (Some(a), Some(b)) => a.checked_add(b).map(Some),
        (a, b) => Some(a.or(b)),
    }
}

/// The sum of the contributions to one number of a total; none if no contribution is a number.
///
/// # Errors
/// A sum that exceeds 64 bits, exactly as in [`Total::roll_up`].
pub fn sum_of_contributions(
    indicator: &IndicatorCode,
    values: impl IntoIterator<Item = Option<i64>>,
) -> Result<Option<i64>, Overflow> {
    let mut values = values.into_iter();
    let sum = values.try_fold(None, add_values);
    sum.ok_or_else(|| Overflow(indicator.clone()))
}
