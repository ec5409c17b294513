//! The worker: consumes announcements, refreshes the totals that they say may be stale, and sweeps up after
//! announcements that were lost.
//!
//! A total is refreshed by `tonghop_storage::Store::refresh`; this crate decides which and when. Whatever it does,
//! or fails to do, can delay a total and never falsify it: what is stale is marked in the database, and the sweep
//! looks at nothing else. Any number of workers may run. It knows nothing of SQL, figures or lapin.

mod health;
mod judge;
mod metrics;
mod schedule;
mod sweep;
mod worker;

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonghop_events::{Bus, Health, consume};
use tonghop_metrics::Metrics;
use tonghop_storage::Store;

pub use health::{HealthError, bind_health, serve_health};
pub use metrics::RefreshCounts;
pub use worker::{Totals, Worker};

/// How the worker works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The time between two sweeps.
    pub sweep_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sweep_interval: Duration::from_secs(1),
        }
    }
}

/// Works until `stop`; what is being refreshed then is finished. `health` tells of the consumer's connection.
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
