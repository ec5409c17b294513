//! The submissions of a country.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Write};

use tonghop_tests::{FORM, PERIOD};

/// How an indicator is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Flag,
    List,
    Text,
}

/// This many months up to the end of 2021; for one, the month of the example report.
pub(crate) fn months(count: usize) -> Vec<String> {
    if count == 1 {
        return vec![PERIOD.to_owned()];
    }
    let last = 2021 * 12 + 11;
    (0..count)
        .map(|back| last + 1 - count + back)
        .map(|month| format!("{}-{:02}", month / 12, month % 12 + 1))
        .collect()
}

/// A sequence of reports: one per turn, unit after unit, then the next period, and finally corrections.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    units: Vec<String>,
    pub(crate) periods: Vec<String>,
    indicators: Vec<(String, Kind)>,
}

impl Reports {
    /// The reports of these units on these periods and indicators.
    pub(crate) fn new(units: Vec<String>, periods: Vec<String>, indicators: Vec<(String, Kind)>) -> Self {
        Self {
            units,
            periods,
            indicators,
        }
    }

    /// The number of reports before corrections begin.
    pub(crate) fn first_revisions(&self) -> u64 {
        (self.units.len() * self.periods.len()) as u64
    }

    /// The same of the first units only.
    pub(crate) fn of_first(mut self, units: usize) -> Self {
        self.units.truncate(units);
        self
    }

    /// The body of a turn's report. Every turn differs.
    pub(crate) fn body(&self, turn: u64) -> String {
        let (unit, period) = self.about(turn);
        let mut body = format!(r#"{{"form":"{FORM}","period":"{period}","unit":"{unit}","figures":["#);
        for (at, (code, kind)) in self.indicators.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let (field, figure) = (kind.field(), Figure::new(turn, at, *kind));
            // Writing into a string cannot fail.
            write!(body, r#"{comma}{{"indicator":"{code}","{field}":{figure}}}"#).ok();
        }
        body += "]}";
        body
    }

    /// The country's totals after the first report of each unit for the first period: sums or counts of `true`; none for
    /// indicators that are not added up.
    pub(crate) fn sums(&self) -> BTreeMap<String, Option<i64>> {
        let sum = |(at, (code, kind)): (usize, &(String, Kind))| {
            let sum = matches!(kind, Kind::Number | Kind::Flag).then(|| {
                let turns = 0..self.units.len() as u64;
                turns.map(|turn| Figure::new(turn, at, *kind).added()).sum()
            });
            (code.clone(), sum)
        };
        self.indicators.iter().enumerate().map(sum).collect()
    }

    fn about(&self, turn: u64) -> (&str, &str) {
        let (turn, units) = (turn as usize, self.units.len());
        (
            &self.units[turn % units],
            &self.periods[turn / units % self.periods.len()],
        )
    }
}

/// A value of an indicator, which formats as JSON.
#[derive(Clone, Copy, Debug)]
enum Figure {
    Number(u64),
    Flag(bool),
    /// Two items; the first is one of a few.
    List(u64),
    Text,
}

impl Kind {
    /// The field of the submission that contains it.
    fn field(self) -> &'static str {
        match self {
            Self::Number | Self::Flag => "value",
            Self::List => "items",
            Self::Text => "text",
        }
    }
}

impl Figure {
    /// The first figure of each report is a unique number.
    fn new(turn: u64, at: usize, kind: Kind) -> Self {
        let number = turn * 31 + at as u64 * 17;
        match kind {
            Kind::Number if at == 0 => Self::Number(turn),
            Kind::Number => Self::Number(number % 1000),
            Kind::Flag => Self::Flag(number.is_multiple_of(2)),
            Kind::List => Self::List(number % 40),
            Kind::Text => Self::Text,
        }
    }

    /// The amount that it adds to a total.
    fn added(self) -> i64 {
        match self {
            Self::Number(number) => number.cast_signed(),
            Self::Flag(yes) => i64::from(yes),
            Self::List(_) | Self::Text => 0,
        }
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Flag(yes) => yes.fmt(f),
            Self::List(number) => write!(f, r#"["Khẩu hiệu {number}","Không để ai bị bỏ lại phía sau"]"#),
            Self::Text => f.write_str(
                r#""Công tác tuyên truyền được triển khai đúng kế hoạch, kịp thời và thiết thực.""#,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::country::{Country, Reporters};

    #[test]
    fn every_turn_says_something_new_about_the_next_unit_and_then_the_next_period() {
        let country = Country::new(Reporters::Districts, Some(1));
        let reports = country.reports(3, &months(2));
        assert_eq!(reports.first_revisions(), 24);
        let about = |turn| reports.about(turn);
        assert_eq!(about(0), ("866", "2021-11"));
        assert_eq!(about(11), ("877", "2021-11"));
        assert_eq!(about(12), ("866", "2021-12"));
        assert_eq!(about(24), ("866", "2021-11"));
        let bodies: BTreeSet<String> = (0..1000).map(|turn| reports.body(turn)).collect();
        assert_eq!(bodies.len(), 1000);
        let body: Value = serde_json::from_str(&reports.body(5)).unwrap();
        assert_eq!(body["figures"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn the_sums_are_those_of_the_bodies() {
        let country = Country::new(Reporters::Districts, Some(1));
        let reports = country.reports(usize::MAX, &months(1));
        let sums = reports.sums();
        assert_eq!(sums.len(), 66);
        let mut added: BTreeMap<String, i64> = BTreeMap::new();
        for turn in 0..12 {
            let body: Value = serde_json::from_str(&reports.body(turn)).unwrap();
            for figure in body["figures"].as_array().unwrap() {
                let value = &figure["value"];
                let number = value.as_i64().unwrap_or(i64::from(value == &json!(true)));
                *added
                    .entry(figure["indicator"].as_str().unwrap().into())
                    .or_default() += number;
            }
        }
        for (code, sum) in sums {
            assert_eq!(sum.unwrap_or_default(), added[&code], "{code}");
        }
    }

    #[test]
    fn months_end_with_2021() {
        assert_eq!(months(1), ["2021-07"]);
        assert_eq!(months(60).first().map(String::as_str), Some("2017-01"));
        assert_eq!(months(60).last().map(String::as_str), Some("2021-12"));
    }
}
