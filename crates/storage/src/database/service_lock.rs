//! The lock that lets one service use a SQLite file.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use crate::database::url::DatabaseUrl;
use crate::error::StoreError;

/// The lock of the process that serves from a SQLite file; released when dropped. Commands that only read or write a
/// little run beside it.
#[derive(Debug)]
pub struct ServiceLock {
    _file: Option<File>,
}

impl ServiceLock {
    /// Locks the file; does nothing with PostgreSQL.
    ///
    /// # Errors
    /// `InUse` when another process holds it.
    pub fn take(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let DatabaseUrl::Sqlite(path) = url else {
            return Ok(Self { _file: None });
        };
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        let cannot =
            |error: std::io::Error| StoreError::unavailable(format!("{}: {error}", lock_path.display()));
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse(path.display().to_string())),
            Err(std::fs::TryLockError::Error(error)) => Err(cannot(error)),
        }
    }
}
