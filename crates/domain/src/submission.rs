//! Submissions and the rule by which a change becomes a revision.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{Content, FormCode, Period, SubmissionId, UnitId};

/// What a submission is about. There is one submission for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmissionKey {
    /// The form.
    pub form: FormCode,
    /// The period.
    pub period: Period,
    /// The unit.
    pub unit: UnitId,
}

/// A total: of a form and period, for a unit that has units below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TotalKey {
    /// The form.
    pub form: FormCode,
    /// The period.
    pub period: Period,
    /// The unit.
    pub unit: UnitId,
}

/// Whether a revision holds or takes the report back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The report holds.
    Accepted,
    /// The report was taken back, for instance because it was filed for the wrong period.
    Withdrawn,
}

impl Status {
    /// The word for the status in files and answers.
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
    /// Its status.
    pub status: Status,
    /// The digest of its content.
    pub digest: String,
    /// When the first revision since the last withdrawal came.
    pub first_received_at: DateTime<Utc>,
    /// When the current revision came.
    pub received_at: DateTime<Utc>,
}

/// One revision. Never changed, never deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The submission.
    pub id: SubmissionId,
    /// What it is about.
    pub key: SubmissionKey,
    /// The number, counted from 1.
    pub revision: i32,
    /// The status it gives to the submission.
    pub status: Status,
    /// When it was recorded.
    pub received_at: DateTime<Utc>,
    /// What it says; nothing but a note when it withdraws.
    pub content: Arc<Content>,
}

/// What a caller asks to happen to a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Report this.
    Report(Arc<Content>),
    /// Take the report back.
    Withdraw,
}

/// A condition on the current revision under which alone a change is wanted (RFC 9110, section 13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Whatever is there.
    #[default]
    None,
    /// `If-Match`: this revision is current.
    Current(i32),
    /// `If-None-Match: *`: there is no revision yet.
    Absent,
}

/// What becomes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is recorded as this revision.
    Record(i32),
    /// The submission says the same already; nothing is recorded.
    Unchanged,
    /// The condition does not hold; the current revision, 0 when there is none.
    Conflict(i32),
}

/// Decides on a change, given the current state; equal content comes before the condition.
pub fn decide(head: Option<&Head>, change: &Change, condition: Precondition) -> Decision {
    let current = head.map_or(0, |head| head.revision);
    if head.is_some_and(|head| says_the_same(head, change)) {
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

fn says_the_same(head: &Head, change: &Change) -> bool {
    match (head.status, change) {
        (Status::Accepted, Change::Report(content)) => head.digest == content.digest(),
        (Status::Withdrawn, Change::Withdraw) => true,
        _ => false,
    }
}
