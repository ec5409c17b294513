//! Refreshes totals, and their parents after them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonghop_domain::TotalKey;
use tonghop_storage::{Refreshed, Store, StoreError};

use crate::schedule::Schedule;

/// How long a parent waits for more of its children to change, so that it is refreshed once for all of them.
const PARENT_WAIT: Duration = Duration::from_millis(50);
/// The same for the root, in which every change of the country comes together.
const ROOT_WAIT: Duration = Duration::from_millis(500);
/// How many totals this process refreshes at a time.
pub(crate) const PARALLEL: usize = 8;

/// What refreshes; cheap to clone.
#[derive(Clone)]
pub(crate) struct Refresher {
    pub(crate) store: Store,
    pub(crate) schedule: Arc<Schedule>,
}

impl Refresher {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            schedule: Arc::new(Schedule::default()),
        }
    }

    /// Refreshes one total and schedules its parent. A total that fails is scheduled again.
    pub(crate) async fn refresh(&self, key: &TotalKey) -> Result<(), StoreError> {
        match self.store.refresh(key).await {
            Ok(refreshed) => {
                self.schedule.succeeded(key);
                if let Refreshed::Written { parent: Some(parent) } = refreshed {
                    let wait = self.parent_wait(&parent);
                    self.schedule.add(parent, wait);
                }
                Ok(())
            }
            Err(error) => {
                let failures = self.schedule.failed(key.clone());
                let (form, period, unit) = (&key.form, key.period, key.unit.0);
                tracing::warn!(%error, failures, %form, %period, unit_id = unit, "a total was not refreshed");
                Err(error)
            }
        }
    }

    fn parent_wait(&self, parent: &TotalKey) -> Duration {
        let scope = self.store.catalogue().scope(parent.form.as_str(), parent.period);
        let has_parent = scope.is_some_and(|scope| {
            scope
                .tree
                .by_id(parent.unit)
                .is_some_and(|place| place.parent().is_some())
        });
        if has_parent { PARENT_WAIT } else { ROOT_WAIT }
    }

    /// Refreshes what is due until `stop`, then waits for what is being refreshed.
    pub(crate) async fn refresh_due(&self, stop: &CancellationToken) {
        let free = Arc::new(Semaphore::new(PARALLEL));
        loop {
            let key = tokio::select! {
                () = stop.cancelled() => break,
                key = self.schedule.next() => key,
            };
            let Ok(permit) = free.clone().acquire_owned().await else {
                break;
            };
            let this = self.clone();
            tokio::spawn(async move {
                // A failure is in the log and in the schedule.
                this.refresh(&key).await.ok();
                drop(permit);
            });
        }
        drop(free.acquire_many(PARALLEL as u32).await);
    }
}
