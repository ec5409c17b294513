//! The seals of the audit trail: a hash chain over all entries that grows every second.
//!
//! A seal covers what was committed since the last one. Transactions commit out of order, so it looks back for as long
//! as a transaction can last. The service did not write what is older and unsealed.

use std::collections::HashSet;

use chrono::{DateTime, Duration, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use tonghop_domain::SealHead;

use crate::database::connection::{Conn, on};
use crate::database::schema::{audit_batches, audit_seals};
use crate::error::StoreError;

/// Longer than the time between a transaction's reading of the clock and its commit.
pub(crate) const LOOK_BACK: Duration = Duration::seconds(30);

/// A stored seal.
#[derive(Clone, Debug)]
pub(crate) struct Seal {
    pub(crate) sealed_at: DateTime<Utc>,
    /// The ids of the batches with their digests, one per line.
    pub(crate) batches: String,
    pub(crate) head: SealHead,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_seals)]
pub(crate) struct SealRow {
    number: i64,
    sealed_at: NaiveDateTime,
    batches: String,
    head: String,
}

impl SealRow {
    pub(crate) fn read(self) -> Seal {
        Seal {
            sealed_at: self.sealed_at.and_utc(),
            batches: self.batches,
            head: SealHead {
                number: self.number,
                digest: self.head,
            },
        }
    }
}

impl Seal {
    /// The ids of the batches with their digests.
    pub(crate) fn batch_digests(&self) -> impl Iterator<Item = (&str, &str)> {
        self.batches
            .lines()
            .map(|line| line.split_once(' ').unwrap_or((line, "")))
    }
}

/// The last seal of the chain, whose numbers count from 1. Seals with numbers far beyond, which the service did not write,
/// are passed over: the search begins at a seal that was the last one before, with steps that double.
async fn last(conn: &mut Conn, hint: i64) -> Result<Option<Seal>, StoreError> {
    let mut low = if exists(conn, hint).await? { hint } else { 0 };
    let mut step = 1;
    let mut high = low.saturating_add(step);
    while high > low && exists(conn, high).await? {
        (low, step) = (high, step.saturating_mul(2));
        high = low.saturating_add(step);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if exists(conn, middle).await? {
            low = middle;
        } else {
            high = middle;
        }
    }
    let query = audit_seals::table.find(low);
    let row: Option<SealRow> = on!(conn, c => query.select(SealRow::as_select()).first(c).await.optional())?;
    Ok(row.map(SealRow::read))
}

/// The latest time of a seal.
pub(crate) async fn last_time(conn: &mut Conn) -> Result<Option<DateTime<Utc>>, StoreError> {
    let query = audit_seals::table
        .order(audit_seals::sealed_at.desc())
        .select(audit_seals::sealed_at);
    let last: Option<NaiveDateTime> = on!(conn, c => query.first(c).await.optional())?;
    Ok(last.map(|last| last.and_utc()))
}

async fn exists(conn: &mut Conn, number: i64) -> Result<bool, StoreError> {
    Ok(digest(conn, number).await?.is_some())
}

/// The ids of unsealed batches with their digests, in order, ignoring batches older than `from`.
async fn unsealed_batches(
    conn: &mut Conn,
    from: Option<DateTime<Utc>>,
) -> Result<Vec<(String, String)>, StoreError> {
    let from = from.unwrap_or(DateTime::UNIX_EPOCH).naive_utc();
    let query = audit_seals::table
        .filter(audit_seals::sealed_at.ge(from))
        .select(audit_seals::batches);
    let sealed: Vec<String> = on!(conn, c => query.load(c).await)?;
    let sealed: HashSet<&str> = sealed
        .iter()
        .flat_map(|batches| batches.lines())
        .filter_map(|line| line.split(' ').next())
        .collect();
    let query = audit_batches::table
        .filter(audit_batches::at.ge(from))
        .order((audit_batches::at, audit_batches::batch_id))
        .select((audit_batches::batch_id, audit_batches::digest));
    let mut written: Vec<(String, String)> = on!(conn, c => query.load(c).await)?;
    written.retain(|(id, _)| !sealed.contains(id.as_str()));
    Ok(written)
}

/// Appends a seal over the unsealed batches. Returns `None` if there are none or another process sealed them. `hint` is
/// the number of the last seal that is known.
pub(crate) async fn seal(
    conn: &mut Conn,
    now: DateTime<Utc>,
    hint: i64,
) -> Result<Option<SealHead>, StoreError> {
    let last = last(conn, hint).await?;
    let new = unsealed_batches(conn, last.as_ref().map(|last| last.sealed_at - LOOK_BACK)).await?;
    if new.is_empty() {
        return Ok(None);
    }
    let sealed_at = last.as_ref().map_or(now, |last| now.max(last.sealed_at));
    let batches: String = new
        .iter()
        .map(|(id, digest)| format!("{id} {digest}\n"))
        .collect();
    let before = last.as_ref().map(|last| &last.head);
    let number = before.map_or(Some(1), |before| before.number.checked_add(1));
    let number =
        number.ok_or_else(|| StoreError::corrupt("a seal of the audit trail with the highest number"))?;
    let head = SealHead::next(before, number, sealed_at, &batches);
    let row = SealRow {
        number,
        sealed_at: sealed_at.naive_utc(),
        batches,
        head: head.digest.clone(),
    };
    let insert = diesel::insert_into(audit_seals::table)
        .values(row)
        .on_conflict_do_nothing();
    let inserted = on!(conn, c => insert.execute(c).await)?;
    Ok((inserted > 0).then_some(head))
}

/// The digest of a seal.
pub(crate) async fn digest(conn: &mut Conn, number: i64) -> Result<Option<String>, StoreError> {
    let query = audit_seals::table.find(number).select(audit_seals::head);
    Ok(on!(conn, c => query.first(c).await.optional())?)
}
