//! The watermark: a time before which nothing can still be recorded.
//!
//! A revision gets its time when its transaction has locked the head, and becomes visible when the transaction commits,
//! so a later time can become visible first. A client that asks for everything since the newest time it saw would miss the
//! earlier one. Therefore a transaction that records announces itself before it reads the clock, and what is read by time
//! ends at the watermark: the earliest announcement, or now if there is none.
//!
//! On PostgreSQL the announcement is an advisory lock whose key is the time. It ends with the transaction, after the
//! commit has become visible, and every session can see it. A SQLite file has one process and one writer, so there the
//! announcement is a number in memory.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable};
use diesel_async::RunQueryDsl;

use crate::database::acting_as::ActingAs;
use crate::database::clock::clock;
use crate::database::connection::{Conn, Purpose};
use crate::database::pool::Pools;
use crate::error::StoreError;

/// The earliest announcement.
const EARLIEST: &str = "SELECT min(((classid::bigint & 65535) << 32) | objid::bigint) AS earliest FROM pg_locks \
    WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = 29799 \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

#[derive(QueryableByName)]
struct Earliest {
    #[diesel(sql_type = Nullable<BigInt>)]
    earliest: Option<i64>,
}

impl Pools {
    /// The watermark of a SQLite file, which this process knows.
    pub(crate) fn own_watermark(&self) -> Option<DateTime<Utc>> {
        let Self::Lite { recording, .. } = self else {
            return None;
        };
        // The clock first: what begins to record after this gets a later time.
        let now = Utc::now();
        Some(recording.since().map_or(now, |since| now.min(since)))
    }

    /// The watermark of the database. It holds for every snapshot that is taken afterwards.
    pub(crate) async fn watermark(&self) -> Result<DateTime<Utc>, StoreError> {
        let mut tx = self.begin(Purpose::Read, &ActingAs::Service).await?;
        match read(tx.conn()?).await {
            Ok(watermark) => tx.commit().await.map(|()| watermark),
            Err(error) => Err(tx.abort(error).await),
        }
    }
}

async fn read(conn: &mut Conn) -> Result<DateTime<Utc>, StoreError> {
    let now = clock(conn).await?;
    let Conn::Pg(object) = conn else { return Ok(now) };
    let Earliest { earliest } = diesel::sql_query(EARLIEST).get_result(&mut **object).await?;
    let announced = earliest.and_then(DateTime::from_timestamp_millis);
    Ok(announced.map_or(now, |announced| now.min(announced)))
}
