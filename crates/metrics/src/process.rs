//! What every process has to tell: of what waits in the database, of connections to it, and of the broker.

use std::sync::atomic::AtomicU64;

use chrono::TimeDelta;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tonghop_events::Health;
use tonghop_storage::{Backlog, PoolState};

/// A number that the database tells; not a number while it does not.
type Told = Gauge<f64, AtomicU64>;

#[derive(Debug, Default)]
pub(crate) struct Process {
    marks: Told,
    oldest_mark_age: Told,
    outbox_rows: Told,
    oldest_outbox_row_age: Told,
    connections: Family<ConnectionLabels, Gauge>,
    waiting: Family<PoolLabels, Gauge>,
    connected: Family<RoleLabels, Gauge>,
    reconnects: Family<RoleLabels, Counter>,
    unheard: Family<RoleLabels, Counter>,
    queued: Family<QueueLabels, Gauge>,
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

impl Process {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "marks",
            "Marks: changes that totals do not hold yet; more than 10000 are not counted",
            self.marks.clone(),
        );
        registry.register(
            "oldest_mark_age_seconds",
            "Age of the oldest change that a total does not hold yet; 0 when there is none",
            self.oldest_mark_age.clone(),
        );
        registry.register(
            "outbox_rows",
            "Announcements that wait to be published; more than 10000 are not counted",
            self.outbox_rows.clone(),
        );
        registry.register(
            "oldest_outbox_row_age_seconds",
            "Age of the oldest announcement that waits to be published; 0 when there is none",
            self.oldest_outbox_row_age.clone(),
        );
        registry.register(
            "database_connections",
            "Connections to the database: in use, idle, and those that may still be made (free)",
            self.connections.clone(),
        );
        registry.register(
            "database_waiting",
            "Transactions that wait for a connection to the database",
            self.waiting.clone(),
        );
        registry.register(
            "broker_connected",
            "Whether announcements can pass",
            self.connected.clone(),
        );
        registry.register(
            "broker_reconnects",
            "How often the connection was established again",
            self.reconnects.clone(),
        );
        registry.register(
            "announcements_unheard",
            "Announcements of stale totals that no queue took; the sweep does their work",
            self.unheard.clone(),
        );
        registry.register(
            "queue_messages",
            "Messages that lay ready in the broker's queues within the last seconds",
            self.queued.clone(),
        );
    }

    pub(crate) fn note_backlog(&self, backlog: Option<Backlog>) {
        let age_s = |age: Option<TimeDelta>| age.map_or(0.0, |age| age.as_seconds_f64().max(0.0));
        let told =
            |number: fn(&Backlog) -> i64| backlog.as_ref().map_or(f64::NAN, |told| number(told) as f64);
        self.marks.set(told(|backlog| backlog.marks));
        self.outbox_rows.set(told(|backlog| backlog.announcements));
        let age = |age: fn(&Backlog) -> Option<TimeDelta>| {
            backlog.as_ref().map_or(f64::NAN, |told| age_s(age(told)))
        };
        self.oldest_mark_age
            .set(age(|told| told.oldest_mark.map(|oldest| told.at - oldest)));
        self.oldest_outbox_row_age.set(age(|told| {
            told.oldest_announcement.map(|oldest| told.at - oldest)
        }));
    }

    pub(crate) fn note_pools(&self, pools: &[PoolState]) {
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

    pub(crate) fn note_brokers(&self, brokers: &[(&'static str, Health)]) {
        let mut queued = None;
        for (role, health) in brokers {
            let labels = RoleLabels { role };
            self.connected
                .get_or_create(&labels)
                .set(health.connected().into());
            catch_up(&self.reconnects.get_or_create(&labels), health.reconnects());
            catch_up(&self.unheard.get_or_create(&labels), health.unheard());
            queued = queued.or(health.queued());
        }
        let Some(queued) = queued else {
            // What was so once says nothing of now.
            self.queued.clear();
            return;
        };
        let count = |queue| self.queued.get_or_create_owned(&QueueLabels { queue });
        count("aggregator").set(queued.aggregator.into());
        count("dead-letters").set(queued.dead_letters.into());
    }
}

/// Brings a counter up to a number that is counted elsewhere.
fn catch_up(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
