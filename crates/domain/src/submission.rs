//! Submissions, and the rule that turns a change into a revision.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::code::{FormCode, SubmissionId, UnitId};
use crate::figure::Content;
use crate::period::Period;

/// The form, period and unit of a submission. There is at most one submission per key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmissionKey {
    /// The form.
    pub form: FormCode,
    /// The period.
    pub period: Period,
    /// The unit.
    pub unit: UnitId,
}

/// The form, period and unit of a total. The unit has units below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TotalKey {
    /// The form.
    pub form: FormCode,
    /// The period.
    pub period: Period,
    /// The unit.
    pub unit: UnitId,
}

/// The status that a revision gives to a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The report is valid.
    Accepted,
    /// The report was withdrawn, for instance because it was filed for the wrong period.
    Withdrawn,
}

impl Status {
    /// The word for the status in files and responses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// The current state of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The submission.
    pub id: SubmissionId,
    /// The current revision, counted from 1.
    pub revision: i32,
    /// The current status.
    pub status: Status,
    /// The digest of the current content.
    pub digest: String,
    /// The time of the first revision since the last withdrawal.
    pub first_received_at: DateTime<Utc>,
    /// The time of the current revision.
    pub received_at: DateTime<Utc>,
}

/// One revision. It is never changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The submission.
    pub id: SubmissionId,
    /// Its form, period and unit.
    pub key: SubmissionKey,
    /// The revision number, counted from 1.
    pub revision: i32,
    /// The status of the submission as of this revision.
    pub status: Status,
    /// The time at which it was recorded.
    pub received_at: DateTime<Utc>,
    /// The content; a withdrawal contains at most a note.
    pub content: Arc<Content>,
}

/// A requested change to a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Report this content.
    Report(Arc<Content>),
    /// Withdraw the report.
    Withdraw,
}

/// A condition on the current revision, without which the change is rejected (RFC 9110, section 13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// No condition.
    #[default]
    None,
    /// `If-Match`: this is the current revision.
    Current(i32),
    /// `If-None-Match: *`: there is no revision yet.
    Absent,
}

/// The outcome of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The change is recorded as this revision.
    Record(i32),
    /// The submission already has this content; nothing is recorded.
    Unchanged,
    /// The condition is not met. Contains the current revision, 0 if there is none.
    Conflict(i32),
}

/// Decides the outcome of a change. Equal content is checked before the condition.
pub fn decide(head: Option<&Head>, change: &Change, condition: Precondition) -> Decision {
    let current = head.map_or(0, |head| head.revision);
    if head.is_some_and(|head| has_same_content(head, change)) {
        return Decision::Unchanged;
    }
    let holds = match condition {
        Precondition::None => true,
        Precondition::Current(revision) => head.is_some() && revision == current,
        Precondition::Absent => current == 0,
    };
    if holds {
        Decision::Record(current + 1)
    } else {
        Decision::Conflict(current)
    }
}

fn has_same_content(head: &Head, change: &Change) -> bool {
    match (head.status, change) {
        (Status::Accepted, Change::Report(content)) => head.digest == content.digest(),
        (Status::Withdrawn, Change::Withdraw) => true,
        _ => false,
    }
}
