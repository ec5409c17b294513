//! `tonghop backup`: a copy of the SQLite file, beside a running service.

use std::fs::File;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use tonghop_storage::{DatabaseUrl, copy_sqlite};

use crate::arguments::{Settings, store_failure};
use crate::failure::{Failure, failed, print, wrong_setting};
use crate::maintenance::existing;

/// Copies the database into a new file. It bears its name only once it is whole and on the disk.
pub(crate) async fn backup(settings: &Settings, file: &Path) -> Result<(), Failure> {
    let url = existing(settings)?;
    let DatabaseUrl::Sqlite(database) = &url else {
        return Err(wrong_setting(
            "tonghop backup copies SQLite files; PostgreSQL has pg_dump, see docs/back-up.md",
        ));
    };
    let cannot = |error: Error| {
        let why = match error.kind() {
            ErrorKind::AlreadyExists => "there is such a file already, and a backup overwrites none".into(),
            _ => error.to_string(),
        };
        failed(format!("{}: {why}", file.display()))
    };
    if file.exists() {
        return Err(cannot(ErrorKind::AlreadyExists.into()));
    }
    let folder = folder_of(file);
    let unfinished = tempfile::Builder::new()
        .prefix(".tonghop-backup-")
        .suffix(".unfinished")
        .tempfile_in(&folder)
        .map_err(cannot)?;
    copy_sqlite(database, unfinished.path())
        .await
        .map_err(|error| store_failure(&url, &error))?;
    let name = file.to_owned();
    let naming = move || keep(unfinished, &name, &folder);
    let naming = tokio::task::spawn_blocking(naming).await.map_err(failed)?;
    let size = naming.map_err(cannot)?;
    print(&format!(
        "{url} is copied to {} ({size} bytes). `tonghop verify --database-url sqlite:{}` proves the copy.\n",
        file.display(),
        file.display()
    ));
    Ok(())
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Gives a whole file its name, and answers its size.
fn keep(unfinished: NamedTempFile, name: &Path, folder: &Path) -> Result<u64, Error> {
    unfinished.as_file().sync_all()?;
    let file = unfinished.persist_noclobber(name)?;
    File::open(folder)?.sync_all()?;
    Ok(file.metadata()?.len())
}
