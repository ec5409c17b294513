//! The sweep: refreshes totals that stayed marked, whatever the broker did.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonghop_storage::StoreError;

use crate::worker::{Totals, Worker};

/// Marks older than this were missed by announcements, which are faster.
const AGE: chrono::Duration = chrono::Duration::seconds(2);
/// How many totals one sweep schedules.
const LIMIT: usize = 1000;
/// The time between two deletions of expired idempotency keys.
const KEY_EXPIRY_INTERVAL: Duration = Duration::from_secs(3600);

impl<T: Totals> Worker<T> {
    /// Sweeps at once and then at each interval, until `stop`.
    pub async fn sweep(&self, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(self.settings.sweep_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_deletion: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.sweep_once().await {
                tracing::warn!(%error, "the sweep could not read stale totals");
            }
            if last_deletion.is_none_or(|time| time.elapsed() >= KEY_EXPIRY_INTERVAL) {
                match self.totals.forget_old_keys().await {
                    Ok(_) => last_deletion = Some(Instant::now()),
                    Err(error) => tracing::warn!(%error, "expired idempotency keys were not deleted"),
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
