//! Periods: the spans of time that reports cover.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use chrono::{Days, Months, NaiveDate};

use crate::calendar::Calendar;

/// The years that a period may name.
const YEARS: RangeInclusive<i32> = 2000..=2199;

/// The error for a text that is not a period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a period is written 2021, 2021-H1, 2021-Q3, 2021-9M or 2021-07, with a year from 2000 to 2199")]
pub struct InvalidPeriod;

/// The part of a year that a period spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Span {
    Year,
    Half(u8),
    Quarter(u8),
    NineMonths,
    Month(u8),
}

/// A reporting period: a year, half-year, quarter, first nine months, or month.
///
/// ```
/// use tonghop_domain::{Calendar, Period};
/// let july: Period = "2021-07".parse()?;
/// assert_eq!(july.last_day(Calendar::Civil).to_string(), "2021-07-31");
/// # Ok::<(), tonghop_domain::InvalidPeriod>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    year: i32,
    span: Span,
}

/// The reporting frequency of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Frequency {
    /// Once a year: `2021`.
    Yearly,
    /// Every half-year: `2021-H1`.
    HalfYearly,
    /// Every quarter: `2021-Q3`.
    Quarterly,
    /// The first nine months of a year: `2021-9M`.
    NineMonthly,
    /// Every month: `2021-07`.
    Monthly,
}

impl Period {
    /// Every valid period.
    pub fn all() -> impl Iterator<Item = Self> {
        let spans = [Span::Year, Span::NineMonths]
            .into_iter()
            .chain((1..=2).map(Span::Half))
            .chain((1..=4).map(Span::Quarter))
            .chain((1..=12).map(Span::Month));
        YEARS.flat_map(move |year| spans.clone().map(move |span| Self { year, span }))
    }

    /// The year that names the period.
    pub fn year(self) -> i32 {
        self.year
    }

    /// The frequency of forms with such periods.
    pub fn frequency(self) -> Frequency {
        match self.span {
            Span::Year => Frequency::Yearly,
            Span::Half(_) => Frequency::HalfYearly,
            Span::Quarter(_) => Frequency::Quarterly,
            Span::NineMonths => Frequency::NineMonthly,
            Span::Month(_) => Frequency::Monthly,
        }
    }

    /// The number of the period within its year, from 1.
    pub fn number(self) -> u8 {
        match self.span {
            Span::Year | Span::NineMonths => 1,
            Span::Half(n) | Span::Quarter(n) | Span::Month(n) => n,
        }
    }

    /// The first day of the period.
    pub fn first_day(self, calendar: Calendar) -> NaiveDate {
        let (first, _) = self.months();
        calendar.month_start(month_start(self.year, first))
    }

    /// The last day of the period.
    pub fn last_day(self, calendar: Calendar) -> NaiveDate {
        let (_, last) = self.months();
        let next = month_start(self.year, last) + Months::new(1);
        calendar.month_start(next) - Days::new(1)
    }

    fn months(self) -> (u8, u8) {
        match self.span {
            Span::Year => (1, 12),
            Span::Half(n) => (n * 6 - 5, n * 6),
            Span::Quarter(n) => (n * 3 - 2, n * 3),
            Span::NineMonths => (1, 9),
            Span::Month(n) => (n, n),
        }
    }
}

fn month_start(year: i32, month: u8) -> NaiveDate {
    // Parsing bounds the year and the month, so the date exists.
    NaiveDate::from_ymd_opt(year, u32::from(month), 1).unwrap_or_default()
}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let (year, rest) = match text.split_once('-') {
            Some((year, rest)) => (year, Some(rest)),
            None => (text, None),
        };
        if year.len() != 4 || !year.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidPeriod);
        }
        let year: i32 = year.parse().map_err(|_| InvalidPeriod)?;
        if !YEARS.contains(&year) {
            return Err(InvalidPeriod);
        }
        let span = match rest {
            None => Span::Year,
            Some("9M") => Span::NineMonths,
            Some("H1") => Span::Half(1),
            Some("H2") => Span::Half(2),
            Some("Q1") => Span::Quarter(1),
            Some("Q2") => Span::Quarter(2),
            Some("Q3") => Span::Quarter(3),
            Some("Q4") => Span::Quarter(4),
            Some(month) if month.len() == 2 && month.bytes().all(|b| b.is_ascii_digit()) => {
                match month.parse().map_err(|_| InvalidPeriod)? {
                    n @ 1..=12 => Span::Month(n),
                    _ => return Err(InvalidPeriod),
                }
            }
            Some(_) => return Err(InvalidPeriod),
        };
        Ok(Self { year, span })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let year = self.year;
        match self.span {
            Span::Year => write!(f, "{year}"),
            Span::Half(n) => write!(f, "{year}-H{n}"),
            Span::Quarter(n) => write!(f, "{year}-Q{n}"),
            Span::NineMonths => write!(f, "{year}-9M"),
            Span::Month(n) => write!(f, "{year}-{n:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_period_is_parsed_and_formatted_alike() {
        for text in [
            "2021", "2021-H1", "2021-H2", "2021-Q3", "2021-9M", "2021-07", "2021-12",
        ] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        for text in [
            "", "21", "2021-13", "2021-00", "2021-7", "2021-Q5", "2021-H3", "2021-6M", "2021-", "1999",
            "+021",
        ] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_decree_month_runs_from_the_15th_to_the_14th() {
        let days = |text: &str, calendar| {
            let period: Period = text.parse().unwrap();
            (
                period.first_day(calendar).to_string(),
                period.last_day(calendar).to_string(),
            )
        };
        assert_eq!(
            days("2021-07", Calendar::Decree09),
            ("2021-06-15".into(), "2021-07-14".into())
        );
        assert_eq!(
            days("2021", Calendar::Decree09),
            ("2020-12-15".into(), "2021-12-14".into())
        );
        assert_eq!(
            days("2024-02", Calendar::Civil),
            ("2024-02-01".into(), "2024-02-29".into())
        );
        assert_eq!(
            days("2021-9M", Calendar::Civil),
            ("2021-01-01".into(), "2021-09-30".into())
        );
    }
}
