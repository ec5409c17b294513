//! Whether the database takes changes.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::error::StoreError;

/// Remembers that a change was refused for a reason of the database's, until a change of our own is taken. In good
/// weather nothing is written.
#[derive(Debug, Default)]
pub(crate) struct WriteHealth {
    refused: AtomicU64,
    /// How many refusals were there when the database last took a change of our own. Locked by who tries.
    answered_for: Mutex<u64>,
}

impl WriteHealth {
    /// Remembers what became of a change.
    pub(crate) fn note<T>(&self, result: &Result<T, StoreError>) {
        if let Err(StoreError::Unavailable(_) | StoreError::Contention(_)) = result {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has a change of our own tried if one was refused since the last time.
    pub(crate) async fn settle(
        &self,
        attempt: impl AsyncFnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut answered_for = self.answered_for.lock().await;
        let refused = self.refused.load(Ordering::Relaxed);
        if *answered_for != refused {
            attempt().await?;
            *answered_for = refused;
        }
        Ok(())
    }
}
