//! What the store takes and gives, in the domain's words.

use chrono::{DateTime, Utc};
use tonghop_domain::{
    Change, FormCode, IndicatorCode, Origin, Period, Precondition, ReportStatus, Reported, Revision,
    SubmissionId, SubmissionKey, Total, TotalKey, UnitCode,
};

/// A change that a caller asks for.
#[derive(Clone, Debug)]
pub struct Write {
    /// What it is about. The unit must report the form for the period; the caller has checked that.
    pub key: SubmissionKey,
    /// What shall happen.
    pub change: Change,
    /// Under which condition.
    pub condition: Precondition,
    /// What makes a retry of the request recognisable.
    pub idempotency: Option<Idempotency>,
    /// Who asks for it.
    pub origin: Origin,
    /// What it is called in the audit trail: the id of the operation.
    pub action: String,
}

/// An idempotency key with what it was used for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Idempotency {
    /// Whose key it is; each caller has keys of its own.
    pub caller: String,
    /// The key.
    pub key: String,
    /// The digest of the request, to tell a retry from another request with the same key.
    pub request: String,
}

/// What became of a [`Write`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A revision was recorded.
    Recorded {
        /// The revision.
        revision: Revision,
        /// Whether that was in an earlier request with the same key.
        replayed: bool,
    },
    /// The current revision says the same already.
    Unchanged {
        /// The current revision.
        revision: Revision,
        /// Whether that was found in an earlier request with the same key.
        replayed: bool,
    },
    /// The condition does not hold.
    Conflict {
        /// The current revision, 0 when there is none.
        current: i32,
    },
    /// The idempotency key was used for another request.
    KeyReused,
}

/// Which submissions to list.
#[derive(Clone, Debug, Default)]
pub struct SubmissionFilter {
    /// Of this form.
    pub form: Option<FormCode>,
    /// Of this period.
    pub period: Option<Period>,
    /// Of these units; none means all.
    pub units: Option<Vec<tonghop_domain::UnitId>>,
    /// WithClause a current revision recorded at this time or later.
    pub updated_since: Option<DateTime<Utc>>,
    /// After this one in the list: the time of its current revision and its id.
    pub after: Option<(DateTime<Utc>, SubmissionId)>,
}

/// How fresh a total is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Marks at or below the unit: changes that the total may not hold yet.
    pub pending: i64,
    /// Everything recorded before this time is in the total.
    pub as_of: DateTime<Utc>,
}

/// A total as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotalRead {
    /// The total.
    pub total: Total,
    /// Counts its refreshes; a leaf's revision; 0 when there is nothing yet.
    pub version: i64,
    /// How fresh it is.
    pub freshness: Freshness,
}

/// What one unit brings to one indicator of a total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// The unit itself or one of its children.
    pub unit: UnitCode,
    /// The number it brings.
    pub value: Option<i64>,
    /// What the unit reported; none when it did not, and for children that have totals of their own.
    pub reported: Option<Reported>,
    /// The items it brings.
    pub items: Vec<String>,
    /// The submission behind it; none for children that have totals of their own.
    pub submission: Option<(SubmissionId, i32)>,
}

/// The completeness of one expected unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitCompleteness {
    /// The unit.
    pub unit: UnitCode,
    /// Whether the unit reported, and whether on time.
    pub status: ReportStatus,
    /// The report; none if it is missing.
    pub report: Option<ReportTimes>,
}

/// When a unit reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportTimes {
    /// The submission.
    pub submission: SubmissionId,
    /// Its current revision.
    pub revision: i32,
    /// The first revision since the last withdrawal.
    pub first_received_at: DateTime<Utc>,
    /// The current revision.
    pub last_received_at: DateTime<Utc>,
}

/// The outcome of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Totals compared.
    pub totals: u64,
    /// Numbers compared.
    pub checked: u64,
    /// Totals left out because a change was pending at or below them.
    pub skipped: u64,
    /// What differs.
    pub differing: Vec<Difference>,
}

/// A number that is served and not what the submissions add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The total's unit.
    pub unit: UnitCode,
    /// The indicator; none for a number of the completeness.
    pub indicator: Option<IndicatorCode>,
    /// Which number: `value`, `reporting`, `items`, `expected` …; `total` for a whole total that is stored and cannot
    /// be read.
    pub number: &'static str,
    /// The breakdown, for a cell: dimension and category codes.
    pub breakdown: Vec<(String, String)>,
    /// What is served.
    pub served: Option<String>,
    /// What the submissions add up to.
    pub recomputed: Option<String>,
}

/// What became of a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The total was written; the parent, if any, is marked and wants a refresh in turn.
    Written {
        /// The total marked next.
        parent: Option<TotalKey>,
    },
    /// Nothing was marked; nothing was written.
    Clean,
}

/// What waits to be done, in one snapshot. More than 10,000 of a kind are not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// How many marks there are, as far as they are counted.
    pub marks: i64,
    /// The earliest time among them.
    pub oldest_mark: Option<DateTime<Utc>>,
    /// How many announcements wait to be published, as far as they are counted.
    pub announcements: i64,
    /// When the oldest of them was made.
    pub oldest_announcement: Option<DateTime<Utc>>,
    /// The database's time of this.
    pub at: DateTime<Utc>,
}
