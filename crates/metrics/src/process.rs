//! Metrics of every process: the backlog in the database, the connections to it, and the broker.

use std::sync::atomic::AtomicU64;

use chrono::TimeDelta;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tonghop_events::Health;
use tonghop_storage::{Backlog, PoolState};

/// A number that the database reports; `NaN` while it does not answer.
type DatabaseGauge = Gauge<f64, AtomicU64>;

#[derive(Debug, Default)]
pub(crate) struct ProcessMetrics {
    marks: DatabaseGauge,
    oldest_mark_age: DatabaseGauge,
    outbox_rows: DatabaseGauge,
    oldest_outbox_row_age: DatabaseGauge,
    connections: Family<ConnectionLabels, Gauge>,
    waiting: Family<PoolLabels, Gauge>,
    connected: Family<RoleLabels, Gauge>,
    reconnects: Family<RoleLabels, Counter>,
    unroutable: Family<RoleLabels, Counter>,
    queue_messages: Family<QueueLabels, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ConnectionLabels {
    pool: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PoolLabels {
    pool: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RoleLabels {
    role: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct QueueLabels {
    queue: &'static str,
}

impl ProcessMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "marks",
            "Marks: changes that are not in a total yet; counted up to 10000",
            self.marks.clone(),
        );
        registry.register(
            "oldest_mark_age_seconds",
            "Age of the oldest change that is not in a total yet; 0 if there is none",
            self.oldest_mark_age.clone(),
        );
        registry.register(
            "outbox_rows",
            "Announcements that wait to be published; counted up to 10000",
            self.outbox_rows.clone(),
        );
        registry.register(
            "oldest_outbox_row_age_seconds",
            "Age of the oldest announcement that waits to be published; 0 if there is none",
            self.oldest_outbox_row_age.clone(),
        );
        registry.register(
            "database_connections",
            "Connections to the database: in_use, idle, and free (those that may still be opened)",
            self.connections.clone(),
        );
        registry.register(
            "database_waiting",
            "Transactions that wait for a connection to the database",
            self.waiting.clone(),
        );
        registry.register(
            "broker_connected",
            "1 while announcements can pass, else 0",
            self.connected.clone(),
        );
        registry.register(
            "broker_reconnects",
            "Reconnections to the broker",
            self.reconnects.clone(),
        );
        registry.register(
            "announcements_unroutable",
            "Announcements of stale totals that reached no queue; the sweep refreshes those totals",
            self.unroutable.clone(),
        );
        registry.register(
            "queue_messages",
            "Messages ready in the broker's queues a few seconds ago",
            self.queue_messages.clone(),
        );
    }

    pub(crate) fn set_backlog(&self, backlog: Option<Backlog>) {
        let age_s = |age: Option<TimeDelta>| age.map_or(0.0, |age| age.as_seconds_f64().max(0.0));
        let count =
            |count: fn(&Backlog) -> i64| backlog.as_ref().map_or(f64::NAN, |backlog| count(backlog) as f64);
        self.marks.set(count(|backlog| backlog.marks));
        self.outbox_rows.set(count(|backlog| backlog.announcements));
        let age = |age: fn(&Backlog) -> Option<TimeDelta>| {
            backlog.as_ref().map_or(f64::NAN, |backlog| age_s(age(backlog)))
        };
        self.oldest_mark_age.set(age(|backlog| {
            backlog.oldest_mark.map(|oldest| backlog.at - oldest)
        }));
        self.oldest_outbox_row_age.set(age(|backlog| {
            backlog.oldest_announcement.map(|oldest| backlog.at - oldest)
        }));
    }

    pub(crate) fn set_pools(&self, pools: &[PoolState]) {
        for pool in pools {
            let name = pool.name;
            for (state, count) in [("in_use", pool.in_use), ("idle", pool.idle), ("free", pool.free)] {
                let labels = ConnectionLabels { pool: name, state };
                self.connections.get_or_create(&labels).set(count as i64);
            }
            let labels = PoolLabels { pool: name };
            self.waiting.get_or_create(&labels).set(pool.waiting as i64);
        }
    }

    pub(crate) fn set_brokers(&self, brokers: &[(&'static str, Health)]) {
        let mut depths = None;
        for (role, health) in brokers {
            let labels = RoleLabels { role };
            self.connected
                .get_or_create(&labels)
                .set(health.connected().into());
            catch_up(&self.reconnects.get_or_create(&labels), health.reconnects());
            catch_up(&self.unroutable.get_or_create(&labels), health.unroutable());
            depths = depths.or(health.queue_depths());
        }
        let Some(depths) = depths else {
            // Old depths say nothing about now.
            self.queue_messages.clear();
            return;
        };
        let count = |queue| self.queue_messages.get_or_create_owned(&QueueLabels { queue });
        count("aggregator").set(depths.aggregator.into());
        count("dead-letters").set(depths.dead_letters.into());
    }
}

/// Raises a counter to a number that is counted elsewhere.
fn catch_up(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
