//! Verification of the audit trail: recomputes all digests and reports what was changed, inserted, removed or cut off.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use tonghop_domain::{Actor, AuditEntry, SealHead};
use uuid::Uuid;

use crate::audit::contents::Contents;
use crate::audit::entries::{NAMING_CHARS, read_entries};
use crate::audit::fault::AuditFault;
use crate::audit::seals::{LOOK_BACK, Seal, SealRow};
use crate::database::connection::{Conn, on};
use crate::database::schema::{audit_batches, audit_seals};
use crate::error::StoreError;

/// The number of seals, or of unsealed batches, per query.
const PAGE: i64 = 100;
/// The number of batches per query.
const BATCHES: usize = 500;

/// The result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditVerification {
    /// The number of entries compared with their seals.
    pub sealed: u64,
    /// The number of entries not sealed yet.
    pub unsealed: u64,
    /// The head of the chain.
    pub head: Option<SealHead>,
    /// All faults, in the order of the chain.
    pub faults: Vec<AuditFault>,
}

/// The state of a verification in progress.
pub(crate) struct Audit {
    pub(crate) verification: AuditVerification,
    /// The ids of all batches in seals.
    pub(crate) sealed: HashSet<String>,
    /// What the entries prove.
    pub(crate) contents: Contents,
    /// When the verification began. What is written since may not be sealed yet.
    began: DateTime<Utc>,
    /// The time of the last seal that follows from the one before.
    last_sealed_at: Option<DateTime<Utc>>,
    /// The seconds in which keys made entries that are not sealed yet.
    unsealed_seconds: BTreeSet<i64>,
}

/// The seconds of entries of keys that a service may leave unsealed: it seals every second, but may fail meanwhile.
const UNSEALED_SECONDS: usize = 10;

/// A stored batch.
pub(crate) struct Stored {
    pub(crate) at: DateTime<Utc>,
    digest: String,
    entry_digests: String,
    entries: String,
}

impl Audit {
    pub(crate) fn new(began: DateTime<Utc>) -> Self {
        Self {
            verification: AuditVerification::default(),
            sealed: HashSet::new(),
            contents: Contents::default(),
            began,
            last_sealed_at: None,
            unsealed_seconds: BTreeSet::new(),
        }
    }

    /// Checks a seal against the one before, and its batches against the stored ones.
    pub(crate) fn seal(&mut self, seal: &Seal, mut stored: HashMap<String, Stored>) {
        let found = &mut self.verification;
        if seal.head.number < 1 {
            found.faults.push(AuditFault::SealInserted(seal.head.number));
            return;
        }
        let before = found.head.take();
        let expected = before
            .as_ref()
            .map_or(1, |before| before.number.saturating_add(1));
        let number = seal.head.number;
        if expected < number {
            found.faults.push(AuditFault::SealsRemoved(expected, number - 1));
        }
        // Without the head of a missing seal, the next one cannot be checked.
        let is_linked = SealHead::next(before.as_ref(), number, seal.sealed_at, &seal.batches) == seal.head;
        if expected == number && !is_linked {
            found.faults.push(AuditFault::SealChanged(number));
        }
        if is_linked || expected != number {
            let sealed_at = Some(seal.sealed_at).filter(|at| *at <= self.began + LOOK_BACK);
            self.last_sealed_at = self.last_sealed_at.max(sealed_at);
        }
        found.head = Some(seal.head.clone());
        for (id, digest) in seal.batch_digests() {
            match stored.remove(id) {
                Some(batch) => {
                    let entries = batch.compare(id, digest, &mut found.faults);
                    found.sealed += entries.len() as u64;
                    self.contents.add(entries);
                }
                None => found.faults.push(AuditFault::BatchRemoved(id.to_owned(), number)),
            }
            self.sealed.insert(id.to_owned());
        }
    }

    /// Checks a batch that is in no seal: a new one, or one that the service did not write.
    pub(crate) fn unsealed(&mut self, id: String, batch: &Stored) {
        let found = &mut self.verification;
        if self
            .last_sealed_at
            .is_some_and(|sealed_at| batch.at < sealed_at - LOOK_BACK)
        {
            found.faults.push(AuditFault::BatchInserted(id));
            return;
        }
        let entries = batch.compare(&id, &batch.digest, &mut found.faults);
        found.unsealed += entries.len() as u64;
        // The operator's commands may run without a service that seals.
        let by_key = |entry: &AuditEntry| entry.origin.actor != Actor::Operator;
        if batch.at < self.began && entries.iter().any(by_key) {
            self.unsealed_seconds.insert(batch.at.timestamp());
        }
        self.contents.add(entries);
    }

    /// Checks that not more is unsealed than a service leaves.
    pub(crate) fn check_unsealed(&mut self) {
        let second = |second: Option<&i64>| DateTime::from_timestamp(*second?, 0);
        let (first, last) = (
            self.unsealed_seconds.iter().next(),
            self.unsealed_seconds.iter().next_back(),
        );
        if self.unsealed_seconds.len() > UNSEALED_SECONDS
            && let (Some(first), Some(last)) = (second(first), second(last))
        {
            self.verification.faults.push(AuditFault::NotSealed(first, last));
        }
    }

    /// Checks that the chain contains the heads that are known from elsewhere.
    pub(crate) fn check_known_heads(&mut self, known: &[SealHead], stored: &HashMap<i64, String>) {
        let last = self.verification.head.as_ref().map_or(0, |head| head.number);
        let faults = &mut self.verification.faults;
        let differing = known.iter().filter(|head| {
            stored
                .get(&head.number)
                .is_some_and(|digest| *digest != head.digest)
        });
        faults.extend(differing.map(|head| AuditFault::HeadDiffers(head.number)));
        if known.iter().any(|head| head.number > last) {
            faults.push(AuditFault::Truncated(last));
        }
    }
}

impl Stored {
    /// Checks each entry against its digest, and all of them against the seal. Returns the entries that can be read.
    pub(crate) fn compare(&self, id: &str, sealed: &str, faults: &mut Vec<AuditFault>) -> Vec<AuditEntry> {
        let Ok(rows) = read_entries(&self.entries) else {
            faults.push(AuditFault::BatchChanged(id.to_owned()));
            return Vec::new();
        };
        let (batch, faults_before) = (Uuid::parse_str(id).unwrap_or_default(), faults.len());
        let (mut entries, mut read) = (BTreeMap::new(), Vec::with_capacity(rows.len()));
        for row in rows {
            let number = row.number;
            if entries.insert(number, row).is_some() {
                faults.push(AuditFault::EntryInserted(id.to_owned(), number));
            }
        }
        let mut digests = Vec::new();
        for (number, name) in (0..).zip(self.entry_digests.as_bytes().chunks(NAMING_CHARS)) {
            let Some(row) = entries.remove(&number) else {
                faults.push(AuditFault::EntryRemoved(id.to_owned(), number));
                continue;
            };
            // An unreadable entry differs from what was written.
            let entry = row.read().ok();
            let digest = entry.as_ref().map(|entry| entry.digest(batch, self.at, number));
            let digest = digest.unwrap_or_default();
            read.extend(entry);
            if !digest.as_bytes().starts_with(name) {
                faults.push(AuditFault::EntryChanged(id.to_owned(), number));
            }
            digests.push(digest);
        }
        let inserted = entries.into_keys();
        faults.extend(inserted.map(|number| AuditFault::EntryInserted(id.to_owned(), number)));
        let is_sound = faults.len() == faults_before;
        if is_sound && (AuditEntry::digest_of_batch(&digests) != sealed || self.digest != sealed) {
            faults.push(AuditFault::BatchChanged(id.to_owned()));
        }
        read
    }
}

/// A page of seals with this number or a higher one, in order.
pub(crate) async fn seals_from(conn: &mut Conn, number: i64) -> Result<Vec<Seal>, StoreError> {
    let query = audit_seals::table
        .filter(audit_seals::number.ge(number))
        .order(audit_seals::number)
        .limit(PAGE);
    let rows: Vec<SealRow> = on!(conn, c => query.select(SealRow::as_select()).load(c).await)?;
    Ok(rows.into_iter().map(SealRow::read).collect())
}

/// A page of batch ids after a given one, in order.
pub(crate) async fn batch_ids_after(conn: &mut Conn, id: &str) -> Result<Vec<String>, StoreError> {
    let query = audit_batches::table
        .filter(audit_batches::batch_id.gt(id))
        .order(audit_batches::batch_id)
        .limit(BATCHES as i64)
        .select(audit_batches::batch_id);
    Ok(on!(conn, c => query.load(c).await)?)
}

pub(crate) async fn load_batches(
    conn: &mut Conn,
    ids: &[&str],
) -> Result<HashMap<String, Stored>, StoreError> {
    let mut found: HashMap<String, Stored> = HashMap::new();
    for ids in ids.chunks(BATCHES) {
        let query = audit_batches::table
            .filter(audit_batches::batch_id.eq_any(ids))
            .select((
                audit_batches::batch_id,
                audit_batches::at,
                audit_batches::digest,
                audit_batches::entry_digests,
                audit_batches::entries,
            ));
        let rows: Vec<(String, NaiveDateTime, String, String, String)> = on!(conn, c => query.load(c).await)?;
        for (id, at, digest, entry_digests, entries) in rows {
            let batch = Stored {
                at: at.and_utc(),
                digest,
                entry_digests,
                entries,
            };
            found.insert(id, batch);
        }
    }
    Ok(found)
}
