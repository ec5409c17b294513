//! The watermark: a time before which nothing can still be recorded, and no total refreshed.
//!
//! A revision gets its time when its transaction has locked the head, and becomes visible when the transaction commits,
//! so a later time can become visible first; so it is with a total that was refreshed. A client that asks for everything
//! since the newest time it saw would miss the earlier one. Therefore a transaction that records or refreshes announces
//! itself before it reads the clock, and what is read by time ends at the watermark: the earliest announcement, or now if
//! there is none. A refresh announces itself at its end, since it may first wait for locks.
//!
//! On PostgreSQL the announcement is an advisory lock whose key is the time. It ends with the transaction, after the
//! commit has become visible, and every session can see it. A SQLite file has one process and one writer, so there the
//! announcement is a number in memory.

use chrono::{DateTime, SubsecRound, Utc};
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
        let Self::Lite { announced, .. } = self else {
            return None;
        };
        // The clock first: what is announced after this gets a later time.
        let now = Utc::now().trunc_subsecs(6);
        Some(announced.since().map_or(now, |since| now.min(since)))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::database::url::DatabaseUrl;

    const RECORD: Purpose = Purpose::Record { hurry: false };
    const REFRESH: Purpose = Purpose::Refresh { hurry: false };

    /// The time goes on by a little.
    async fn passes() -> DateTime<Utc> {
        tokio::time::sleep(Duration::from_millis(2)).await;
        Utc::now()
    }

    #[tokio::test]
    async fn a_writer_of_a_file_holds_the_watermark_back_until_it_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        std::fs::write(&file, "").unwrap();
        let url: DatabaseUrl = format!("sqlite:{}", file.display()).parse().unwrap();
        let pools = Pools::new(&url).unwrap();
        let begin = |purpose| pools.begin(purpose, &ActingAs::Service);
        let watermark = || pools.own_watermark().unwrap();
        for purpose in [RECORD, REFRESH] {
            let tx = begin(purpose).await.unwrap();
            let begun = passes().await;
            assert!(watermark() < begun, "{purpose:?}");
            tx.commit().await.unwrap();
            assert!(watermark() >= begun, "{purpose:?}");
            // Its commit may still be in progress, until another one can write.
            drop(begin(purpose).await.unwrap());
            let dropped = passes().await;
            assert!(watermark() < dropped, "{purpose:?}");
            drop(begin(Purpose::Read).await.unwrap());
            assert!(watermark() < dropped, "{purpose:?}");
            begin(Purpose::Write).await.unwrap().rollback().await.unwrap();
            assert!(watermark() >= dropped, "{purpose:?}");
        }
    }
}
