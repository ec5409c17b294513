//! What a process tells of itself to Prometheus: the page, and what every process has to tell, of its store and of its
//! connections to the broker.
//!
//! What only the api or the aggregator can measure they register themselves. This crate knows nothing of HTTP, and asks the
//! database for nothing that takes longer the more is stored.
//!
//! ```
//! # async fn page(store: &tonghop_storage::Store) {
//! use prometheus_client::metrics::counter::Counter;
//!
//! let metrics = tonghop_metrics::Metrics::new(store, Vec::new());
//! let letters: Counter = Counter::default();
//! metrics.register("letters", "Letters written", letters.clone());
//! letters.inc();
//! assert!(metrics.text().await.contains("\ntonghop_letters_total 1\n"));
//! # }
//! ```

mod process;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::{Metric, Registry};
use tokio::time::timeout;
use tonghop_events::Health;
use tonghop_storage::{Backlog, Store};

use crate::process::Process;

/// The media type of [`Metrics::text`].
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How long the database may take to tell what waits.
const BACKLOG_LIMIT: Duration = Duration::from_secs(2);

/// The metrics of a process; cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<State>);

struct State {
    store: Store,
    brokers: Vec<(&'static str, Health)>,
    process: Process,
    registry: Mutex<Registry>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Of a store, and of connections to the broker by what they are for.
    pub fn new(store: &Store, brokers: Vec<(&'static str, Health)>) -> Self {
        let process = Process::default();
        let mut registry = Registry::with_prefix("tonghop");
        process.register(&mut registry);
        store.commits().register(&mut registry);
        Self(Arc::new(State {
            store: store.clone(),
            brokers,
            process,
            registry: Mutex::new(registry),
        }))
    }

    /// Tells one more. Its name begins with `tonghop_`, which is not said here.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.registry().register(name, help, metric);
    }

    /// The page that a scraper reads.
    pub async fn text(&self) -> String {
        let state = &self.0;
        state.process.note_backlog(self.backlog().await);
        state.process.note_pools(&state.store.pools());
        state.process.note_brokers(&state.brokers);
        let mut text = String::new();
        // Writing into a string does not fail.
        encode(&mut text, &self.registry()).ok();
        text
    }

    async fn backlog(&self) -> Option<Backlog> {
        let told = timeout(BACKLOG_LIMIT, self.0.store.backlog()).await;
        match told {
            Ok(Ok(backlog)) => return Some(backlog),
            Ok(Err(error)) => tracing::warn!(%error, "the database did not tell what waits"),
            Err(_) => tracing::warn!("the database did not tell in time what waits"),
        }
        None
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
