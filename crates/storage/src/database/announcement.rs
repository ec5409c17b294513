//! How a transaction announces itself that records or refreshes: see [`crate::database::watermark`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

/// Announces a transaction on PostgreSQL until it ends.
pub(crate) const ANNOUNCEMENT: &str = "SELECT announce()";

/// When the writer of a SQLite file announced its transaction, in microseconds since 1970; 0 without one. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Announced(Arc<AtomicI64>);

impl Announced {
    /// Announces the transaction that has begun.
    pub(crate) fn begin(&self) {
        self.0.store(Utc::now().timestamp_micros(), Ordering::SeqCst);
    }

    /// No announced transaction is open.
    pub(crate) fn end(&self) {
        self.0.store(0, Ordering::SeqCst);
    }

    /// When the open transaction was announced, if one is.
    pub(crate) fn since(&self) -> Option<DateTime<Utc>> {
        match AtomicI64::load(&self.0, Ordering::SeqCst) {
            0 => None,
            micros => DateTime::from_timestamp_micros(micros),
        }
    }
}
