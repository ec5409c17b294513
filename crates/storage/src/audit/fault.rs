//! The faults of the audit trail and of what it proves.

use std::fmt;

use chrono::{DateTime, Utc};
use tonghop_domain::{KeyId, SubmissionId};

/// A fault of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditFault {
    /// An entry differs from what was written: its batch, and its number in it.
    EntryChanged(String, i32),
    /// An entry was inserted later.
    EntryInserted(String, i32),
    /// An entry is missing.
    EntryRemoved(String, i32),
    /// The stored digests of a batch differ from what was written.
    BatchChanged(String),
    /// A batch was inserted later.
    BatchInserted(String),
    /// A batch that a seal covers is missing.
    BatchRemoved(String, i64),
    /// A seal differs from what was written.
    SealChanged(i64),
    /// Seals are missing: from the first of these numbers to the last.
    SealsRemoved(i64, i64),
    /// A seal has a number below 1, which the service never gives.
    SealInserted(i64),
    /// The chain was rewritten: the head of this seal differs from the one kept outside the database.
    HeadDiffers(i64),
    /// The chain was truncated after this seal: the head of a later one is known.
    Truncated(i64),
    /// The copy of the last seal was removed.
    HeadRemoved,
    /// Keys made entries for longer than a service leaves entries unsealed: since the first of these times until the last.
    NotSealed(DateTime<Utc>, DateTime<Utc>),
    /// A revision differs from what was recorded: its submission, and its number.
    RevisionChanged(SubmissionId, i32),
    /// A revision is missing.
    RevisionRemoved(SubmissionId, i32),
    /// A revision has no entry that proves it: it was inserted later.
    RevisionInserted(SubmissionId, i32),
    /// Revisions belong to a submission that is missing.
    SubmissionRemoved(SubmissionId),
    /// The current revision of a submission (the first number) is not its last one.
    HeadMoved(SubmissionId, i32, i32),
    /// The head of a submission differs from its current revision in its status, times or digest.
    HeadChanged(SubmissionId),
    /// A key differs from the one that was created, for instance in its role or unit.
    KeyChanged(KeyId),
    /// A key is missing.
    KeyRemoved(KeyId),
    /// A key has no entry that proves it: it was inserted later.
    KeyInserted(KeyId),
    /// A key that was revoked is valid again.
    KeyRestored(KeyId),
}

impl AuditFault {
    /// Whether a revision of the submission was changed, removed or inserted.
    pub fn is_of_revision(&self, submission: SubmissionId) -> bool {
        matches!(
            self,
            Self::RevisionChanged(id, _) | Self::RevisionRemoved(id, _) | Self::RevisionInserted(id, _)
                if *id == submission
        )
    }
}

impl fmt::Display for AuditFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EntryChanged(batch, number) => write!(f, "entry {batch}/{number} was changed"),
            Self::EntryInserted(batch, number) => write!(f, "entry {batch}/{number} was inserted"),
            Self::EntryRemoved(batch, number) => write!(f, "entry {batch}/{number} was removed"),
            Self::BatchChanged(batch) => write!(f, "batch {batch} was changed"),
            Self::BatchInserted(batch) => write!(f, "batch {batch} was inserted, and is in no seal"),
            Self::BatchRemoved(batch, seal) => {
                write!(f, "batch {batch} was removed, which seal {seal} names")
            }
            Self::SealChanged(seal) => write!(f, "seal {seal} was changed"),
            Self::SealsRemoved(first, last) if first == last => write!(f, "seal {first} was removed"),
            Self::SealsRemoved(first, last) => write!(
                f,
                "seals {first} to {last} are missing: they were removed, or the next one was inserted"
            ),
            Self::SealInserted(seal) => write!(f, "seal {seal} was inserted"),
            Self::HeadDiffers(seal) => {
                write!(
                    f,
                    "the chain was rewritten: the head of seal {seal} differs from the known one"
                )
            }
            Self::Truncated(seal) => write!(
                f,
                "the trail was truncated after seal {seal}: later heads are known"
            ),
            Self::HeadRemoved => write!(f, "the copy of the last seal was removed"),
            Self::NotSealed(from, to) => write!(
                f,
                "entries from {from} to {to} are in no seal: seals were removed, or no service sealed them"
            ),
            Self::RevisionChanged(id, number) => write!(f, "revision {id}/{number} was changed"),
            Self::RevisionRemoved(id, number) => write!(f, "revision {id}/{number} was removed"),
            Self::RevisionInserted(id, number) => write!(f, "revision {id}/{number} was inserted"),
            Self::SubmissionRemoved(id) => write!(f, "submission {id} was removed, but not its revisions"),
            Self::HeadMoved(id, current, last) => write!(
                f,
                "submission {id} shows revision {current}, and {last} is its last one (`tonghop rebuild` repairs this)"
            ),
            Self::HeadChanged(id) => write!(
                f,
                "the current state of submission {id} differs from its last revision (`tonghop rebuild` repairs its status and times)"
            ),
            Self::KeyChanged(id) => write!(f, "key {id} was changed"),
            Self::KeyRemoved(id) => write!(f, "key {id} was removed"),
            Self::KeyInserted(id) => write!(f, "key {id} was inserted"),
            Self::KeyRestored(id) => write!(f, "key {id} was revoked, and is valid again"),
        }
    }
}
