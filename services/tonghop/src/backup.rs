//! `tonghop backup`: copies the SQLite file, while the service runs.

use std::fs::File;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use tonghop_process::{Failure, Settings};
use tonghop_storage::{DatabaseUrl, copy_sqlite};

use crate::database::existing;
use crate::output::print;

/// Copies the database into a new file, which gets its name once it is complete and on the disk.
pub(crate) async fn backup(settings: &Settings, file: &Path) -> Result<(), Failure> {
    let url = existing(settings)?;
    let DatabaseUrl::Sqlite(database) = &url else {
        return Err(Failure::configuration(
            "tonghop backup copies SQLite files; for PostgreSQL, use pg_dump (docs/back-up.md)",
        ));
    };
    if file.exists() {
        return Err(failure(file, &ErrorKind::AlreadyExists.into()));
    }
    let folder = folder_of(file);
    let unfinished = tempfile::Builder::new()
        .prefix(".tonghop-backup-")
        .suffix(".unfinished")
        .tempfile_in(&folder)
        .map_err(|error| failure(file, &error))?;
    copy_sqlite(database, unfinished.path())
        .await
        .map_err(|error| Failure::database(&url, &error))?;
    let name = file.to_owned();
    let finishing = tokio::task::spawn_blocking(move || finish(unfinished, &name, &folder));
    let finished = finishing.await.map_err(Failure::runtime)?;
    let size = finished.map_err(|error| failure(file, &error))?;
    print(&format!(
        "{url} is copied to {} ({size} bytes). `tonghop verify --database-url sqlite:{}` verifies the copy.\n",
        file.display(),
        file.display()
    ));
    Ok(())
}

fn failure(file: &Path, error: &Error) -> Failure {
    match error.kind() {
        ErrorKind::AlreadyExists => Failure::configuration(format!(
            "{}: the file exists, and a backup overwrites none",
            file.display()
        )),
        _ => Failure::file(file, error),
    }
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Gives a complete file its name, and returns its size.
fn finish(unfinished: NamedTempFile, name: &Path, folder: &Path) -> Result<u64, Error> {
    unfinished.as_file().sync_all()?;
    let file = unfinished.persist_noclobber(name)?;
    File::open(folder)?.sync_all()?;
    Ok(file.metadata()?.len())
}
