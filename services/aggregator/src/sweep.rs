//! The sweep: refreshes what is marked and was not refreshed, whatever the broker did.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonghop_storage::StoreError;

use crate::worker::{Totals, Worker};

/// A mark of this age was missed: announcements are quicker.
const AGE: chrono::Duration = chrono::Duration::seconds(2);
/// How many totals one look takes.
const LIMIT: usize = 1000;
/// The time between two clearances of old idempotency keys.
const CLEARANCE: Duration = Duration::from_secs(3600);

impl<T: Totals> Worker<T> {
    /// Sweeps at once, then every so often, until `stop`.
    pub async fn sweep(&self, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(self.settings.sweep_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut cleared: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.sweep_once().await {
                tracing::warn!(%error, "the sweep could not look for stale totals");
            }
            if cleared.is_none_or(|time| time.elapsed() >= CLEARANCE) {
                match self.totals.forget_old_keys().await {
                    Ok(_) => cleared = Some(Instant::now()),
                    Err(error) => tracing::warn!(%error, "old idempotency keys were not cleared"),
                }
            }
        }
    }

    async fn sweep_once(&self) -> Result<(), StoreError> {
        let now = self.totals.now().await?;
        for key in self.totals.stale(now - AGE, LIMIT).await? {
            self.schedule.add(key, Duration::ZERO);
        }
        Ok(())
    }
}
