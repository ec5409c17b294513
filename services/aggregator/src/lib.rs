//! The worker: consumes announcements, refreshes the totals that they say may be stale, and sweeps up after
//! announcements that were lost.
//!
//! A total is refreshed by `tonghop_storage::Store::refresh`; this crate decides which and when. Whatever it does,
//! or fails to do, can delay a total and never falsify it: what is stale is marked in the database, and the sweep
//! looks at nothing else. Any number of workers may run. It knows nothing of SQL, figures or lapin.

mod health;
mod judge;
mod refresher;
mod schedule;
mod sweep;

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonghop_events::{Bus, Health, consume};
use tonghop_storage::Store;

pub use health::{HealthError, bind_health, serve_health};
use judge::StaleTotals;
pub use judge::stale_totals;
use refresher::Refresher;

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
pub async fn run(store: Store, bus: &Bus, settings: Settings, health: &Health, stop: &CancellationToken) {
    let refresher = Refresher::new(store);
    let judge = StaleTotals::new(refresher.clone());
    tokio::join!(
        consume(bus, &judge, health, stop),
        refresher.refresh_due(stop),
        sweep::sweep(&refresher, settings.sweep_interval, stop),
    );
}
