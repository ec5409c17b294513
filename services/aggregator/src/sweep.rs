//! The sweep: refreshes what is marked and was not refreshed, whatever the broker did.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::refresher::Refresher;

/// A mark of this age was missed: announcements are quicker.
const AGE: chrono::Duration = chrono::Duration::seconds(2);
/// How many totals one look takes.
const LIMIT: usize = 1000;
/// The time between two clearances of old idempotency keys.
const CLEARANCE: Duration = Duration::from_secs(3600);

/// Sweeps at once, then every `interval`, until `stop`.
pub(crate) async fn sweep(refresher: &Refresher, interval: Duration, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut cleared: Option<Instant> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = sweep_once(refresher).await {
            tracing::warn!(%error, "the sweep could not look for stale totals");
        }
        if cleared.is_none_or(|time| time.elapsed() >= CLEARANCE) {
            match refresher.store.forget_old_keys().await {
                Ok(_) => cleared = Some(Instant::now()),
                Err(error) => tracing::warn!(%error, "old idempotency keys were not cleared"),
            }
        }
    }
}

async fn sweep_once(refresher: &Refresher) -> Result<(), tonghop_storage::StoreError> {
    let now = refresher.store.now().await?;
    for key in refresher.store.stale(now - AGE, LIMIT).await? {
        refresher.schedule.add(key, Duration::ZERO);
    }
    Ok(())
}
