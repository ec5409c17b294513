//! Calendars: which days a reporting month has, and what day it is where the reporting units are.

use chrono::{DateTime, Days, FixedOffset, Months, NaiveDate, Utc};

/// The days of a form's months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calendar {
    /// Months of the civil calendar.
    Civil,
    /// Decree 09/2019/NĐ-CP, article 12: a month runs from the 15th of the month before to the 14th.
    Decree09,
}

impl Calendar {
    /// The first day of a month that begins on this day in the civil calendar.
    pub(crate) fn month_start(self, civil: NaiveDate) -> NaiveDate {
        match self {
            Self::Civil => civil,
            Self::Decree09 => civil - Months::new(1) + Days::new(14),
        }
    }
}

/// The date at `now` in the time zone with this offset from UTC.
pub(crate) fn today(now: DateTime<Utc>, offset: FixedOffset) -> NaiveDate {
    now.with_timezone(&offset).date_naive()
}
