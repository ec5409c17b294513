//! Announcements: what is told to others after a change is committed. Hints, never figures.

use crate::{FormCode, Period, SubmissionId, UnitCode};

/// Something changed; whoever cares reads again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// Revisions of submissions were recorded in one commit, for one form, period and province.
    SubmissionsRecorded {
        /// The form reported.
        form: FormCode,
        /// The period reported.
        period: Period,
        /// The province of the units, or the root for units outside provinces.
        province: UnitCode,
        /// What was recorded, in the order of the commit.
        submissions: Vec<RecordedRevision>,
    },
    /// A refresh wrote a total.
    TotalChanged {
        /// The total's form.
        form: FormCode,
        /// The total's period.
        period: Period,
        /// The province of the unit, or the root for units outside provinces.
        province: UnitCode,
        /// The total's unit.
        unit: UnitCode,
        /// The total's version, counted from 1.
        version: i64,
    },
}

/// One revision in [`Announcement::SubmissionsRecorded`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRevision {
    /// The submission.
    pub id: SubmissionId,
    /// The unit that reported.
    pub unit: UnitCode,
    /// The revision, counted from 1.
    pub revision: i32,
}

/// An announcement on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The same at every attempt, so that a receiver can drop doubles.
    pub id: uuid::Uuid,
    /// When the change was committed.
    pub at: chrono::DateTime<chrono::Utc>,
    /// What is told.
    pub announcement: Announcement,
}

/// Where announcements wait until they are published. A row is claimed for a while, published, then settled;
/// a claim that is never settled lapses and the row is claimed again, by any process.
pub trait Outbox: Send + Sync {
    /// What can go wrong; told to the log and tried again.
    type Error: std::fmt::Display + Send;

    /// Takes up to `limit` announcements that nobody else has claimed, oldest first.
    fn claim(&self, limit: usize) -> impl Future<Output = Result<Vec<Envelope>, Self::Error>> + Send;

    /// Forgets announcements that were published and confirmed.
    fn settle(&self, published: &[uuid::Uuid]) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
