//! Queries, one file per table or subject. Each query is written once and compiled for both databases.

use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;

use crate::database::connection::{Conn, on};
use crate::error::StoreError;

pub(crate) mod access_keys;
pub(crate) mod catalogue;
pub(crate) mod catalogue_digest;
pub(crate) mod catalogue_uses;
pub(crate) mod changes;
pub(crate) mod idempotency;
pub(crate) mod marks;
pub(crate) mod outbox;
pub(crate) mod proofs;
pub(crate) mod reports;
pub(crate) mod submission_pages;
pub(crate) mod submissions;
pub(crate) mod totals;
mod unit_of_work;
mod writes;

/// The number of rows of a table, up to 10,000: a query that runs every few seconds must not slow down as the table
/// grows.
async fn bounded_count(conn: &mut Conn, table: &'static str) -> Result<i64, StoreError> {
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT 10000) AS counted");
    Ok(on!(conn, c => diesel::dsl::sql::<BigInt>(&sql).get_result(c).await)?)
}
