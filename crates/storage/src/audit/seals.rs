//! The seals of the audit trail: a hash chain over all entries that grows every second.
//!
//! A seal covers what was committed since the last one. Transactions commit out of order, so it looks back for as long
//! as a transaction can last. The service did not write what is older and unsealed.

use std::collections::HashSet;

use chrono::{DateTime, Duration, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use tonghop_domain::SealHead;

use crate::database::clock::clocks;
use crate::database::connection::{Conn, on};
use crate::database::schema::{audit_batches, audit_head, audit_seals};
use crate::error::StoreError;

/// The step of the trail's time at a seal, while the clock is behind it. Even with many processes, each of which seals every
/// second, it is slower than the clock, which catches up.
const SLOW_STEP: Duration = Duration::milliseconds(10);

/// The most seals in a row that the service did not write and that it passes over.
const FOREIGN_SEALS: usize = 100;

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

/// The last seal, of which the database keeps a copy: if the last seals are removed, the chain goes on after them, and the
/// gap shows.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = audit_head)]
struct HeadRow {
    id: i32,
    number: i64,
    digest: String,
    sealed_at: NaiveDateTime,
}

/// The last seal of the chain, with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastSeal {
    pub(crate) head: SealHead,
    pub(crate) sealed_at: DateTime<Utc>,
}

/// The last seal, according to its copy.
pub(crate) async fn last(conn: &mut Conn) -> Result<Option<LastSeal>, StoreError> {
    let query = audit_head::table.find(1);
    let row: Option<HeadRow> = on!(conn, c => query.select(HeadRow::as_select()).first(c).await.optional())?;
    Ok(row.map(|row| {
        let head = SealHead {
            number: row.number,
            digest: row.digest,
        };
        LastSeal {
            head,
            sealed_at: row.sealed_at.and_utc(),
        }
    }))
}

/// The seal after which the next one follows: the last one, as its copy or this process knows it; without either, the last
/// of those from the first that are there. Seals with numbers far beyond, which the service did not write, are passed over.
async fn last_to_follow(conn: &mut Conn, known: Option<LastSeal>) -> Result<Option<LastSeal>, StoreError> {
    let copy = last(conn)
        .await?
        .filter(|last| (1..i64::MAX).contains(&last.head.number));
    match (copy, known) {
        (Some(copy), Some(known)) if known.head.number > copy.head.number => Ok(Some(missed(known))),
        (None, Some(known)) => Ok(Some(missed(known))),
        (Some(copy), _) => Ok(Some(copy)),
        (None, None) => last_found(conn).await,
    }
}

/// A seal that the database no longer knows of. The chain goes on after it, so that the gap shows.
fn missed(known: LastSeal) -> LastSeal {
    tracing::error!(seal = known.head.number, "a seal of the audit trail was removed");
    known
}

async fn last_found(conn: &mut Conn) -> Result<Option<LastSeal>, StoreError> {
    let (mut low, mut high) = (0, 1);
    while exists(conn, high).await? {
        (low, high) = (high, high.saturating_mul(2));
        if low == high {
            break;
        }
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
    Ok(row.map(SealRow::read).map(|seal| LastSeal {
        head: seal.head,
        sealed_at: seal.sealed_at,
    }))
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

/// Appends a seal over the unsealed batches. Returns the last seal, and whether it is new: there may be nothing to seal, or
/// another process sealed it. `known` is the last seal that this process knows of.
pub(crate) async fn seal(
    conn: &mut Conn,
    known: Option<LastSeal>,
) -> Result<(Option<LastSeal>, bool), StoreError> {
    let now = clocks(conn).await?.now;
    let before = last_to_follow(conn, known).await?;
    let from = before.as_ref().map(|before| before.sealed_at - LOOK_BACK);
    let new = unsealed_batches(conn, from).await?;
    if new.is_empty() {
        return Ok((before, false));
    }
    // After the clock was set back, the trail's time goes on slowly, so that looking back does not reach ever more.
    let sealed_at = match &before {
        Some(before) if now <= before.sealed_at => before.sealed_at + SLOW_STEP,
        _ => now,
    };
    let batches: String = new
        .iter()
        .map(|(id, digest)| format!("{id} {digest}\n"))
        .collect();
    let next = before
        .as_ref()
        .map_or(1, |before| before.head.number.saturating_add(1));
    for number in (next..=i64::MAX).take(FOREIGN_SEALS) {
        let head = SealHead::next(
            before.as_ref().map(|before| &before.head),
            number,
            sealed_at,
            &batches,
        );
        if insert(conn, &head, sealed_at, &batches).await? {
            return Ok((Some(LastSeal { head, sealed_at }), true));
        }
        let last = last(conn).await?;
        if last != before {
            return Ok((last, false));
        }
        tracing::error!(
            seal = number,
            "a seal of the audit trail was not written by the service"
        );
    }
    Err(StoreError::corrupt(
        "many seals of the audit trail that the service did not write",
    ))
}

/// Inserts a seal, unless there is one with its number.
async fn insert(
    conn: &mut Conn,
    head: &SealHead,
    sealed_at: DateTime<Utc>,
    batches: &str,
) -> Result<bool, StoreError> {
    let row = SealRow {
        number: head.number,
        sealed_at: sealed_at.naive_utc(),
        batches: batches.to_owned(),
        head: head.digest.clone(),
    };
    let insert = diesel::insert_into(audit_seals::table)
        .values(row)
        .on_conflict_do_nothing();
    if on!(conn, c => insert.execute(c).await)? == 0 {
        return Ok(false);
    }
    let row = HeadRow {
        id: 1,
        number: head.number,
        digest: head.digest.clone(),
        sealed_at: sealed_at.naive_utc(),
    };
    let upsert = diesel::insert_into(audit_head::table)
        .values(row.clone())
        .on_conflict(audit_head::id)
        .do_update()
        .set(row);
    on!(conn, c => upsert.execute(c).await)?;
    Ok(true)
}

/// The digest of a seal.
pub(crate) async fn digest(conn: &mut Conn, number: i64) -> Result<Option<String>, StoreError> {
    let query = audit_seals::table.find(number).select(audit_seals::head);
    Ok(on!(conn, c => query.first(c).await.optional())?)
}
