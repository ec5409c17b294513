//! The worker of one process: refreshes totals, and their parents after them.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Catalogue, TotalKey};
use tonghop_storage::{Refreshed, Store, StoreError};

use crate::Settings;
use crate::metrics::RefreshCounts;
use crate::schedule::{Blame, Schedule};

/// How long a parent waits for more of its children to change, so that it is refreshed once for all of them.
const PARENT_WAIT: Duration = Duration::from_millis(50);
/// The same for the root, in which every change of the country comes together.
const ROOT_WAIT: Duration = Duration::from_millis(500);
/// How many groups of totals this process refreshes at a time.
pub(crate) const PARALLEL: usize = 8;

/// What the worker needs of the store; cheap to clone.
pub trait Totals: Clone + Send + Sync + 'static {
    /// The catalogue.
    fn catalogue(&self) -> &Arc<Catalogue>;

    /// Refreshes totals, which are sorted, as far as they are marked. Answers for each, in their order, what became of it.
    fn refresh(&self, keys: &[TotalKey]) -> impl Future<Output = Vec<Result<Refreshed, StoreError>>> + Send;

    /// Totals with marks from before `before`, those that wait longest first.
    fn stale(
        &self,
        before: DateTime<Utc>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<TotalKey>, StoreError>> + Send;

    /// The database's time.
    fn now(&self) -> impl Future<Output = Result<DateTime<Utc>, StoreError>> + Send;

    /// Forgets idempotency keys that are too old to be kept; answers how many.
    fn forget_old_keys(&self) -> impl Future<Output = Result<usize, StoreError>> + Send;
}

impl Totals for Store {
    fn catalogue(&self) -> &Arc<Catalogue> {
        self.catalogue()
    }

    async fn refresh(&self, keys: &[TotalKey]) -> Vec<Result<Refreshed, StoreError>> {
        self.refresh_all(keys).await
    }

    async fn stale(&self, before: DateTime<Utc>, limit: usize) -> Result<Vec<TotalKey>, StoreError> {
        self.stale(before, limit).await
    }

    async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        self.now().await
    }

    async fn forget_old_keys(&self) -> Result<usize, StoreError> {
        self.forget_old_keys().await
    }
}

/// The worker: a [`Judge`](tonghop_events::Judge) of announcements, a schedule of what is due, and a sweep; cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Worker<T> {
    pub(crate) totals: T,
    pub(crate) settings: Settings,
    pub(crate) schedule: Arc<Schedule>,
    counts: RefreshCounts,
}

impl<T: Totals> Worker<T> {
    /// A worker with an empty schedule.
    pub fn new(totals: T, settings: Settings, counts: RefreshCounts) -> Self {
        Self {
            totals,
            settings,
            schedule: Arc::new(Schedule::default()),
            counts,
        }
    }

    /// Refreshes totals, which are sorted, and schedules their parents. One that fails is scheduled again. Answers their
    /// errors.
    pub(crate) async fn refresh(&self, keys: &[TotalKey]) -> Vec<StoreError> {
        let started = Instant::now();
        let done = self.totals.refresh(keys).await;
        self.counts.took(started.elapsed());
        let mut errors = Vec::new();
        for (key, refreshed) in keys.iter().zip(done) {
            match refreshed {
                Ok(refreshed) => {
                    self.succeeded(key, &refreshed);
                    if let Refreshed::Written { parent: Some(parent) } = refreshed {
                        let wait = self.parent_wait(&parent);
                        self.schedule.add(parent, wait);
                    }
                }
                Err(error) => {
                    self.failed(key, &error);
                    errors.push(error);
                }
            }
        }
        errors
    }

    fn succeeded(&self, key: &TotalKey, refreshed: &Refreshed) {
        self.counts.refreshed(match refreshed {
            Refreshed::Written { .. } => "written",
            Refreshed::Clean => "clean",
        });
        if self.schedule.succeeded(key) {
            let unit = self.unit_code(key);
            self.counts.recovered(key, &unit);
            tracing::info!(form = %key.form, period = %key.period, unit, "a total that failed is refreshed again");
        }
    }

    fn failed(&self, key: &TotalKey, error: &StoreError) {
        self.counts.refreshed("failed");
        let failures = self.schedule.failed(key.clone(), Blame::of(error));
        let unit = self.unit_code(key);
        self.counts.failing(key, &unit, failures);
        tracing::warn!(%error, failures, form = %key.form, period = %key.period, unit, "a total was not refreshed");
    }

    /// The unit as people know it; its id when the catalogue does not know it.
    fn unit_code(&self, key: &TotalKey) -> String {
        let scope = self.totals.catalogue().scope(key.form.as_str(), key.period);
        let place = scope.as_ref().and_then(|scope| scope.tree.by_id(key.unit));
        place.map_or_else(
            || format!("unit id {}", key.unit.0),
            |place| place.code().to_string(),
        )
    }

    fn parent_wait(&self, parent: &TotalKey) -> Duration {
        let scope = self.totals.catalogue().scope(parent.form.as_str(), parent.period);
        let has_parent = scope.is_some_and(|scope| {
            scope
                .tree
                .by_id(parent.unit)
                .is_some_and(|place| place.parent().is_some())
        });
        if has_parent { PARENT_WAIT } else { ROOT_WAIT }
    }

    /// Refreshes what is due until `stop`, then waits for what is being refreshed.
    pub async fn refresh_due(&self, stop: &CancellationToken) {
        let mut running = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(()) = running.next() => {}
                keys = self.schedule.next(), if running.len() < PARALLEL => running.push(async move {
                    // A failure is in the log and in the schedule.
                    drop(self.refresh(&keys).await);
                }),
            }
        }
        while running.next().await.is_some() {}
    }
}
