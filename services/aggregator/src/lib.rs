//! The worker: consumes announcements, refreshes the totals that they name, and sweeps for totals whose announcements were
//! lost.
//!
//! `tonghop_storage::Store::refresh` refreshes a total; this crate decides which totals and when. Its faults can delay a
//! total but never falsify it: the database marks what is stale, and the sweep follows the marks only. Any number of workers
//! may run. The crate knows nothing of SQL, figures or lapin.

mod handler;
mod health;
mod metrics;
mod schedule;
mod settings;
mod sweep;
mod worker;

use tokio_util::sync::CancellationToken;
use tonghop_events::{Bus, Health, consume};
use tonghop_metrics::Metrics;
use tonghop_storage::Store;

pub use health::{HealthError, serve_health};
pub use metrics::RefreshCounts;
pub use settings::{AggregatorOptions, Settings};
pub use worker::{Totals, Worker};

/// Runs the worker until `stop`, then finishes the refreshes that are under way. `health` describes the consumer's
/// connection.
pub async fn run(
    store: Store,
    bus: &Bus,
    settings: Settings,
    health: &Health,
    metrics: &Metrics,
    stop: &CancellationToken,
) {
    let counts = RefreshCounts::default();
    counts.register(metrics);
    let worker = Worker::new(store, settings, counts);
    tokio::join!(
        consume(bus, &worker, health, stop),
        worker.refresh_due(stop),
        worker.sweep(stop),
    );
}
