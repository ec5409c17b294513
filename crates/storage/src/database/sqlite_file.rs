//! The SQLite file under the running process: whether its name still leads to it.
//!
//! A file that was moved or deleted goes on taking what is written into it, and so does its log. What is committed
//! there is lost with the last process that has it open, so nobody may be told that it is stored.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

use crate::database::sqlite_settings::SQLITE_SETTINGS;
use crate::error::StoreError;

/// A file and its log, as they were when the process started.
pub(crate) struct DatabaseFile {
    path: PathBuf,
    log: PathBuf,
    file_id: Option<FileId>,
    log_id: Option<FileId>,
    url: String,
    /// As long as somebody has the file open, SQLite keeps the log; so the log stays the same as long as the process.
    _keeper: Mutex<SqliteConnection>,
}

/// What tells a file from every other that exists at the same time.
type FileId = (u64, u64);

impl DatabaseFile {
    /// The file, which exists already.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let cannot = |error: std::io::Error| StoreError::unavailable(format!("{}: {error}", path.display()));
        // SQLite puts the log beside the file that a link leads to.
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

    /// What a connection is made with. It never makes a new file: beside an empty one SQLite would drop the log.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Fails when the file or its log is no longer where it was.
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

/// Other systems do not let a file that is open be moved or deleted.
#[cfg(not(unix))]
fn id(_: &Metadata) -> FileId {
    (0, 0)
}

/// As an address, in which some characters have a meaning of their own.
fn url_of(path: &Path) -> String {
    let path = path.to_string_lossy();
    let escaped = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{escaped}?mode=rw")
}
