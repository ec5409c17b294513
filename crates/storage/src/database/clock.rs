//! The time of the database.

use chrono::{DateTime, SubsecRound, Utc};
use diesel_async::RunQueryDsl;

use crate::database::pool::Conn;
use crate::error::StoreError;

diesel::define_sql_function! {
    /// The time now, however long ago the transaction began.
    fn clock_timestamp() -> diesel::sql_types::Timestamptz;
}

/// The time by which changes are ordered: the database's own, read in a statement of its own, after the locks.
/// An embedded database has the clock of its process, in microseconds.
pub(crate) async fn clock(conn: &mut Conn) -> Result<DateTime<Utc>, StoreError> {
    match conn {
        Conn::Pg(object) => {
            let now = diesel::select(clock_timestamp());
            Ok(now.get_result(&mut **object).await?)
        }
        Conn::Lite(_) => Ok(Utc::now().trunc_subsecs(6)),
    }
}
