//! A change that means nothing, to find out whether the database takes any.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::database::pool::{Conn, on};
use crate::database::schema::write_probe;
use crate::error::StoreError;

/// As large as a report of many figures: what is left in half-filled pages of a full disk does not hold it.
const PROBE_BYTES: usize = 32 * 1024;

/// Writes what means nothing, over what it wrote before.
pub(crate) async fn write(conn: &mut Conn) -> Result<(), StoreError> {
    // Not to be compressed away.
    let filler: String = std::iter::repeat_with(|| Uuid::now_v7().simple().to_string())
        .take(PROBE_BYTES / 32)
        .collect();
    let insert = diesel::insert_into(write_probe::table)
        .values((write_probe::id.eq(1), write_probe::filler.eq(&filler)))
        .on_conflict(write_probe::id)
        .do_update()
        .set(write_probe::filler.eq(&filler));
    on!(conn, c => insert.execute(c).await)?;
    Ok(())
}
