//! The worker of one process: refreshes totals, then their parents.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Catalogue, TotalKey};
use tonghop_storage::{Refreshed, Store, StoreError};

use crate::metrics::RefreshCounts;
use crate::schedule::{Cause, Schedule};
use crate::settings::Settings;

/// How long a parent waits for other children to change, so that one refresh covers them all.
const PARENT_WAIT: Duration = Duration::from_millis(50);
/// The same for the root, which changes with every unit of the country.
const ROOT_WAIT: Duration = Duration::from_millis(500);
/// How many groups of totals this process refreshes at the same time.
pub(crate) const PARALLEL: usize = 8;

/// What the worker needs from the store. Cheap to clone.
pub trait Totals: Clone + Send + Sync + 'static {
    /// The catalogue.
    fn catalogue(&self) -> &Arc<Catalogue>;

    /// Refreshes those of the given sorted totals that are marked. Returns one result per total, in their order.
    fn refresh(&self, keys: &[TotalKey]) -> impl Future<Output = Vec<Result<Refreshed, StoreError>>> + Send;

    /// Returns totals with marks older than `before`, the oldest first.
    fn stale(
        &self,
        before: DateTime<Utc>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<TotalKey>, StoreError>> + Send;

    /// Returns the time of the database.
    fn now(&self) -> impl Future<Output = Result<DateTime<Utc>, StoreError>> + Send;

    /// Deletes expired idempotency keys and returns their number.
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

/// The worker: a [`Handler`](tonghop_events::Handler) of announcements, a schedule of due totals, and a sweep. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Worker<T> {
    pub(crate) totals: T,
    pub(crate) settings: Settings,
    pub(crate) schedule: Arc<Schedule>,
    counts: RefreshCounts,
}

impl<T: Totals> Worker<T> {
    /// Creates a worker with an empty schedule.
    pub fn new(totals: T, settings: Settings, counts: RefreshCounts) -> Self {
        Self {
            totals,
            settings,
            schedule: Arc::new(Schedule::default()),
            counts,
        }
    }

    /// Refreshes sorted totals, schedules the parents of those that changed, and reschedules those that failed. Returns the
    /// errors.
    pub(crate) async fn refresh(&self, keys: &[TotalKey]) -> Vec<StoreError> {
        let started = Instant::now();
        let results = self.totals.refresh(keys).await;
        self.counts.observe_duration(started.elapsed());
        let mut errors = Vec::new();
        for (key, result) in keys.iter().zip(results) {
            match result {
                Ok(refreshed) => {
                    self.record_success(key, &refreshed);
                    if let Refreshed::Written { parent: Some(parent) } = refreshed {
                        let wait = self.parent_wait(&parent);
                        self.schedule.add(parent, wait);
                    }
                }
                Err(error) => {
                    self.record_failure(key, &error);
                    errors.push(error);
                }
            }
        }
        errors
    }

    fn record_success(&self, key: &TotalKey, refreshed: &Refreshed) {
        self.counts.count_refresh(match refreshed {
            Refreshed::Written { .. } => "written",
            Refreshed::Clean => "clean",
        });
        if self.schedule.clear_failures(key) {
            let unit = self.unit_code(key);
            self.counts.clear_failures(key, &unit);
            tracing::info!(form = %key.form, period = %key.period, unit, "a failing total is refreshed again");
        }
    }

    fn record_failure(&self, key: &TotalKey, error: &StoreError) {
        self.counts.count_refresh("failed");
        let failures = self.schedule.add_failing(key.clone(), Cause::of(error));
        let unit = self.unit_code(key);
        self.counts.set_failures(key, &unit, failures);
        tracing::warn!(%error, failures, form = %key.form, period = %key.period, unit, "a total was not refreshed");
    }

    /// Returns the code of the unit, or its id if the catalogue does not know it.
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

    /// Refreshes due totals until `stop`, then finishes the refreshes that are under way.
    pub async fn refresh_due(&self, stop: &CancellationToken) {
        let mut running = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(()) = running.next() => {}
                keys = self.schedule.next(), if running.len() < PARALLEL => running.push(async move {
                    // Failures are already logged and scheduled.
                    drop(self.refresh(&keys).await);
                }),
            }
        }
        while running.next().await.is_some() {}
    }
}
