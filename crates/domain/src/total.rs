//! Totals, and the one rule by which they come about.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use crate::{CellKey, Content, Form, IndicatorCode, Kind, Place, Reported, Scope, UnitCode};

/// How many units a coverage names; the counts go on beyond.
pub const MAX_NAMED_UNITS: usize = 200;
/// How many items a total holds.
pub const MAX_TOTAL_ITEMS: usize = 200;

/// A sum that no longer fits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sum of {0} does not fit")]
pub struct Overflow(pub IndicatorCode);

/// A unit's accepted report, as far as totals need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// When the first revision since the last withdrawal came.
    pub first_received_at: DateTime<Utc>,
    /// What the current revision says.
    pub content: Content,
}

/// How many units are expected to report and how many did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Units at or below that report the form.
    pub expected: u32,
    /// Those that did.
    pub reported: u32,
    /// Those that did not: the first 200 in byte order of their codes.
    pub missing: Vec<UnitCode>,
    /// Those that did after the due time: the first 200 likewise.
    pub late: Vec<UnitCode>,
    /// How many were late.
    pub late_count: u32,
}

impl Coverage {
    /// How many did not report. A coverage that was falsified in the database is shown as it is, not a panic.
    pub fn missing_count(&self) -> u32 {
        self.expected.saturating_sub(self.reported)
    }
}

/// How the expected units stand to one indicator. With `not_reported` they add up to `expected`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Gave a value, items or a text.
    pub reporting: u32,
    /// Did it, without a number.
    pub done_no_number: u32,
    /// Did not do it.
    pub not_done: u32,
    /// It does not apply to them.
    pub not_applicable: u32,
}

impl Counts {
    /// How many said nothing of it, out of `expected`.
    pub fn not_reported(&self, expected: u32) -> u32 {
        let said = [
            self.reporting,
            self.done_no_number,
            self.not_done,
            self.not_applicable,
        ];
        said.iter()
            .fold(expected, |left, count| left.saturating_sub(*count))
    }
}

/// One indicator of a total.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The sum, or for a flag the count of yes; none when nobody gave a number.
    pub value: Option<i64>,
    /// The distinct items of a list: the unit's own first, then its children's; the first 200.
    pub items: Vec<String>,
    /// Whether there are more items than these.
    pub items_truncated: bool,
    /// The breakdowns.
    pub cells: BTreeMap<CellKey, i64>,
    /// Who said what.
    pub counts: Counts,
}

/// A unit's figures with all below it: one line for each indicator that units report, in the form's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// Who reported.
    pub coverage: Coverage,
    /// The indicators.
    pub lines: Vec<Line>,
}

impl Total {
    /// What a unit alone contributes: its report, or that it is missing, or nothing where it need not report.
    pub fn of_unit(scope: &Scope, place: Place<'_>, report: Option<&Report>) -> Self {
        let form = &scope.form;
        let mut total = Self {
            coverage: Coverage::default(),
            lines: vec![Line::default(); form.reportable().count()],
        };
        if !form.is_reported_by(place.unit()) {
            return total;
        }
        total.coverage.expected = 1;
        let Some(report) = report else {
            total.coverage.missing.push(place.code().clone());
            return total;
        };
        total.coverage.reported = 1;
        if report.first_received_at > form.due_at(scope.period) {
            total.coverage.late.push(place.code().clone());
            total.coverage.late_count = 1;
        }
        for figure in &report.content.figures {
            let line = form.line(figure.indicator.as_str());
            if let Some(line) = line.and_then(|at| total.lines.get_mut(at)) {
                line.take(&figure.reported);
                line.cells
                    .extend(figure.cells.iter().map(|cell| (cell.key.clone(), cell.value)));
            }
        }
        total
    }

    /// Brings a unit's own part and its children's together, whatever the order in which the children are given.
    ///
    /// # Errors
    /// A sum that does not fit.
    pub fn roll_up(form: &Form, own: Self, mut children: Vec<(UnitCode, Self)>) -> Result<Self, Overflow> {
        children.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut total = own;
        for (_, child) in children {
            total.merge(form, child)?;
        }
        Ok(total)
    }

    fn merge(&mut self, form: &Form, other: Self) -> Result<(), Overflow> {
        let coverage = &mut self.coverage;
        coverage.expected += other.coverage.expected;
        coverage.reported += other.coverage.reported;
        coverage.late_count += other.coverage.late_count;
        merge_codes(&mut coverage.missing, other.coverage.missing);
        merge_codes(&mut coverage.late, other.coverage.late);
        for ((line, part), indicator) in self.lines.iter_mut().zip(other.lines).zip(form.reportable()) {
            line.merge(part).ok_or_else(|| Overflow(indicator.code.clone()))?;
        }
        Ok(())
    }

    /// The ratios of the form: none over nothing, or over 0.
    pub fn ratios(&self, form: &Form) -> Vec<(IndicatorCode, Option<f64>)> {
        let value = |code: &IndicatorCode| self.lines.get(form.line(code.as_str())?)?.value;
        let ratio = |indicator: &crate::Indicator| match &indicator.kind {
            Kind::Ratio(formula) => {
                let above = value(&formula.numerator);
                let below = value(&formula.denominator).filter(|below| *below != 0);
                let quotient = above
                    .zip(below)
                    .map(|(above, below)| formula.factor as f64 * above as f64 / below as f64);
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

impl Line {
    fn take(&mut self, reported: &Reported) {
        let counts = &mut self.counts;
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
        self.value = match (self.value, other.value) {
            (Some(a), Some(b)) => Some(a.checked_add(b)?),
            (a, b) => a.or(b),
        };
        for (key, value) in other.cells {
            let sum = self.cells.entry(key).or_insert(0);
            *sum = sum.checked_add(value)?;
        }
        self.union(other.items, other.items_truncated);
        self.counts.reporting += other.counts.reporting;
        self.counts.done_no_number += other.counts.done_no_number;
        self.counts.not_done += other.counts.not_done;
        self.counts.not_applicable += other.counts.not_applicable;
        Some(())
    }

    /// Cutting at 200 loses nothing on the way up: a child that was cut fills its parent's list by itself.
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

fn merge_codes(codes: &mut Vec<UnitCode>, other: Vec<UnitCode>) {
    codes.extend(other);
    codes.sort();
    codes.truncate(MAX_NAMED_UNITS);
}
