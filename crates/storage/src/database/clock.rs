//! The time of the database.

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::database::connection::Conn;
use crate::database::schema::audit_head;
use crate::error::StoreError;
use crate::unit_of_work::Clock;

diesel::define_sql_function! {
    /// The current time, independent of the start of the transaction.
    fn clock_timestamp() -> diesel::sql_types::Timestamptz;
}

diesel::define_sql_function! {
    /// Announces the transaction until it ends, and returns a time that is not before the announced one.
    fn announce() -> diesel::sql_types::Timestamptz;
}

/// The time by which changes are ordered: that of the database, read in its own statement after the locks. With an
/// embedded database it is the clock of the process, in microseconds.
pub(crate) async fn clock(conn: &mut Conn) -> Result<DateTime<Utc>, StoreError> {
    match conn {
        Conn::Pg(object) => {
            let now = diesel::select(clock_timestamp());
            Ok(now.get_result(&mut **object).await?)
        }
        Conn::Lite(_) => Ok(own_clock()),
    }
}

/// Announces the transaction for the watermark, and returns the time afterwards. On SQLite, the transaction was announced
/// when it began.
pub(crate) async fn announced_clock(conn: &mut Conn) -> Result<DateTime<Utc>, StoreError> {
    match conn {
        Conn::Pg(object) => Ok(diesel::select(announce()).get_result(&mut **object).await?),
        Conn::Lite(_) => Ok(own_clock()),
    }
}

/// The clock of the process.
fn own_clock() -> DateTime<Utc> {
    #[cfg(test)]
    let offset = std::sync::atomic::AtomicI64::load(&tests::OFFSET, std::sync::atomic::Ordering::Relaxed);
    #[cfg(not(test))]
    let offset = 0;
    (Utc::now() + chrono::Duration::microseconds(offset)).trunc_subsecs(6)
}

/// The times of the database, in one statement.
pub(crate) async fn clocks(conn: &mut Conn) -> Result<Clock, StoreError> {
    let sealed_at = audit_head::table.find(1).select(audit_head::sealed_at);
    let (now, sealed_at): (DateTime<Utc>, Option<NaiveDateTime>) = match conn {
        Conn::Pg(object) => {
            let both = diesel::select((clock_timestamp(), sealed_at.single_value()));
            both.get_result(&mut **object).await?
        }
        Conn::Lite(object) => {
            let sealed_at = sealed_at.first(&mut **object).await.optional()?;
            (own_clock(), sealed_at)
        }
    };
    Ok(Clock {
        now,
        trail: sealed_at.map_or(now, |sealed_at| now.max(sealed_at.and_utc())),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::AtomicI64;

    /// How far the clock of the process is ahead of the machine's, in microseconds. Each test has its own process.
    pub(crate) static OFFSET: AtomicI64 = AtomicI64::new(0);
}
