//! Indicators, dimensions and forms: what is counted, and who reports it when.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Days, FixedOffset, NaiveDate, Utc};

use crate::{
    Calendar, CategoryCode, DimensionCode, FormCode, Frequency, IndicatorCode, Level, Names, Period, UnitCode,
};

/// What an indicator measures and so how its figures merge across units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Events over the period: adds up across units and across time.
    Flow,
    /// A state at the end of the period: adds up across units, the last one counts across time.
    Stock,
    /// Yes or no: a total counts the yes.
    Flag,
    /// Short texts: a total holds each once, in order.
    List,
    /// A text of each unit: a total only counts who wrote one.
    Text,
    /// Computed on read from other indicators' totals; never reported.
    Ratio(Formula),
}

impl Kind {
    /// The word for the kind in files and answers.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Stock => "stock",
            Self::Flag => "flag",
            Self::List => "list",
            Self::Text => "text",
            Self::Ratio(_) => "ratio",
        }
    }
}

/// `factor * numerator / denominator`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formula {
    /// What the quotient is multiplied by: 100 for a percentage.
    pub factor: i64,
    /// The indicator above the line.
    pub numerator: IndicatorCode,
    /// The indicator below the line.
    pub denominator: IndicatorCode,
}

impl std::fmt::Display for Formula {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}*{}/{}", self.factor, self.numerator, self.denominator)
    }
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indicator {
    /// The code.
    pub code: IndicatorCode,
    /// The names.
    pub names: Names,
    /// The unit of measure; empty for texts.
    pub measure: Names,
    /// The kind.
    pub kind: Kind,
    /// The type of its values in the catalogue's words: `count`, `money`, `minutes` …
    pub value_type: String,
    /// The rule across time in the catalogue's words: `sum`, `last`, `max`, `any` …
    pub across_time: String,
    /// The dimensions by which it may be broken down, alone or crossed.
    pub breakdowns: Vec<DimensionCode>,
    /// The smallest value allowed.
    pub min: Option<i64>,
    /// The largest value allowed.
    pub max: Option<i64>,
    /// Whether it tells of persons who must not be known, so that whoever reads its figures is noted.
    pub confidential: bool,
}

/// A way to break a figure down, with its categories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// The code.
    pub code: DimensionCode,
    /// The categories, in the order of the catalogue.
    pub categories: Vec<Category>,
}

/// One category of a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// The code.
    pub code: CategoryCode,
    /// The names.
    pub names: Names,
}

/// Which indicators are reported together, by whom, how often and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The code.
    pub code: FormCode,
    /// The version, counted from 1.
    pub version: i32,
    /// The names.
    pub names: Names,
    /// The first day on which this version holds; none means always before.
    pub valid_from: Option<NaiveDate>,
    /// The first day on which it no longer holds; none means still.
    pub valid_to: Option<NaiveDate>,
    /// How often it is reported.
    pub frequency: Frequency,
    /// The periods of a year for which it is reported, counted from 1; empty means every one.
    pub numbers: Vec<u8>,
    /// The calendar of its periods.
    pub calendar: Calendar,
    /// Days from the period's last day to the day on whose last second the report is due.
    pub due_days: u32,
    /// The offset from UTC of the clock by which it is due.
    pub offset: FixedOffset,
    /// The levels whose units report it.
    pub reporting_levels: Vec<Level>,
    /// Units that report it besides.
    pub reporting_units: Vec<UnitCode>,
    /// Its indicators in its order, ratios among them.
    pub indicators: Indicators,
}

impl Form {
    /// Whether the form is reported for `period`.
    pub fn has_period(&self, period: Period) -> bool {
        let day = period.last_day(self.calendar);
        period.frequency() == self.frequency
            && (self.numbers.is_empty() || self.numbers.contains(&period.number()))
            && self.valid_from.is_none_or(|from| from <= day)
            && self.valid_to.is_none_or(|to| day < to)
    }

    /// Whether `unit` reports the form.
    pub fn is_reported_by(&self, unit: &crate::Unit) -> bool {
        self.reporting_levels.contains(&unit.level) || self.reporting_units.contains(&unit.code)
    }

    /// The last second in which a report on `period` is in time.
    pub fn due_at(&self, period: Period) -> DateTime<Utc> {
        let day = period.last_day(self.calendar) + Days::new(u64::from(self.due_days));
        let local = day.and_hms_opt(23, 59, 59).unwrap_or_default();
        local.and_utc() - chrono::Duration::seconds(i64::from(self.offset.local_minus_utc()))
    }

    /// The indicators that units report, in the form's order.
    pub fn reportable(&self) -> impl Iterator<Item = &Arc<Indicator>> {
        self.indicators
            .iter()
            .filter(|indicator| !matches!(indicator.kind, Kind::Ratio(_)))
    }

    /// Whether an indicator with this code is on the form and confidential.
    pub fn is_confidential(&self, code: &str) -> bool {
        self.indicator(code)
            .is_some_and(|indicator| indicator.confidential)
    }

    /// The indicator with a code, if it is on the form.
    pub fn indicator(&self, code: &str) -> Option<&Arc<Indicator>> {
        let at = self.indicators.places.get(code)?.at;
        self.indicators.list.get(at)
    }

    /// Which of the [reportable](Self::reportable) indicators has a code, counted from 0.
    pub fn line(&self, code: &str) -> Option<usize> {
        self.indicators.places.get(code)?.line
    }
}

/// Indicators in an order, found by their codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indicators {
    list: Vec<Arc<Indicator>>,
    places: HashMap<IndicatorCode, IndicatorPlace>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct IndicatorPlace {
    at: usize,
    /// Among those that units report.
    line: Option<usize>,
}

impl FromIterator<Arc<Indicator>> for Indicators {
    fn from_iter<I: IntoIterator<Item = Arc<Indicator>>>(indicators: I) -> Self {
        let list: Vec<Arc<Indicator>> = indicators.into_iter().collect();
        let (mut places, mut lines) = (HashMap::with_capacity(list.len()), 0..);
        for (at, indicator) in list.iter().enumerate() {
            let is_reported = !matches!(indicator.kind, Kind::Ratio(_));
            let line = is_reported.then(|| lines.next()).flatten();
            let place = IndicatorPlace { at, line };
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
