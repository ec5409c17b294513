//! Verification of the audit trail: recomputes all digests and reports what was changed, inserted, removed or cut off.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use tonghop_domain::{AuditEntry, SealHead};
use uuid::Uuid;

use crate::audit::entries::{NAMING_CHARS, read_entries};
use crate::audit::seals::{Seal, SealRow};
use crate::database::connection::{Conn, on};
use crate::database::schema::{audit_batches, audit_seals};
use crate::error::StoreError;

/// The number of seals, or of unsealed batches, per query.
const PAGE: i64 = 100;
/// The number of batches per query.
const BATCHES: usize = 500;

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
    /// The chain was truncated after this seal: the head of a later one was kept outside the database.
    Truncated(i64),
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
        }
    }
}

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
#[derive(Default)]
pub(crate) struct Audit {
    pub(crate) verification: AuditVerification,
    /// The ids of all batches in seals.
    pub(crate) sealed: HashSet<String>,
}

/// A stored batch.
pub(crate) struct Stored {
    pub(crate) at: DateTime<Utc>,
    pub(crate) digest: String,
    entry_digests: String,
    entries: String,
}

impl Audit {
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
        found.head = Some(seal.head.clone());
        for (id, digest) in seal.batch_digests() {
            match stored.remove(id) {
                Some(batch) => found.sealed += batch.compare(id, digest, &mut found.faults),
                None => found.faults.push(AuditFault::BatchRemoved(id.to_owned(), number)),
            }
            self.sealed.insert(id.to_owned());
        }
    }

    /// Checks that the chain contains the heads kept outside the database.
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
    /// Checks each entry against its digest, and all of them against the seal. Returns the number of entries.
    pub(crate) fn compare(&self, id: &str, sealed: &str, faults: &mut Vec<AuditFault>) -> u64 {
        let Ok(rows) = read_entries(&self.entries) else {
            faults.push(AuditFault::BatchChanged(id.to_owned()));
            return 0;
        };
        let (batch, count, faults_before) = (
            Uuid::parse_str(id).unwrap_or_default(),
            rows.len() as u64,
            faults.len(),
        );
        let mut entries = BTreeMap::new();
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
            let digest = row
                .read()
                .map_or_else(|_| String::new(), |entry| entry.digest(batch, self.at, number));
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
        count
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
