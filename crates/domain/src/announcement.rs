//! Announcements: hints to other processes about committed changes. They never contain figures.

use crate::code::{FormCode, SubmissionId, UnitCode};
use crate::period::Period;

/// A hint that something changed. Receivers read the database again.
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
        /// The recorded revisions, in commit order.
        submissions: Vec<RecordedRevision>,
    },
    /// A refresh updated a total.
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

/// An announcement that is waiting to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The id, the same at every attempt, so that receivers can drop duplicates.
    pub id: uuid::Uuid,
    /// The commit time of the change.
    pub at: chrono::DateTime<chrono::Utc>,
    /// The announcement.
    pub announcement: Announcement,
}

/// The store of announcements that wait to be published. A process claims a row for a limited time, publishes it, then
/// settles it. A claim that is not settled expires, after which any process can claim the row.
pub trait Outbox: Send + Sync {
    /// The error type. Errors are logged and the operation is retried.
    type Error: std::fmt::Display + Send;

    /// Claims up to `limit` unclaimed announcements, oldest first.
    fn claim(&self, limit: usize) -> impl Future<Output = Result<Vec<Envelope>, Self::Error>> + Send;

    /// Deletes announcements that were published and confirmed.
    fn settle(&self, published: &[uuid::Uuid]) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
