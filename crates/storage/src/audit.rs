//! Queries on the audit trail: what a transaction adds to it, and what is read of it.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamp};
use diesel_async::RunQueryDsl;
use tonghop_domain::{AuditEntry, Origin, UnitId};
use uuid::Uuid;

use crate::columns::{self, Rows, With, rows};
use crate::conn::{Conn, Lite, clock, on};
use crate::schema::{audit_batches, audit_entries};
use crate::{Store, StoreError, seals};

/// How many characters of an entry's digest stand beside its batch, so that a changed entry can be named. The batch's own
/// digest is whole.
pub(crate) const NAMING_CHARS: usize = 16;

#[derive(Insertable)]
#[diesel(table_name = audit_batches)]
struct BatchRow {
    batch_id: String,
    at: NaiveDateTime,
    digest: String,
    entry_digests: String,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_entries)]
pub(crate) struct EntryRow {
    pub(crate) batch_id: String,
    pub(crate) number: i32,
    actor: String,
    action: String,
    outcome: String,
    form: Option<String>,
    period: Option<String>,
    unit_id: Option<i64>,
    about: Option<String>,
    address: Option<String>,
    request_id: Option<String>,
    count: i64,
}

impl EntryRow {
    fn new(batch: Uuid, number: i32, entry: &AuditEntry) -> Self {
        Self {
            batch_id: batch.to_string(),
            number,
            actor: entry.origin.actor.to_string(),
            action: entry.action.clone(),
            outcome: entry.outcome.clone(),
            form: entry.form.as_ref().map(ToString::to_string),
            period: entry.period.map(|period| period.to_string()),
            unit_id: entry.unit.map(|unit| unit.0),
            about: entry.about.clone(),
            address: entry.origin.address.map(|address| address.to_string()),
            request_id: entry.origin.request_id.clone(),
            count: entry.count,
        }
    }

    pub(crate) fn read(self) -> Result<AuditEntry, StoreError> {
        Ok(AuditEntry {
            origin: Origin {
                actor: self.actor.parse().map_err(StoreError::corrupt)?,
                address: read_optional(self.address.as_deref())?,
                request_id: self.request_id,
            },
            action: self.action,
            outcome: self.outcome,
            form: read_optional(self.form.as_deref())?,
            period: read_optional(self.period.as_deref())?,
            unit: self.unit_id.map(UnitId),
            about: self.about,
            count: self.count,
        })
    }
}

fn read_optional<T: std::str::FromStr<Err: std::fmt::Display>>(
    text: Option<&str>,
) -> Result<Option<T>, StoreError> {
    text.map(|text| text.parse().map_err(StoreError::corrupt))
        .transpose()
}

rows!(BatchRow => audit_batches(batch_id: Text, at: Timestamp, digest: Text, entry_digests: Text));
rows!(EntryRow => audit_entries(
    batch_id: Text, number: Integer, actor: Text, action: Text, outcome: Text, form: Nullable<Text>,
    period: Nullable<Text>, unit_id: Nullable<BigInt>, about: Nullable<Text>, address: Nullable<Text>,
    request_id: Nullable<Text>, count: BigInt,
));

/// What a transaction adds to the trail.
pub(crate) struct Batch {
    batches: Vec<BatchRow>,
    entries: Vec<EntryRow>,
}

impl Batch {
    /// Of these entries; without any, nothing.
    pub(crate) async fn new(
        conn: &mut Conn,
        entries: &[AuditEntry],
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let at = match conn {
            Conn::Pg(_) => now,
            // An embedded database has the clock of its machine, which may be set back. The trail's time is not.
            Conn::Lite(_) => seals::last(conn)
                .await?
                .map_or(now, |last| now.max(last.sealed_at)),
        };
        let batch = Uuid::now_v7();
        let digests: Vec<String> = (0..)
            .zip(entries)
            .map(|(number, entry)| entry.digest(batch, at, number))
            .collect();
        let row = || BatchRow {
            batch_id: batch.to_string(),
            at: at.naive_utc(),
            digest: AuditEntry::digest_of_batch(&digests),
            entry_digests: digests.iter().map(|digest| &digest[..NAMING_CHARS]).collect(),
        };
        Ok(Self {
            batches: (!entries.is_empty()).then(row).into_iter().collect(),
            entries: (0..)
                .zip(entries)
                .map(|(number, entry)| EntryRow::new(batch, number, entry))
                .collect(),
        })
    }

    pub(crate) fn add_to<'a>(&'a self, with: &mut With<'a>) {
        with.insert(&self.batches);
        with.insert(&self.entries);
    }

    pub(crate) async fn insert(&self, conn: &mut Lite) -> QueryResult<()> {
        Rows::insert_each(&self.batches, conn).await?;
        Rows::insert_each(&self.entries, conn).await
    }
}

/// Adds what a transaction did to the trail.
pub(crate) async fn insert(
    conn: &mut Conn,
    entries: &[AuditEntry],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let Batch { batches, entries } = Batch::new(conn, entries, now).await?;
    columns::insert(conn, &batches).await?;
    columns::insert(conn, &entries).await?;
    Ok(())
}

/// Entries with their times and ids of their batches, from the oldest on, after one of them.
async fn page(
    conn: &mut Conn,
    after: Option<&AuditPlace>,
    limit: usize,
) -> Result<Vec<(AuditPlace, AuditEntry)>, StoreError> {
    macro_rules! query {
        ($c:ident) => {{
            let mut query = audit_batches::table
                .inner_join(audit_entries::table.on(audit_entries::batch_id.eq(audit_batches::batch_id)))
                .order((audit_batches::at, audit_batches::batch_id, audit_entries::number))
                .limit(limit as i64)
                .select((audit_batches::at, EntryRow::as_select()))
                .into_boxed();
            if let Some(after) = after {
                let (at, batch) = (after.at.naive_utc(), after.batch.to_string());
                let same_batch = audit_batches::batch_id
                    .eq(batch.clone())
                    .and(audit_entries::number.gt(after.number));
                let same_time = audit_batches::at
                    .eq(at)
                    .and(audit_batches::batch_id.gt(batch).or(same_batch));
                query = query.filter(audit_batches::at.gt(at).or(same_time));
            }
            query.load::<(NaiveDateTime, EntryRow)>($c).await
        }};
    }
    let rows: Vec<(NaiveDateTime, EntryRow)> = on!(conn, c => query!(c))?;
    let read = |(at, row): (NaiveDateTime, EntryRow)| {
        let place = AuditPlace {
            at: at.and_utc(),
            batch: Uuid::parse_str(&row.batch_id).map_err(StoreError::corrupt)?,
            number: row.number,
        };
        Ok((place, row.read()?))
    };
    rows.into_iter().map(read).collect()
}

/// Where an entry stands in the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPlace {
    /// When its transaction wrote it.
    pub at: DateTime<Utc>,
    /// What its transaction wrote together.
    pub batch: Uuid,
    /// Its number in the batch, from 0.
    pub number: i32,
}

/// The audit trail.
impl Store {
    /// Adds entries to the trail, in a transaction of their own.
    ///
    /// # Errors
    /// As for every call.
    pub async fn note(&self, entries: Vec<AuditEntry>) -> Result<(), StoreError> {
        self.write(move |conn| {
            Box::pin(async move {
                let now = clock(conn).await?;
                insert(conn, &entries, now).await
            })
        })
        .await
    }

    /// Entries of the trail, from the oldest on, after one of them.
    ///
    /// # Errors
    /// As for every call.
    pub async fn audit_entries(
        &self,
        after: Option<AuditPlace>,
        limit: usize,
    ) -> Result<Vec<(AuditPlace, AuditEntry)>, StoreError> {
        self.look(move |conn| Box::pin(async move { page(conn, after.as_ref(), limit).await }))
            .await
    }
}
