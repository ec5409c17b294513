//! Whether the database accepts writes.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::error::StoreError;

/// Whether the database accepts writes. After a failed write, readiness retries a probe write until one succeeds;
/// otherwise it writes nothing.
#[derive(Debug, Default)]
pub(crate) struct WriteHealth {
    refused: AtomicU64,
    /// The number of failures before the last successful probe. Locked during a probe.
    answered_for: Mutex<u64>,
}

impl WriteHealth {
    /// Counts a failed write.
    pub(crate) fn note<T>(&self, result: &Result<T, StoreError>) {
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
        let mut answered_for = self.answered_for.lock().await;
        let refused = self.refused.load(Ordering::Relaxed);
        if *answered_for != refused {
            attempt().await?;
            *answered_for = refused;
        }
        Ok(())
    }
}
