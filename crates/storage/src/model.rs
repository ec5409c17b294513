//! The values that the store accepts and returns, in the domain's words.

use chrono::{DateTime, Utc};
use tonghop_domain::{
    Answers, Change, FormCode, IndicatorCode, Origin, Period, Precondition, ReportStatus, Reported, Revision,
    Status, SubmissionId, SubmissionKey, Total, TotalKey, UnitCode,
};

/// A change that a caller requests.
#[derive(Clone, Debug)]
pub struct Write {
    /// The id of the submission if this is its first revision; otherwise it keeps its own. Lists by creation are in the order
    /// of ids, so generate it just before recording.
    pub new_id: SubmissionId,
    /// The submission. The caller has checked that the unit reports the form for the period.
    pub key: SubmissionKey,
    /// The change itself.
    pub change: Change,
    /// The precondition.
    pub condition: Precondition,
    /// The idempotency key, by which a retry of the request is recognised.
    pub idempotency: Option<Idempotency>,
    /// The caller.
    pub origin: Origin,
    /// The id of the operation, for the audit trail.
    pub action: String,
}

/// An idempotency key and the request that used it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Idempotency {
    /// The owner of the key; each caller has its own keys.
    pub caller: String,
    /// The key.
    pub key: String,
    /// The digest of the request, which distinguishes a retry from another request with the same key.
    pub request: String,
}

/// The result of a [`Write`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A revision was recorded.
    Recorded {
        /// The revision.
        revision: Revision,
        /// Whether an earlier request with the same key recorded it.
        replayed: bool,
    },
    /// The current revision already has this content.
    Unchanged {
        /// The current revision.
        revision: Revision,
        /// Whether an earlier request with the same key found that.
        replayed: bool,
    },
    /// The precondition failed.
    Conflict {
        /// The current revision; 0 if there is none.
        current: i32,
    },
    /// Another request has used the idempotency key.
    KeyReused,
}

/// The order of a list of submissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubmissionOrder {
    /// By id and therefore by the time of the first revision, the newest first. A correction does not move a submission.
    #[default]
    NewestFirst,
    /// The same, the oldest first.
    OldestFirst,
    /// By the time of the current revision, the oldest first. A correction moves a submission to the end, so a client that
    /// reads page after page sees it there.
    LastChangedLast,
    /// The same, the newest first. A submission that is corrected between two pages may be on none of them.
    LastChangedFirst,
}

/// A filter for lists of submissions, and their order.
#[derive(Clone, Debug, Default)]
pub struct SubmissionFilter {
    /// The form.
    pub form: Option<FormCode>,
    /// The period.
    pub period: Option<Period>,
    /// The units; `None` means all.
    pub units: Option<Vec<tonghop_domain::UnitId>>,
    /// The status of the current revision.
    pub status: Option<Status>,
    /// The order.
    pub order: SubmissionOrder,
    /// The earliest time at which the current revision was recorded.
    pub updated_since: Option<DateTime<Utc>>,
    /// The time before which the current revision was recorded; for a complete list, the watermark.
    pub recorded_before: Option<DateTime<Utc>>,
    /// The last submission of the previous page: the time of its current revision and its id.
    pub after: Option<(DateTime<Utc>, SubmissionId)>,
}

/// Some revisions of a list, which has them in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The revisions.
    pub revisions: Vec<Revision>,
    /// Whether the list goes on.
    pub more: bool,
    /// Whether the page has fewer revisions than were wanted, because together they would be too large.
    pub is_cut: bool,
}

/// A change of a submission or of a total, as the change feed has it: without figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedChange {
    /// The time by which changes are ordered.
    pub at: DateTime<Utc>,
    /// The form, period and unit of the submission or total.
    pub key: SubmissionKey,
    /// What has changed.
    pub of: Changed,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// A submission has a new revision.
    Submission {
        /// The submission.
        id: SubmissionId,
        /// The number of the revision.
        revision: i32,
        /// The status that the revision gives to the submission.
        status: Status,
    },
    /// A total was refreshed.
    Total {
        /// The number of refreshes.
        version: i64,
    },
}

/// Some changes of the feed, in its order. Those of one time are on one page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedPage {
    /// The changes.
    pub changes: Vec<FeedChange>,
    /// Whether there are more.
    pub more: bool,
}

/// The freshness of a total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The marks at or below the unit: changes that the total may lack.
    pub pending: i64,
    /// The total includes everything recorded before this time.
    pub as_of: DateTime<Utc>,
}

/// A total as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotalRead {
    /// The total.
    pub total: Total,
    /// The number of refreshes of a total, or the revision of a leaf's report; 0 if there is neither.
    pub version: i64,
    /// The freshness of the total.
    pub freshness: Freshness,
}

/// The contribution of one unit to one indicator of a total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// The unit itself or one of its children.
    pub unit: UnitCode,
    /// The number that it contributes.
    pub value: Option<i64>,
    /// The reported figure; `None` if there is none, and for children that have totals of their own.
    pub reported: Option<Reported>,
    /// The items that it contributes.
    pub items: Vec<String>,
    /// The submission and its revision; `None` for children that have totals of their own.
    pub submission: Option<(SubmissionId, i32)>,
}

/// The completeness of one expected unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitCompleteness {
    /// The unit.
    pub unit: UnitCode,
    /// Whether the unit reported, and whether on time.
    pub status: ReportStatus,
    /// How many of its indicators it has answered.
    pub indicators: Answers,
    /// The report; `None` if it is missing.
    pub report: Option<ReportTimes>,
}

/// The times of a unit's report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportTimes {
    /// The submission.
    pub submission: SubmissionId,
    /// The current revision.
    pub revision: i32,
    /// The time of the first revision since the last withdrawal.
    pub first_received_at: DateTime<Utc>,
    /// The time of the current revision.
    pub last_received_at: DateTime<Utc>,
}

/// The outcome of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// The number of compared totals.
    pub totals: u64,
    /// The number of compared numbers.
    pub checked: u64,
    /// The number of totals left out because a change was pending at or below them.
    pub skipped: u64,
    /// The differences.
    pub differing: Vec<Difference>,
}

/// A number that differs from the sum of the submissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The total's unit.
    pub unit: UnitCode,
    /// The indicator; `None` for a number of the completeness.
    pub indicator: Option<IndicatorCode>,
    /// The kind of number: `value`, `reporting`, `items`, `expected` …; `total` for a stored total that is unreadable
    /// as a whole.
    pub number: &'static str,
    /// The dimension and category codes of a breakdown's cell.
    pub breakdown: Vec<(String, String)>,
    /// The number that is served.
    pub served: Option<String>,
    /// The sum of the submissions.
    pub recomputed: Option<String>,
}

/// The result of a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The total was written, and its parent, if any, was marked and needs a refresh next.
    Written {
        /// The marked parent.
        parent: Option<TotalKey>,
    },
    /// The total had no marks; nothing was written.
    Clean,
}

/// The pending work, in one snapshot. Counts stop at 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The number of marks, up to the limit.
    pub marks: i64,
    /// The earliest time of a mark.
    pub oldest_mark: Option<DateTime<Utc>>,
    /// The number of unpublished announcements, up to the limit.
    pub announcements: i64,
    /// The time of the oldest announcement.
    pub oldest_announcement: Option<DateTime<Utc>>,
    /// The time of the snapshot by the database's clock.
    pub at: DateTime<Utc>,
}
