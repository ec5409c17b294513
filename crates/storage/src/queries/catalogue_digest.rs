//! The digest of the catalogue, which all processes must share.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::database::connection::{Conn, on};
use crate::database::schema::catalogue;
use crate::error::StoreError;

/// Share-locks the catalogue until the transaction ends.
///
/// # Errors
/// `CatalogueMismatch` when this process has another one.
pub(crate) async fn share_lock(conn: &mut Conn, digest: &str) -> Result<(), StoreError> {
    let query = catalogue::table.find(1).select(catalogue::digest);
    let held: Option<String> = match conn {
        Conn::Pg(object) => query.for_share().first(&mut **object).await.optional()?,
        Conn::Lite(object) => query.first(&mut **object).await.optional()?,
    };
    compare(held, digest)
}

/// Compares the digests without a lock.
///
/// # Errors
/// As for [`share_lock`].
pub(crate) async fn check(conn: &mut Conn, digest: &str) -> Result<(), StoreError> {
    let query = catalogue::table.find(1).select(catalogue::digest);
    let held: Option<String> = on!(conn, c => query.first(c).await.optional())?;
    compare(held, digest)
}

fn compare(held: Option<String>, digest: &str) -> Result<(), StoreError> {
    match held {
        Some(held) if held == digest => Ok(()),
        Some(_) => Err(StoreError::CatalogueMismatch),
        None => Err(StoreError::NotMigrated),
    }
}
