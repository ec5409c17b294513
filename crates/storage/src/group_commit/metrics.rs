//! Metrics of group commit: changes per transaction, and duration.

use std::time::Duration;

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Histograms of commits; cheap to clone.
#[derive(Clone, Debug)]
pub struct Commits {
    changes: Histogram,
    seconds: Histogram,
}

impl Default for Commits {
    fn default() -> Self {
        Self {
            // 1 to 256, the size of the largest batch.
            changes: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            // 0.5 ms to 4 s.
            seconds: Histogram::new(exponential_buckets(0.0005, 2.0, 14)),
        }
    }
}

impl Commits {
    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "commit_changes",
            "Changes that shared a transaction",
            self.changes.clone(),
        );
        registry.register(
            "commit_duration_seconds",
            "How long recording a transaction's changes took, from its beginning to the end of its commit",
            self.seconds.clone(),
        );
    }

    pub(crate) fn observe(&self, changes: usize, took: Duration) {
        self.changes.observe(changes as f64);
        self.seconds.observe(took.as_secs_f64());
    }
}
