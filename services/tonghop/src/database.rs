//! The database of the administrator's commands.

use tonghop_process::{Failure, Settings};
use tonghop_storage::{DatabaseUrl, Store};

/// The configured database, if it exists: a mistyped path must not create an empty file.
pub(crate) fn existing(settings: &Settings) -> Result<DatabaseUrl, Failure> {
    let url = settings.database()?;
    match &url {
        DatabaseUrl::Sqlite(path) if !path.exists() => Err(Failure::configuration(format!(
            "there is no database at {}",
            path.display()
        ))),
        _ => Ok(url),
    }
}

/// Opens the configured database, if it exists.
pub(crate) async fn open_existing(settings: &Settings) -> Result<Store, Failure> {
    settings.open_store(&existing(settings)?).await
}
