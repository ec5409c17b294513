//! How a transaction that records announces itself: see [`crate::database::watermark`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

/// Announces a transaction on PostgreSQL. The upper 16 bits of the key distinguish announcements from other advisory
/// locks; the others are milliseconds since 1970.
pub(crate) const ANNOUNCEMENT: &str = "SELECT pg_advisory_xact_lock_shared( \
    (29799::bigint << 48) | floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)";

/// When the writer of a SQLite file began to record, in microseconds since 1970; 0 while it does not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recording(Arc<AtomicI64>);

/// The writer records until this is dropped.
#[derive(Debug)]
pub(crate) struct RecordingGuard(Recording);

impl Recording {
    pub(crate) fn begin(&self) -> RecordingGuard {
        self.0.store(Utc::now().timestamp_micros(), Ordering::SeqCst);
        RecordingGuard(self.clone())
    }

    /// When the writer began, if it records.
    pub(crate) fn since(&self) -> Option<DateTime<Utc>> {
        match AtomicI64::load(&self.0, Ordering::SeqCst) {
            0 => None,
            micros => DateTime::from_timestamp_micros(micros),
        }
    }
}

impl Drop for RecordingGuard {
    fn drop(&mut self) {
        self.0.0.store(0, Ordering::SeqCst);
    }
}
