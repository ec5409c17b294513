//! The identity of the SQLite file of a running process.
//!
//! SQLite keeps writing to a file that was moved or deleted, and to its log. What is committed there is lost when the
//! last process closes it, so it must not be reported as stored.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

use crate::database::sqlite_settings::SQLITE_SETTINGS;
use crate::error::StoreError;

/// A database file and its log, as they were at startup.
pub(crate) struct DatabaseFile {
    path: PathBuf,
    log: PathBuf,
    file_id: Option<FileId>,
    log_id: Option<FileId>,
    url: String,
    /// While a connection is open, SQLite keeps the log, so it stays the same file.
    _keeper: Mutex<SqliteConnection>,
}

/// The identity of a file among all that exist at the same time.
type FileId = (u64, u64);

impl DatabaseFile {
    /// Opens an existing file.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let cannot = |error: std::io::Error| StoreError::unavailable(format!("{}: {error}", path.display()));
        // SQLite creates the log beside the target of a symbolic link.
        let real = path.canonicalize().map_err(cannot)?;
        let mut log = real.clone().into_os_string();
        log.push("-wal");
        let url = url_of(&real);
        let mut keeper = SqliteConnection::establish(&url).map_err(StoreError::unavailable)?;
        keeper.batch_execute(SQLITE_SETTINGS)?;
        keeper.batch_execute("PRAGMA schema_version")?;
        let log = PathBuf::from(log);
        Ok(Self {
            file_id: Some(id(&path.metadata().map_err(cannot)?)),
            log_id: log.metadata().ok().as_ref().map(id),
            path: path.to_owned(),
            log,
            url,
            _keeper: Mutex::new(keeper),
        })
    }

    /// The URL for connections. It never creates a file: beside an empty one SQLite would delete the log.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Fails if the file or its log is no longer in its place.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        for (path, opened) in [(&self.path, self.file_id), (&self.log, self.log_id)] {
            let found = path.metadata();
            if opened.is_some() && found.as_ref().ok().map(id) != opened {
                let what = match found {
                    Ok(_) => "another file is in its place".to_owned(),
                    Err(error) => error.to_string(),
                };
                return Err(StoreError::unavailable(format!(
                    "{} was moved or deleted under this process: {what}",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn id(file: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;
    (file.dev(), file.ino())
}

/// Other systems do not allow moving or deleting an open file.
#[cfg(not(unix))]
fn id(_: &Metadata) -> FileId {
    (0, 0)
}

/// The path as a URL, with reserved characters escaped.
fn url_of(path: &Path) -> String {
    let path = path.to_string_lossy();
    let escaped = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{escaped}?mode=rw")
}
