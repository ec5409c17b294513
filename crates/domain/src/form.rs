//! Forms: which indicators are reported together, by whom, how often and by when.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Days, FixedOffset, NaiveDate, TimeDelta, Utc};

use crate::calendar::Calendar;
use crate::code::{FormCode, IndicatorCode, UnitCode};
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
        Self { list, places }
    }
}

impl Deref for Indicators {
    type Target = [Arc<Indicator>];

    fn deref(&self) -> &Self::Target {
        &self.list
    }
}
