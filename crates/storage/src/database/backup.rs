//! Backups of a SQLite file that is in use.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection};

use crate::database::sqlite_settings::SQLITE_SETTINGS;
use crate::error::StoreError;

#[derive(QueryableByName)]
struct QuickCheck {
    #[diesel(sql_type = Text)]
    quick_check: String,
}

/// Copies everything that is committed into another file, which must be empty or missing. Reads and writes can continue
/// meanwhile. If the copy fails or the process ends, the contents of the file are undefined.
///
/// # Errors
/// `Unavailable` when either file cannot be used, or the first is damaged: a copy of it would replace good ones.
pub async fn copy_sqlite(from: &Path, into: &Path) -> Result<(), StoreError> {
    let text = |path: &Path| {
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| StoreError::unavailable(format!("{} is not in UTF-8", path.display())))
    };
    let (from, into) = (text(from)?, text(into)?);
    let copying = move || {
        let mut conn = SqliteConnection::establish(&from).map_err(StoreError::unavailable)?;
        conn.batch_execute(SQLITE_SETTINGS)
            .map_err(StoreError::unavailable)?;
        let check = diesel::sql_query("PRAGMA quick_check(1)");
        let QuickCheck { quick_check } = check.get_result(&mut conn).map_err(StoreError::unavailable)?;
        if quick_check != "ok" {
            return Err(StoreError::unavailable(format!(
                "the file is damaged; restore a backup: {}",
                quick_check.replace('\n', " ")
            )));
        }
        let copy = diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(into);
        copy.execute(&mut conn).map_err(StoreError::unavailable)?;
        Ok(())
    };
    tokio::task::spawn_blocking(copying)
        .await
        .map_err(StoreError::unavailable)?
}
