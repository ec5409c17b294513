//! The audit trail as this process writes it: everything that is not part of a change's own transaction.
//!
//! A read of confidential figures is answered only after its entry is committed; such entries have a queue of their own.
//! Refusals are recorded a moment later. Frequent reads, such as a dashboard's of a province's totals, are counted and
//! recorded once per minute, and so are the refusals of a key that has many: the trail grows by a bounded amount per key
//! and minute, and no key can cause another's entry to be lost.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{mpsc, oneshot};
use tonghop_domain::{Actor, AuditEntry, Origin, UnitId};
use tonghop_storage::StoreError;

use crate::refusal::Refusal;

/// The number of requests that may wait for their entries, and of entries for which no request waits.
pub(crate) const QUEUE: usize = 4096;
/// The refusals of a key in a minute that are recorded one by one. Further ones are counted.
const MAX_REFUSALS: u32 = 20;
/// The number of different things that are counted before the counts are recorded early.
const MAX_COUNTED: usize = 10_000;

/// The entries that wait to be written. Clones share one queue.
#[derive(Clone, Debug)]
pub(crate) struct AuditLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    awaited: mpsc::Sender<Awaited>,
    soon: mpsc::Sender<AuditEntry>,
    /// The refusals of each key in this minute.
    refusals: Mutex<(DateTime<Utc>, HashMap<Actor, u32>)>,
    counted: Mutex<BTreeMap<Counted, (Origin, i64)>>,
    /// Rejected requests without a valid key.
    rejected_without_key: Counter,
    lost: AtomicU64,
}

/// The entries of a request that waits for their commit.
#[derive(Debug)]
pub(crate) struct Awaited {
    pub(crate) entries: Vec<AuditEntry>,
    pub(crate) reply: oneshot::Sender<Result<(), StoreError>>,
}

/// The entries that a writer takes from a log.
#[derive(Debug)]
pub(crate) struct Queues {
    pub(crate) awaited: mpsc::Receiver<Awaited>,
    pub(crate) soon: mpsc::Receiver<AuditEntry>,
}

/// What is counted per minute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Counted {
    minute: DateTime<Utc>,
    actor: Actor,
    action: String,
    outcome: String,
    about: Option<(String, String, i64)>,
}

impl AuditLog {
    /// An empty log, and the queues from which its entries must be written.
    pub(crate) fn new() -> (Self, Queues) {
        let (awaited, awaited_queue) = mpsc::channel(QUEUE);
        let (soon, soon_queue) = mpsc::channel(QUEUE);
        let log = Self(Arc::new(Inner {
            awaited,
            soon,
            refusals: Mutex::default(),
            counted: Mutex::default(),
            rejected_without_key: Counter::default(),
            lost: AtomicU64::default(),
        }));
        let queues = Queues {
            awaited: awaited_queue,
            soon: soon_queue,
        };
        (log, queues)
    }

    /// Records entries, and waits until they are committed.
    pub(crate) async fn record(&self, entries: Vec<AuditEntry>) -> Result<(), Refusal> {
        if entries.is_empty() {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        let queued = self.0.awaited.try_send(Awaited { entries, reply });
        queued.map_err(|_| Refusal::AuditBacklog)?;
        let stopped = |_| StoreError::Unavailable("the audit trail is no longer written".into());
        Ok(answer.await.map_err(stopped)??)
    }

    /// Records a refusal soon. If its key has had many in this minute, the refusal is counted instead, without what it was
    /// about.
    pub(crate) fn record_refusal(&self, entry: AuditEntry) {
        if self.has_many_refusals(&entry.origin.actor) {
            self.count(AuditEntry {
                form: None,
                period: None,
                unit: None,
                ..entry
            });
        } else if self.0.soon.try_send(entry).is_err() {
            let lost = self.0.lost.fetch_add(1, Ordering::Relaxed) + 1;
            if lost.is_power_of_two() {
                tracing::error!(
                    lost,
                    "the audit trail lost entries of refused requests: too many are waiting"
                );
            }
        }
    }

    /// Counts a refusal of an actor, and returns whether the actor has had many in this minute.
    fn has_many_refusals(&self, actor: &Actor) -> bool {
        let mut refusals = self.0.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = this_minute();
        if refusals.0 != minute {
            *refusals = (minute, HashMap::new());
        }
        let count = refusals.1.entry(actor.clone()).or_default();
        *count = count.saturating_add(1);
        *count > MAX_REFUSALS
    }

    /// Counts something frequent, to be recorded as one entry per minute.
    pub(crate) fn count(&self, entry: AuditEntry) {
        let about = match (&entry.form, entry.period, entry.unit) {
            (Some(form), Some(period), Some(unit)) => Some((form.to_string(), period.to_string(), unit.0)),
            _ => None,
        };
        let counted = Counted {
            minute: this_minute(),
            actor: entry.origin.actor.clone(),
            action: entry.action,
            outcome: entry.outcome,
            about,
        };
        let mut all = self.0.counted.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(counted).or_insert((entry.origin, 0)).1 += entry.count;
    }

    /// The counter of rejected requests without a valid key.
    pub(crate) fn rejected_without_key(&self) -> &Counter {
        &self.0.rejected_without_key
    }

    /// Removes and returns the counts of finished minutes, or all counts.
    pub(crate) fn drain_counted(&self, all: bool) -> Vec<AuditEntry> {
        let mut counted = self.0.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let drained = if all || counted.len() > MAX_COUNTED {
            std::mem::take(&mut *counted)
        } else {
            let minute = this_minute();
            let (finished, current) = std::mem::take(&mut *counted)
                .into_iter()
                .partition(|(counted, _)| counted.minute < minute);
            *counted = current;
            finished
        };
        drained.into_iter().map(Counted::entry).collect()
    }
}

fn this_minute() -> DateTime<Utc> {
    Utc::now()
        .duration_trunc(TimeDelta::minutes(1))
        .unwrap_or_default()
}

impl Counted {
    fn entry((counted, (origin, count)): (Self, (Origin, i64))) -> AuditEntry {
        let minute = counted.minute.to_rfc3339_opts(SecondsFormat::Secs, true);
        let entry = AuditEntry::new(origin, counted.action, counted.outcome).about(minute);
        let (form, period, unit) = match counted.about {
            Some((form, period, unit)) => (form.parse().ok(), period.parse().ok(), Some(UnitId(unit))),
            None => (None, None, None),
        };
        AuditEntry {
            form,
            period,
            unit,
            count,
            ..entry
        }
    }
}
