//! Queries, a file for each table or what it holds. Each is written once and compiled for both databases.

use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;

use crate::database::pool::{Conn, on};
use crate::error::StoreError;

pub(crate) mod access_keys;
pub(crate) mod catalogue;
pub(crate) mod catalogue_digest;
pub(crate) mod idempotency;
pub(crate) mod marks;
pub(crate) mod outbox;
pub(crate) mod reports;
pub(crate) mod submissions;
pub(crate) mod totals;
mod unit_of_work;
mod writes;

/// How many rows a table has, counting no more than 10,000: what is asked for again and again must not take longer the more
/// there are.
async fn bounded_count(conn: &mut Conn, table: &'static str) -> Result<i64, StoreError> {
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT 10000) AS counted");
    Ok(on!(conn, c => diesel::dsl::sql::<BigInt>(&sql).get_result(c).await)?)
}
