//! One service to one SQLite file.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use crate::database::url::DatabaseUrl;
use crate::error::StoreError;

/// Contended by the process that serves from a SQLite file; let go when dropped. Commands that only read or add a
/// little work beside it.
#[derive(Debug)]
pub struct ServiceLock {
    _file: Option<File>,
}

impl ServiceLock {
    /// Takes the lock; with PostgreSQL there is nothing to take.
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
