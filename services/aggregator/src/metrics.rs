//! What the worker tells of itself, in the text format of Prometheus.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::Registry;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tonghop_domain::TotalKey;
use tonghop_events::Health;
use tonghop_storage::{Backlog, Store};

/// The media type of [`Metrics::text`].
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How long the database may take to tell what waits.
const BACKLOG_LIMIT: Duration = Duration::from_secs(2);

/// A number that the database tells; not a number while it does not.
type Told = Gauge<f64, AtomicU64>;

/// What became of refreshes; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RefreshCounts {
    failing: Family<TotalLabels, Gauge>,
    refreshes: Family<OutcomeLabels, Counter>,
}

/// What is counted and measured; cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<State>);

struct State {
    store: Store,
    brokers: Vec<(&'static str, Health)>,
    /// Locked by who writes a page.
    registry: Mutex<Registry>,
    counts: RefreshCounts,
    marks: Told,
    oldest_mark_age: Told,
    outbox_rows: Told,
    connected: Family<RoleLabels, Gauge>,
    reconnects: Family<RoleLabels, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TotalLabels {
    form: String,
    period: String,
    unit: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RoleLabels {
    role: &'static str,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Of a store, and of connections to the broker by what they are for.
    pub fn new(store: &Store, brokers: Vec<(&'static str, Health)>) -> Self {
        let state = State {
            store: store.clone(),
            brokers,
            registry: Mutex::default(),
            counts: RefreshCounts::default(),
            marks: Told::default(),
            oldest_mark_age: Told::default(),
            outbox_rows: Told::default(),
            connected: Family::default(),
            reconnects: Family::default(),
        };
        let registry = registered(&state);
        Self(Arc::new(State {
            registry: Mutex::new(registry),
            ..state
        }))
    }

    /// The page that a scraper reads.
    pub async fn text(&self) -> String {
        let state = &self.0;
        let registry = state.registry.lock().await;
        state.note_backlog(
            timeout(BACKLOG_LIMIT, state.store.backlog())
                .await
                .ok()
                .and_then(Result::ok),
        );
        for (role, health) in &state.brokers {
            let labels = RoleLabels { role };
            let reconnects = state.reconnects.get_or_create(&labels);
            reconnects.inc_by(health.reconnects().saturating_sub(reconnects.get()));
            drop(reconnects);
            state
                .connected
                .get_or_create(&labels)
                .set(health.connected().into());
        }
        let mut text = String::new();
        // Writing into a string does not fail.
        encode(&mut text, &registry).ok();
        text
    }

    /// Where a worker counts.
    pub fn refresh_counts(&self) -> &RefreshCounts {
        &self.0.counts
    }
}

impl RefreshCounts {
    pub(crate) fn refreshed(&self, outcome: &'static str) {
        self.refreshes.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(crate) fn failing(&self, key: &TotalKey, unit: &str, failures: u32) {
        let labels = TotalLabels::new(key, unit);
        self.failing.get_or_create(&labels).set(failures.into());
    }

    pub(crate) fn recovered(&self, key: &TotalKey, unit: &str) {
        self.failing.remove(&TotalLabels::new(key, unit));
    }
}

impl TotalLabels {
    fn new(key: &TotalKey, unit: &str) -> Self {
        Self {
            form: key.form.to_string(),
            period: key.period.to_string(),
            unit: unit.to_owned(),
        }
    }
}

impl State {
    fn note_backlog(&self, backlog: Option<Backlog>) {
        let age_s = |backlog: Backlog| {
            let age = backlog.oldest_mark.map(|oldest| backlog.at - oldest);
            age.map_or(0.0, |age| age.as_seconds_f64().max(0.0))
        };
        self.marks
            .set(backlog.map_or(f64::NAN, |backlog| backlog.marks as f64));
        self.oldest_mark_age.set(backlog.map_or(f64::NAN, age_s));
        self.outbox_rows
            .set(backlog.map_or(f64::NAN, |backlog| backlog.announcements as f64));
    }
}

fn registered(state: &State) -> Registry {
    let mut registry = Registry::with_prefix("tonghop");
    registry.register(
        "failing_totals",
        "Totals whose refresh fails, with the count of failures in a row",
        state.counts.failing.clone(),
    );
    registry.register(
        "refreshes",
        "Refreshes of totals by outcome: written, clean (there was nothing to do), failed",
        state.counts.refreshes.clone(),
    );
    registry.register(
        "marks",
        "Marks: changes that totals do not hold yet",
        state.marks.clone(),
    );
    registry.register(
        "oldest_mark_age_seconds",
        "Age of the oldest change that a total does not hold yet; 0 when there is none",
        state.oldest_mark_age.clone(),
    );
    registry.register(
        "outbox_rows",
        "Announcements that wait to be published",
        state.outbox_rows.clone(),
    );
    registry.register(
        "broker_connected",
        "Whether announcements can pass",
        state.connected.clone(),
    );
    registry.register(
        "broker_reconnects",
        "How often the connection was established again",
        state.reconnects.clone(),
    );
    registry
}
