//! The audit trail as this process writes it: everything that is not part of a change's own transaction.
//!
//! A read of confidential figures is answered only after its entry is committed. Refusals are recorded a moment later.
//! Frequent reads, such as a dashboard's of a province's totals, are counted and recorded once per minute.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{mpsc, oneshot};
use tonghop_domain::{Actor, AuditEntry, Origin, UnitId};
use tonghop_storage::StoreError;

use crate::refusal::Refusal;

/// The number of requests whose entries may wait to be written.
pub(crate) const QUEUE: usize = 4096;
/// The number of different things that are counted before the counts are recorded early.
const MAX_COUNTED: usize = 10_000;

/// The entries that wait to be written. Clones share one queue.
#[derive(Clone, Debug)]
pub(crate) struct AuditLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: mpsc::Sender<Waiting>,
    counted: Mutex<BTreeMap<Counted, (Origin, i64)>>,
    /// Rejected requests without a valid key.
    rejected_without_key: Counter,
    lost: AtomicU64,
}

/// The entries of one request, and the request if it waits for their commit.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) entries: Vec<AuditEntry>,
    pub(crate) reply: Option<oneshot::Sender<Result<(), StoreError>>>,
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
    /// An empty log, and the queue from which its entries must be written.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Waiting>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let log = Self(Arc::new(Inner {
            queue: sender,
            counted: Mutex::default(),
            rejected_without_key: Counter::default(),
            lost: AtomicU64::default(),
        }));
        (log, queue)
    }

    /// Records entries, and waits until they are committed.
    pub(crate) async fn record(&self, entries: Vec<AuditEntry>) -> Result<(), Refusal> {
        if entries.is_empty() {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting {
            entries,
            reply: Some(reply),
        };
        let queued = self.0.queue.try_send(waiting);
        queued.map_err(|_| Refusal::AuditBacklog)?;
        let stopped = |_| StoreError::Unavailable("the audit trail is no longer written".into());
        Ok(answer.await.map_err(stopped)??)
    }

    /// Records an entry soon. When the queue is full, the entry is lost and the log says so.
    pub(crate) fn record_soon(&self, entry: AuditEntry) {
        let waiting = Waiting {
            entries: vec![entry],
            reply: None,
        };
        if self.0.queue.try_send(waiting).is_err() {
            let lost = self.0.lost.fetch_add(1, Ordering::Relaxed) + 1;
            if lost.is_power_of_two() {
                tracing::error!(
                    lost,
                    "the audit trail lost entries of refused requests: too many are waiting"
                );
            }
        }
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
        all.entry(counted).or_insert((entry.origin, 0)).1 += 1;
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
