//! Queries on the outbox.

use chrono::{DateTime, Duration, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Text, Timestamp};
use diesel_async::RunQueryDsl;
use tonghop_domain::{Announcement, Envelope};
use uuid::Uuid;

use crate::codec;
use crate::database::connection::{Conn, on};
use crate::database::schema::outbox;
use crate::database::unnest::rows;
use crate::database::uuid::{Id, StoredId};
use crate::error::StoreError;
use crate::queries::bounded_count;

/// The lifetime of a claim. A publisher's window of confirms ends well before.
const CLAIM: Duration = Duration::seconds(15);

#[derive(Insertable)]
#[diesel(table_name = outbox)]
pub(crate) struct OutboxRow {
    outbox_id: StoredId,
    announcement: String,
    created_at: NaiveDateTime,
}

rows!(OutboxRow => outbox(outbox_id: Id, announcement: Text, created_at: Timestamp));

pub(crate) fn rows(news: &[Announcement], now: DateTime<Utc>) -> Result<Vec<OutboxRow>, StoreError> {
    let row = |announcement: &Announcement| {
        Ok(OutboxRow {
            outbox_id: StoredId(Uuid::now_v7()),
            announcement: codec::write_announcement(announcement)?,
            created_at: now.naive_utc(),
        })
    };
    news.iter().map(row).collect()
}

/// Claims the oldest announcements without a claim. On PostgreSQL several relays can claim at once.
pub(crate) async fn claim(
    conn: &mut Conn,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<Envelope>, StoreError> {
    let free = outbox::claimed_until
        .is_null()
        .or(outbox::claimed_until.lt(now.naive_utc()));
    let query = outbox::table
        .filter(free)
        .order(outbox::outbox_id)
        .limit(limit as i64)
        .select((outbox::outbox_id, outbox::announcement, outbox::created_at));
    let rows: Vec<(StoredId, String, NaiveDateTime)> = match conn {
        Conn::Pg(object) => query.for_update().skip_locked().load(&mut **object).await?,
        Conn::Lite(object) => query.load(&mut **object).await?,
    };
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let claimed = outbox::table.filter(outbox::outbox_id.eq_any(rows.iter().map(|row| row.0)));
    let update = diesel::update(claimed).set(outbox::claimed_until.eq((now + CLAIM).naive_utc()));
    on!(conn, c => update.execute(c).await)?;
    let mut envelopes = Vec::with_capacity(rows.len());
    for (id, announcement, created_at) in rows {
        match read(id, &announcement, created_at) {
            Ok(envelope) => envelopes.push(envelope),
            // An unreadable announcement must not block the others. Its total is marked, so the sweep refreshes it.
            Err(error) => {
                tracing::error!(%error, outbox_id = %id.0, "unreadable announcement in the outbox")
            }
        }
    }
    Ok(envelopes)
}

fn read(id: StoredId, announcement: &str, created_at: NaiveDateTime) -> Result<Envelope, StoreError> {
    Ok(Envelope {
        id: id.0,
        at: created_at.and_utc(),
        announcement: codec::read_announcement(announcement)?,
    })
}

/// Deletes published announcements.
pub(crate) async fn delete(conn: &mut Conn, published: &[Uuid]) -> Result<(), StoreError> {
    let published = outbox::table.filter(outbox::outbox_id.eq_any(published.iter().map(|id| StoredId(*id))));
    on!(conn, c => diesel::delete(published).execute(c).await)?;
    Ok(())
}

/// The number of unpublished announcements, up to the limit, and the time of the oldest.
pub(crate) async fn backlog(conn: &mut Conn) -> Result<(i64, Option<DateTime<Utc>>), StoreError> {
    let count = bounded_count(conn, "outbox").await?;
    // The ids begin with the time.
    let oldest = outbox::table.select(outbox::created_at).order(outbox::outbox_id);
    let created_at: Option<NaiveDateTime> = on!(conn, c => oldest.first(c).await.optional())?;
    Ok((count, created_at.map(|at| at.and_utc())))
}
