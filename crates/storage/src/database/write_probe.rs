//! A write without meaning, which tests whether the database accepts any.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::database::connection::{Conn, on};
use crate::database::schema::write_probe;
use crate::error::StoreError;

/// The size of a report with many figures: it does not fit into half-filled pages of a full disk.
const PROBE_BYTES: usize = 32 * 1024;

/// Overwrites the probe's row.
pub(crate) async fn write(conn: &mut Conn) -> Result<(), StoreError> {
    // Random, so that it cannot be compressed.
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
