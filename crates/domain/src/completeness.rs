//! Completeness: which of the expected reports were received, and which of those on time.

use chrono::{DateTime, Utc};

use crate::catalogue::Scope;
use crate::code::UnitCode;
use crate::figure::Content;
use crate::form::Form;
use crate::unit::Unit;

/// The maximum number of units that a completeness lists by code; the counts include all units.
pub const MAX_LISTED_UNITS: usize = 200;

/// Whether a unit reported, and whether on time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportStatus {
    /// The unit has not reported.
    Missing,
    /// The unit reported by the deadline.
    OnTime,
    /// The unit reported after the deadline.
    Late,
}

/// The indicators that a unit is expected to report, and those of them that it answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Indicators that the unit is expected to report.
    pub expected: u32,
    /// Those of them for which its report has a value, items, a text or a state.
    pub answered: u32,
}

impl Form {
    /// How many of its indicators `unit`, which reports the form, has answered with a report of this content.
    pub fn answers(&self, unit: &Unit, content: Option<&Content>) -> Answers {
        let mut open = self.expected_rows(unit);
        let expected = count(&open);
        for figure in content.iter().flat_map(|content| &content.figures) {
            let row = self.row_index(figure.indicator.as_str());
            if let Some(row) = row.and_then(|row| open.get_mut(row)) {
                *row = false;
            }
        }
        Answers {
            expected,
            answered: expected - count(&open),
        }
    }
}

fn count(rows: &[bool]) -> u32 {
    rows.iter().map(|row| u32::from(*row)).sum()
}

impl Scope {
    /// The status of a report by the time of its first revision since the last withdrawal.
    pub fn report_status(&self, first_received_at: Option<DateTime<Utc>>) -> ReportStatus {
        match first_received_at {
            None => ReportStatus::Missing,
            Some(time) if time >= self.form.due_before(self.period) => ReportStatus::Late,
            Some(_) => ReportStatus::OnTime,
        }
    }
}

/// The number of units that are expected to report, and of those that did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompletenessCounts {
    /// Units that are expected to report.
    pub expected: u32,
    /// Units that reported, late or not.
    pub reported: u32,
    /// Units that reported after the deadline.
    pub late: u32,
}

impl CompletenessCounts {
    /// The number of units that did not report. Counts that were corrupted in the database do not cause a panic.
    pub fn missing(self) -> u32 {
        self.expected.saturating_sub(self.reported)
    }

    fn add(self, other: Self) -> Self {
        Self {
            expected: self.expected + other.expected,
            reported: self.reported + other.reported,
            late: self.late + other.late,
        }
    }
}

impl From<ReportStatus> for CompletenessCounts {
    fn from(status: ReportStatus) -> Self {
        Self {
            expected: 1,
            reported: u32::from(status != ReportStatus::Missing),
            late: u32::from(status == ReportStatus::Late),
        }
    }
}

impl FromIterator<ReportStatus> for CompletenessCounts {
    fn from_iter<I: IntoIterator<Item = ReportStatus>>(statuses: I) -> Self {
        statuses
            .into_iter()
            .map(Self::from)
            .fold(Self::default(), Self::add)
    }
}

/// The completeness of a total: counts, and the codes of missing and late units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    /// The number of units at or below that report the form.
    pub expected: u32,
    /// The number of units that reported.
    pub reported: u32,
    /// The units that did not report: the first 200, each before the units below it, in the catalogue's order.
    pub missing: Vec<UnitCode>,
    /// The units that reported after the deadline: the first 200 in the same order.
    pub late: Vec<UnitCode>,
    /// The number of units that reported after the deadline.
    pub late_count: u32,
}

impl Completeness {
    /// The completeness of one unit that is expected to report.
    pub(crate) fn of_unit(unit: &UnitCode, status: ReportStatus) -> Self {
        let counts = CompletenessCounts::from(status);
        let listed_if = |wanted| {
            if status == wanted {
                vec![unit.clone()]
            } else {
                Vec::new()
            }
        };
        Self {
            expected: counts.expected,
            reported: counts.reported,
            missing: listed_if(ReportStatus::Missing),
            late: listed_if(ReportStatus::Late),
            late_count: counts.late,
        }
    }

    /// The completeness of units of which none reported, in this order.
    pub(crate) fn of_missing<'a>(units: impl Iterator<Item = &'a UnitCode>) -> Self {
        let mut missing: Vec<UnitCode> = units.cloned().collect();
        let expected = u32::try_from(missing.len()).unwrap_or(u32::MAX);
        missing.truncate(MAX_LISTED_UNITS);
        Self {
            expected,
            missing,
            ..Self::default()
        }
    }

    /// The counts.
    pub fn counts(&self) -> CompletenessCounts {
        CompletenessCounts {
            expected: self.expected,
            reported: self.reported,
            late: self.late_count,
        }
    }

    /// Adds the completeness of units that follow.
    pub(crate) fn merge(&mut self, other: Self) {
        let counts = self.counts().add(other.counts());
        self.expected = counts.expected;
        self.reported = counts.reported;
        self.late_count = counts.late;
        merge_codes(&mut self.missing, other.missing);
        merge_codes(&mut self.late, other.late);
    }
}

fn merge_codes(codes: &mut Vec<UnitCode>, other: Vec<UnitCode>) {
    codes.extend(other);
    codes.truncate(MAX_LISTED_UNITS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_distinguish_missing_on_time_and_late_reports() {
        use ReportStatus::{Late, Missing, OnTime};
        let counts: CompletenessCounts = [OnTime, Missing, Late, OnTime].into_iter().collect();
        assert_eq!((counts.expected, counts.reported, counts.late), (4, 3, 1));
        assert_eq!(counts.missing(), 1);
    }
}
