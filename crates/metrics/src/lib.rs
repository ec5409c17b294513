//! The metrics page for Prometheus, with the metrics that all programs share: of the store and of the connections to the
//! broker. Also the body of their health probes.
//!
//! The api and the aggregator register their own metrics. This crate knows nothing of HTTP, and its database queries take no
//! longer the more is stored.
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

mod probe;
mod process;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::{Metric, Registry};
use tokio::time::timeout;
use tonghop_events::Health;
use tonghop_storage::{Backlog, Store};

use crate::process::ProcessMetrics;

pub use probe::ProbeBody;

/// The media type of [`Metrics::text`].
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The deadline of the database for reporting its backlog.
const BACKLOG_LIMIT: Duration = Duration::from_secs(2);

/// The metrics of a process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<State>);

struct State {
    store: Store,
    brokers: Vec<(&'static str, Health)>,
    process: ProcessMetrics,
    registry: Mutex<Registry>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Creates the metrics of a store and of connections to the broker, each with its role.
    pub fn new(store: &Store, brokers: Vec<(&'static str, Health)>) -> Self {
        let process = ProcessMetrics::default();
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

    /// Adds a metric. The page prefixes its name with `tonghop_`.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.registry().register(name, help, metric);
    }

    /// Returns the page that a scraper reads.
    pub async fn text(&self) -> String {
        let state = &self.0;
        state.process.set_backlog(self.backlog().await);
        state.process.set_pools(&state.store.pools());
        state.process.set_brokers(&state.brokers);
        let mut text = String::new();
        // Writing to a string cannot fail.
        encode(&mut text, &self.registry()).ok();
        text
    }

    async fn backlog(&self) -> Option<Backlog> {
        match timeout(BACKLOG_LIMIT, self.0.store.backlog()).await {
            Ok(Ok(backlog)) => return Some(backlog),
            Ok(Err(error)) => tracing::warn!(%error, "the database did not report its backlog"),
            Err(_) => tracing::warn!("the database did not report its backlog in time"),
        }
        None
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
