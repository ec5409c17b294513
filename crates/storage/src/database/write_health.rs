//! Whether the database accepts writes, and is sound as far as anyone knows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::error::StoreError;

/// Whether the database accepts writes. After a failed write, readiness retries a probe write until one succeeds;
/// otherwise it writes nothing.
#[derive(Debug, Default)]
pub(crate) struct WriteHealth {
    refused: AtomicU64,
    /// The number of failures before the last successful probe. Locked during a probe.
    answered_for: Mutex<u64>,
    /// Whether the database returned nonsense. Nothing that it says can be trusted until somebody has looked at it, so this
    /// stays until the process ends.
    is_damaged: AtomicBool,
}

/// Parts of the messages of SQLite and PostgreSQL about damaged files.
const DAMAGES: [&str; 4] = [
    "database disk image is malformed",
    "file is not a database",
    "invalid page in block",
    "could not read block",
];

impl WriteHealth {
    /// Notes whether an operation found the database damaged, and logs it once.
    pub(crate) fn note_damage<T>(&self, result: &Result<T, StoreError>) {
        if let Err(StoreError::Unavailable(message) | StoreError::Corrupt(message)) = result
            && DAMAGES.iter().any(|damage| message.contains(damage))
            && !self.is_damaged.swap(true, Ordering::Relaxed)
        {
            tracing::error!(
                message,
                "the database is damaged: stop the service and restore a backup"
            );
        }
    }

    /// Counts a failed write.
    pub(crate) fn note<T>(&self, result: &Result<T, StoreError>) {
        self.note_damage(result);
        // A missing grant counts as a violated constraint: PostgreSQL has one SQLSTATE for both.
        if let Err(
            StoreError::Unavailable(_) | StoreError::Contention(_) | StoreError::ConstraintViolated(_),
        ) = result
        {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Runs the probe if a write has failed since the last successful one.
    pub(crate) async fn settle(
        &self,
        attempt: impl AsyncFnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if self.is_damaged.load(Ordering::Relaxed) {
            return Err(StoreError::unavailable("the database is damaged"));
        }
        let mut answered_for = self.answered_for.lock().await;
        let refused = self.refused.load(Ordering::Relaxed);
        if *answered_for != refused {
            attempt().await?;
            *answered_for = refused;
        }
        Ok(())
    }
}
