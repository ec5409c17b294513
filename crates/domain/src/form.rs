//! Forms: which indicators are reported together, by whom, how often and by when.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Days, FixedOffset, NaiveDate, TimeDelta, Utc};

use crate::calendar::Calendar;
use crate::code::{FormCode, IndicatorCode, UnitCode};
use crate::field_error::FieldError;
use crate::figure::Content;
use crate::form_check::{FigureIndex, FormCheck, Severity, failed_checks};
use crate::indicator::{Indicator, Kind};
use crate::names::Names;
use crate::period::{Frequency, Period};
use crate::unit::{Level, Unit};

/// One version of a form: its indicators, who reports them, how often and by when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The code.
    pub code: FormCode,
    /// The version, counted from 1.
    pub version: i32,
    /// The names.
    pub names: Names,
    /// The first day of this version's validity; none if it has always been valid.
    pub valid_from: Option<NaiveDate>,
    /// The first day after this version's validity; none if it is still valid.
    pub valid_to: Option<NaiveDate>,
    /// The reporting frequency.
    pub frequency: Frequency,
    /// The periods of a year for which the form is reported, counted from 1; empty for every period.
    pub numbers: Vec<u8>,
    /// The calendar of the periods.
    pub calendar: Calendar,
    /// Days before the period's first day from which the form can be reported; 0 if from that day on.
    pub opens_days: u32,
    /// Days from the period's last day to the last day of the deadline.
    pub due_days: u32,
    /// The offset from UTC of the time zone in which the deadline is stated.
    pub offset: FixedOffset,
    /// The levels whose units report the form.
    pub reporting_levels: Vec<Level>,
    /// Further units that report the form.
    pub reporting_units: Vec<UnitCode>,
    /// The indicators, including ratios, in the form's order.
    pub indicators: Indicators,
    /// Who is expected to report which indicators. An indicator that no rule names is expected of every unit that reports
    /// the form.
    pub expectations: Vec<Expectation>,
    /// What must hold across the indicators of a report.
    pub checks: Vec<FormCheck>,
}

/// A rule that says which units are expected to report some indicators of a form. Several rules for one indicator add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    /// The indicators.
    pub indicators: Vec<IndicatorCode>,
    /// The levels whose reporting units are expected to report them.
    pub levels: Vec<Level>,
    /// Further units that are expected to report them.
    pub units: Vec<UnitCode>,
}

impl Expectation {
    /// Whether the rule names a unit, by its level or by its code.
    pub fn names(&self, unit: &Unit) -> bool {
        self.levels.contains(&unit.level) || self.units.contains(&unit.code)
    }
}

impl Form {
    /// Whether the form is reported for `period`.
    pub fn has_period(&self, period: Period) -> bool {
        period.frequency() == self.frequency
            && (self.numbers.is_empty() || self.numbers.contains(&period.number()))
            && self.is_valid_on(period.last_day(self.calendar))
    }

    /// Whether this version is valid on `day`.
    pub fn is_valid_on(&self, day: NaiveDate) -> bool {
        self.valid_from.is_none_or(|from| from <= day) && self.valid_to.is_none_or(|to| day < to)
    }

    /// Whether the validity of two versions overlaps on any day.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let ends_after = |a: &Self, b: &Self| match (a.valid_to, b.valid_from) {
            (Some(to), Some(from)) => to > from,
            _ => true,
        };
        ends_after(self, other) && ends_after(other, self)
    }

    /// Whether `unit` reports the form.
    pub fn is_reported_by(&self, unit: &Unit) -> bool {
        self.reporting_levels.contains(&unit.level) || self.reporting_units.contains(&unit.code)
    }

    /// For each [reportable](Self::reportable) indicator, whether `unit`, which reports the form, is expected to report it.
    pub fn expected_rows(&self, unit: &Unit) -> Vec<bool> {
        self.rows_of_rules(&self.rules_that_name(unit))
    }

    /// The rules about expected reporters that name `unit`, by their indexes.
    pub(crate) fn rules_that_name(&self, unit: &Unit) -> Vec<usize> {
        let rules = self.expectations.iter().enumerate();
        rules
            .filter(|(_, rule)| rule.names(unit))
            .map(|(at, _)| at)
            .collect()
    }

    /// For each reportable indicator, whether it is expected of units that exactly these rules name.
    pub(crate) fn rows_of_rules(&self, named: &[usize]) -> Vec<bool> {
        let mut rows = vec![true; self.indicators.rows];
        let rows_of = |rule: &Expectation| -> Vec<usize> {
            let rows = rule.indicators.iter().map(|code| self.row_index(code.as_str()));
            rows.flatten().collect()
        };
        for row in self.expectations.iter().flat_map(rows_of) {
            rows[row] = false;
        }
        let named = named.iter().filter_map(|at| self.expectations.get(*at));
        for row in named.flat_map(rows_of) {
            rows[row] = true;
        }
        rows
    }

    /// The checks of this severity that a report fails.
    pub fn failed_checks(&self, severity: Severity, content: &Content) -> Vec<FieldError> {
        if self.checks.is_empty() {
            return Vec::new();
        }
        let figures = FigureIndex::new(content.figures.iter().enumerate());
        failed_checks(self.checks.iter(), severity, &figures)
    }

    /// The first day on which `period` can be reported.
    pub fn opens_on(&self, period: Period) -> NaiveDate {
        period.first_day(self.calendar) - Days::new(u64::from(self.opens_days))
    }

    /// The deadline of `period`: the last second in which a report is on time.
    pub fn due_at(&self, period: Period) -> DateTime<Utc> {
        let day = period.last_day(self.calendar) + Days::new(u64::from(self.due_days));
        let local = day.and_hms_opt(23, 59, 59).unwrap_or_default();
        local.and_utc() - TimeDelta::seconds(i64::from(self.offset.local_minus_utc()))
    }

    /// The moment after the last second of the deadline of `period`: the first in which a report is late.
    pub fn due_before(&self, period: Period) -> DateTime<Utc> {
        self.due_at(period) + TimeDelta::seconds(1)
    }

    /// The indicators that units report, in the form's order: all but ratios.
    pub fn reportable(&self) -> impl Iterator<Item = &Arc<Indicator>> {
        self.indicators
            .iter()
            .filter(|indicator| !matches!(indicator.kind, Kind::Ratio(_)))
    }

    /// Whether the form contains a confidential indicator with this code.
    pub fn is_confidential(&self, code: &str) -> bool {
        self.indicator(code)
            .is_some_and(|indicator| indicator.confidential)
    }

    /// The indicator with a code, if the form contains it.
    pub fn indicator(&self, code: &str) -> Option<&Arc<Indicator>> {
        let at = self.indicators.places.get(code)?.at;
        self.indicators.list.get(at)
    }

    /// The position of an indicator among the [reportable](Self::reportable) ones, counted from 0.
    pub fn row_index(&self, code: &str) -> Option<usize> {
        self.indicators.places.get(code)?.row
    }
}

/// Indicators in a fixed order, with an index by code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indicators {
    list: Vec<Arc<Indicator>>,
    places: HashMap<IndicatorCode, IndicatorPlace>,
    /// The number of indicators that units report.
    rows: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct IndicatorPlace {
    at: usize,
    /// The position among the indicators that units report; none for a ratio.
    row: Option<usize>,
}

impl FromIterator<Arc<Indicator>> for Indicators {
    fn from_iter<I: IntoIterator<Item = Arc<Indicator>>>(indicators: I) -> Self {
        let list: Vec<Arc<Indicator>> = indicators.into_iter().collect();
        let (mut places, mut rows) = (HashMap::with_capacity(list.len()), 0..);
        for (at, indicator) in list.iter().enumerate() {
            let is_reported = !matches!(indicator.kind, Kind::Ratio(_));
            let row = is_reported.then(|| rows.next()).flatten();
            let place = IndicatorPlace { at, row };
            places.entry(indicator.code.clone()).or_insert(place);
        }
        let rows = list
            .iter()
            .filter(|one| !matches!(one.kind, Kind::Ratio(_)))
            .count();
        Self { list, places, rows }
    }
}

impl Deref for Indicators {
    type Target = [Arc<Indicator>];

    fn deref(&self) -> &Self::Target {
        &self.list
    }
}
