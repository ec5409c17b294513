//! The entries of the audit trail, in batches of one transaction each.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Text, Timestamp};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};
use tonghop_domain::{AuditEntry, Origin, UnitId};
use uuid::Uuid;

use crate::codec;
use crate::database::clock::clocks;
use crate::database::connection::{Conn, Lite, on};
use crate::database::schema::audit_batches;
use crate::database::unnest::{self, Rows, WithClause, rows};
use crate::error::StoreError;

/// The length of the digest prefixes that are stored with a batch, by which a changed entry can be identified. The
/// digest of the batch is stored in full.
pub(crate) const NAMING_CHARS: usize = 16;
/// The number of batches per query for a page of entries; a batch has up to 256.
const BATCHES: i64 = 20;

#[derive(Insertable)]
#[diesel(table_name = audit_batches)]
struct BatchRow {
    batch_id: String,
    at: NaiveDateTime,
    digest: String,
    entry_digests: String,
    entries: String,
}

/// An entry in its batch.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntryRow<'a> {
    pub(crate) number: i32,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    action: Cow<'a, str>,
    outcome: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    form: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    period: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit_id: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<Cow<'a, str>>,
    count: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<Cow<'a, str>>,
}

impl<'a> EntryRow<'a> {
    fn new(number: i32, entry: &'a AuditEntry) -> Self {
        Self {
            number,
            actor: entry.origin.actor.as_str().into(),
            action: entry.action.as_str().into(),
            outcome: entry.outcome.as_str().into(),
            form: entry.form.as_ref().map(|form| form.as_str().into()),
            period: entry.period.map(|period| period.to_string()),
            unit_id: entry.unit.map(|unit| unit.0),
            about: entry.about.as_deref().map(Cow::from),
            address: entry.origin.address.map(|address| address.to_string()),
            request_id: entry.origin.request_id.as_deref().map(Cow::from),
            count: entry.count,
            proof: entry.proof.as_deref().map(Cow::from),
        }
    }

    pub(crate) fn read(self) -> Result<AuditEntry, StoreError> {
        Ok(AuditEntry {
            origin: Origin {
                actor: self.actor.parse().map_err(StoreError::corrupt)?,
                address: read_optional(self.address.as_deref())?,
                request_id: self.request_id.map(Cow::into_owned),
            },
            action: self.action.into_owned(),
            outcome: self.outcome.into_owned(),
            form: read_optional(self.form.as_deref())?,
            period: read_optional(self.period.as_deref())?,
            unit: self.unit_id.map(UnitId),
            about: self.about.map(Cow::into_owned),
            count: self.count,
            proof: self.proof.map(Cow::into_owned),
        })
    }
}

fn read_optional<T: std::str::FromStr<Err: std::fmt::Display>>(
    text: Option<&str>,
) -> Result<Option<T>, StoreError> {
    text.map(|text| text.parse().map_err(StoreError::corrupt))
        .transpose()
}

/// The entries of a batch.
pub(crate) fn read_entries(text: &str) -> Result<Vec<EntryRow<'_>>, StoreError> {
    codec::from_json(text)
}

rows!(BatchRow => audit_batches(batch_id: Text, at: Timestamp, digest: Text, entry_digests: Text, entries: Text));

/// The batch that a transaction adds to the trail, if any.
pub(crate) struct Batch(Vec<BatchRow>);

impl Batch {
    /// A batch of these entries at a time of the trail; none if there are no entries.
    pub(crate) fn new(entries: &[AuditEntry], at: DateTime<Utc>) -> Result<Self, StoreError> {
        if entries.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let batch = Uuid::now_v7();
        let numbered = || (0..).zip(entries);
        let digests: Vec<String> = numbered()
            .map(|(number, entry)| entry.digest(batch, at, number))
            .collect();
        let rows: Vec<EntryRow<'_>> = numbered()
            .map(|(number, entry)| EntryRow::new(number, entry))
            .collect();
        Ok(Self(vec![BatchRow {
            batch_id: batch.to_string(),
            at: at.naive_utc(),
            digest: AuditEntry::digest_of_batch(&digests),
            entry_digests: digests.iter().map(|digest| &digest[..NAMING_CHARS]).collect(),
            entries: codec::to_json(&rows)?,
        }]))
    }

    pub(crate) fn add_to<'a>(&'a self, with: &mut WithClause<'a>) {
        with.insert(&self.0);
    }

    pub(crate) async fn insert(&self, conn: &mut Lite) -> QueryResult<()> {
        Rows::insert_each(&self.0, conn).await
    }
}

/// Adds entries to the trail.
pub(crate) async fn insert(conn: &mut Conn, entries: &[AuditEntry]) -> Result<(), StoreError> {
    let batch = Batch::new(entries, clocks(conn).await?.trail)?;
    Ok(unnest::insert(conn, &batch.0).await?)
}

/// Entries with their positions, the oldest first, that follow a given entry.
pub(crate) async fn page(
    conn: &mut Conn,
    after: Option<&AuditPlace>,
    limit: usize,
) -> Result<Vec<(AuditPlace, AuditEntry)>, StoreError> {
    let mut page = Vec::new();
    let mut after = after.cloned();
    while page.len() < limit {
        let batches = batches_from(conn, after.as_ref()).await?;
        let Some((at, batch, _)) = batches.last() else {
            break;
        };
        let read_all = AuditPlace {
            at: at.and_utc(),
            batch: Uuid::parse_str(batch).map_err(StoreError::corrupt)?,
            number: i32::MAX,
        };
        for (at, batch, entries) in batches {
            let batch = Uuid::parse_str(&batch).map_err(StoreError::corrupt)?;
            for row in read_entries(&entries)? {
                let place = AuditPlace {
                    at: at.and_utc(),
                    batch,
                    number: row.number,
                };
                let is_before = |after: &AuditPlace| after.batch == batch && after.number >= place.number;
                if !after.as_ref().is_some_and(is_before) {
                    page.push((place, row.read()?));
                }
            }
        }
        after = Some(read_all);
    }
    page.truncate(limit);
    Ok(page)
}

/// Batches with their times and entries, the oldest first, starting with the batch of a given entry, or after it if
/// that was its last entry.
async fn batches_from(
    conn: &mut Conn,
    after: Option<&AuditPlace>,
) -> Result<Vec<(NaiveDateTime, String, String)>, StoreError> {
    macro_rules! query {
        ($c:ident) => {{
            let mut query = audit_batches::table
                .order((audit_batches::at, audit_batches::batch_id))
                .limit(BATCHES)
                .select((audit_batches::at, audit_batches::batch_id, audit_batches::entries))
                .into_boxed();
            if let Some(after) = after {
                let (at, batch) = (after.at.naive_utc(), after.batch.to_string());
                let later = audit_batches::at.gt(at);
                let same_time = audit_batches::at.eq(at);
                query = match after.number {
                    i32::MAX => query.filter(later.or(same_time.and(audit_batches::batch_id.gt(batch)))),
                    _ => query.filter(later.or(same_time.and(audit_batches::batch_id.ge(batch)))),
                };
            }
            query.load($c).await
        }};
    }
    Ok(on!(conn, c => query!(c))?)
}

/// The position of an entry in the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPlace {
    /// The time of its transaction.
    pub at: DateTime<Utc>,
    /// The batch of its transaction.
    pub batch: Uuid,
    /// The number in the batch, from 0.
    pub number: i32,
}
