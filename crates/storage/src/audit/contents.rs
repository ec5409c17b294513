//! What the entries of the audit trail prove: each revision and each key, as it was recorded.
//!
//! A verification first notes what the database contains, then reads the trail, and compares each proof with what the
//! database contains now. Revisions are written with their entries, so whatever was noted must be proved, and whatever is
//! proved must be there, also while a service goes on recording.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::NaiveDateTime;
use tonghop_domain::{AuditEntry, Key, KeyId, Status, SubmissionId, TokenDigest, key_proof};
use uuid::Uuid;

use crate::audit::fault::AuditFault;

/// The revisions and keys that a verification compares.
#[derive(Default)]
pub(crate) struct Contents {
    /// The revisions that the database contains and no entry has proved yet.
    unproved: HashSet<(Uuid, i32)>,
    /// The revisions that entries prove and that were not compared yet.
    to_compare: Vec<Proved>,
    /// The keys that the database contained before the trail was read, and whether they were revoked.
    keys_before: BTreeMap<KeyId, bool>,
    /// The proofs of created keys.
    created: HashMap<KeyId, Option<String>>,
    revoked: BTreeSet<KeyId>,
    /// Each fault once, although an entry and a gap may tell of the same revision.
    faults: BTreeSet<(Uuid, i32, FaultKind)>,
}

/// A revision that an entry proves.
#[derive(Clone, Debug)]
pub(crate) struct Proved {
    pub(crate) id: Uuid,
    pub(crate) revision: i32,
    /// None if the entry was written before entries had proofs. Then only the existence of the revision is proved.
    proof: Option<String>,
}

/// A revision as it is stored, with the head of its submission.
#[derive(Clone, Debug)]
pub(crate) struct StoredRevision {
    pub(crate) id: Uuid,
    pub(crate) revision: i32,
    pub(crate) state: State,
    /// The head; none if the submission is missing.
    pub(crate) head: Option<StoredHead>,
}

/// A head as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredHead {
    pub(crate) revision: i32,
    pub(crate) state: State,
    pub(crate) first_received_at: NaiveDateTime,
}

/// A status with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) status: String,
    pub(crate) received_at: NaiveDateTime,
}

impl StoredHead {
    /// The head of a submission after these revisions.
    pub(crate) fn after(revisions: &[StoredRevision]) -> Option<Self> {
        let mut head: Option<Self> = None;
        for StoredRevision { revision, state, .. } in revisions {
            let reported = head.filter(|head| head.state.status == Status::Accepted.as_str());
            head = Some(Self {
                revision: *revision,
                state: state.clone(),
                first_received_at: reported.map_or(state.received_at, |head| head.first_received_at),
            });
        }
        head
    }
}

/// What a stored revision proves.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) proof: String,
    /// Whether it is the current revision of its submission, and the head has another digest.
    pub(crate) has_other_digest: bool,
}

/// The most missing revisions of a submission that are reported one by one.
const MAX_GAP: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum FaultKind {
    SubmissionRemoved,
    HeadMoved(i32),
    HeadChanged,
    Changed,
    Removed,
    Inserted,
}

impl Contents {
    /// Notes the keys of the database.
    pub(crate) fn note_keys(&mut self, keys: Vec<(Key, TokenDigest)>) {
        let noted = keys
            .into_iter()
            .map(|(key, _)| (key.id, key.revoked_at.is_some()));
        self.keys_before = noted.collect();
    }

    /// Notes the revisions of a submission, in their order.
    pub(crate) fn note_revisions(&mut self, revisions: &[StoredRevision]) {
        let mut expected = 1;
        for stored in revisions {
            self.unproved.insert((stored.id, stored.revision));
            let gap = (expected..stored.revision).take(MAX_GAP);
            self.faults
                .extend(gap.map(|number| (stored.id, number, FaultKind::Removed)));
            expected = stored.revision.saturating_add(1);
        }
        let (Some(last), Some(wanted)) = (revisions.last(), StoredHead::after(revisions)) else {
            return;
        };
        let fault = match &last.head {
            None => (last.id, 0, FaultKind::SubmissionRemoved),
            Some(head) if *head == wanted => return,
            Some(head) if head.revision == wanted.revision => {
                (last.id, head.revision, FaultKind::HeadChanged)
            }
            Some(head) => (last.id, head.revision, FaultKind::HeadMoved(wanted.revision)),
        };
        self.faults.insert(fault);
    }

    /// Notes a submission without any revision.
    pub(crate) fn note_without_revisions(&mut self, id: Uuid, head: i32) {
        self.faults.insert((id, head, FaultKind::Removed));
    }

    /// Adds what entries prove.
    pub(crate) fn add(&mut self, entries: Vec<AuditEntry>) {
        for entry in entries {
            let about = entry.about.as_deref().unwrap_or_default();
            match (
                entry.outcome.as_str(),
                about.split_once('/'),
                about.parse::<KeyId>(),
            ) {
                ("recorded", Some((id, revision)), _) => {
                    if let (Ok(id), Ok(revision)) = (id.parse(), revision.parse()) {
                        let proof = entry.proof;
                        self.to_compare.push(Proved { id, revision, proof });
                    }
                }
                ("created", None, Ok(key)) => match self.created.entry(key) {
                    Entry::Vacant(first) => drop(first.insert(entry.proof)),
                    // A key is created once. A second entry would let its changes pass for the truth.
                    Entry::Occupied(mut first) => drop(first.insert(Some(String::new()))),
                },
                ("revoked", None, Ok(key)) => drop(self.revoked.insert(key)),
                _ => {}
            }
        }
    }

    /// What to compare next.
    pub(crate) fn take_to_compare(&mut self) -> Vec<Proved> {
        std::mem::take(&mut self.to_compare)
    }

    /// Compares a proof with the stored revision; `None` if it is not there.
    pub(crate) fn compare(&mut self, proved: &Proved, stored: Option<&Comparison>) {
        let (id, number) = (proved.id, proved.revision);
        self.unproved.remove(&(id, number));
        let Some(stored) = stored else {
            self.faults.insert((id, number, FaultKind::Removed));
            return;
        };
        if proved.proof.as_ref().is_some_and(|proof| *proof != stored.proof) {
            self.faults.insert((id, number, FaultKind::Changed));
        }
        if stored.has_other_digest {
            self.faults.insert((id, number, FaultKind::HeadChanged));
        }
    }

    /// All faults, after the whole trail was read and given the keys that the database contains now.
    pub(crate) fn faults(mut self, keys_now: &[(Key, TokenDigest)]) -> Vec<AuditFault> {
        // A head follows from its revisions: what differs there is named there, and a head that was moved differs in all.
        let changed: HashSet<Uuid> = self
            .faults
            .iter()
            .filter(|(_, _, kind)| matches!(kind, FaultKind::Changed | FaultKind::HeadMoved(_)))
            .map(|(id, ..)| *id)
            .collect();
        self.faults
            .retain(|(id, _, kind)| *kind != FaultKind::HeadChanged || !changed.contains(id));
        let inserted = self
            .unproved
            .drain()
            .map(|(id, number)| (id, number, FaultKind::Inserted));
        self.faults.extend(inserted);
        let of_revisions = self.faults.iter().map(|(id, number, kind)| {
            let (id, number) = (SubmissionId(*id), *number);
            match kind {
                FaultKind::SubmissionRemoved => AuditFault::SubmissionRemoved(id),
                FaultKind::HeadMoved(last) => AuditFault::HeadMoved(id, number, *last),
                FaultKind::HeadChanged => AuditFault::HeadChanged(id),
                FaultKind::Changed => AuditFault::RevisionChanged(id, number),
                FaultKind::Removed => AuditFault::RevisionRemoved(id, number),
                FaultKind::Inserted => AuditFault::RevisionInserted(id, number),
            }
        });
        let mut faults: Vec<AuditFault> = of_revisions.collect();
        let now: HashMap<&KeyId, &(Key, TokenDigest)> = keys_now.iter().map(|key| (&key.0.id, key)).collect();
        for (id, proof) in &self.created {
            match now.get(id) {
                None => faults.push(AuditFault::KeyRemoved(id.clone())),
                Some((key, _)) if key.revoked_at.is_none() && self.revoked.contains(id) => {
                    faults.push(AuditFault::KeyRestored(id.clone()));
                }
                Some((key, token))
                    if proof
                        .as_ref()
                        .is_some_and(|proof| *proof != key_proof(key, token)) =>
                {
                    faults.push(AuditFault::KeyChanged(id.clone()));
                }
                Some(_) => {}
            }
        }
        for (id, was_revoked) in &self.keys_before {
            if !self.created.contains_key(id) {
                faults.push(AuditFault::KeyInserted(id.clone()));
            } else if *was_revoked && !self.revoked.contains(id) {
                faults.push(AuditFault::KeyChanged(id.clone()));
            }
        }
        faults
    }
}
