//! The time of the database.

use chrono::{DateTime, SubsecRound, Utc};
use diesel_async::RunQueryDsl;

use crate::database::connection::Conn;
use crate::error::StoreError;

diesel::define_sql_function! {
    /// The current time, independent of the start of the transaction.
    fn clock_timestamp() -> diesel::sql_types::Timestamptz;
}

/// The time by which changes are ordered: that of the database, read in its own statement after the locks. With an
/// embedded database it is the clock of the process, in microseconds.
pub(crate) async fn clock(conn: &mut Conn) -> Result<DateTime<Utc>, StoreError> {
    match conn {
        Conn::Pg(object) => {
            let now = diesel::select(clock_timestamp());
            Ok(now.get_result(&mut **object).await?)
        }
        Conn::Lite(_) => Ok(Utc::now().trunc_subsecs(6)),
    }
}
