//! The audit trail as the service writes it: what is not part of a change's own transaction.
//!
//! A read of confidential figures is answered only after its entry is committed. What was refused is noted a moment
//! later. What comes by the hundreds, as a dashboard's reads of a province's totals, is counted and noted once a minute.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{mpsc, oneshot};
use tonghop_domain::{Actor, AuditEntry, Origin};
use tonghop_storage::StoreError;

use crate::problem::Problem;

/// How many entries may wait to be written.
pub(crate) const QUEUE: usize = 4096;
/// How many different things are counted at a time before they are noted early.
const MAX_COUNTED: usize = 10_000;

/// Where entries are left. Clones lead to the same queue.
#[derive(Clone, Debug)]
pub(crate) struct Trail(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: mpsc::Sender<Waiting>,
    counted: Mutex<BTreeMap<Counted, (Origin, i64)>>,
    /// How many requests without a valid key were refused.
    strangers: Counter,
    lost: AtomicU64,
}

/// Entries of one request; whoever waits for their commit is told.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) entries: Vec<AuditEntry>,
    pub(crate) reply: Option<oneshot::Sender<Result<(), StoreError>>>,
}

/// What is counted, by the minute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Counted {
    minute: DateTime<Utc>,
    actor: Actor,
    action: String,
    outcome: String,
    about: Option<(String, String, i64)>,
}

impl Trail {
    /// An empty one, and the queue from which its entries must be written.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Waiting>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let trail = Self(Arc::new(Inner {
            queue: sender,
            counted: Mutex::default(),
            strangers: Counter::default(),
            lost: AtomicU64::default(),
        }));
        (trail, queue)
    }

    /// Notes entries, and waits until they are committed.
    pub(crate) async fn note(&self, entries: Vec<AuditEntry>) -> Result<(), Problem> {
        if entries.is_empty() {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        let reply = Some(reply);
        let overloaded = |_| Problem::Overloaded("too many entries of the audit trail are waiting".into());
        self.0
            .queue
            .try_send(Waiting { entries, reply })
            .map_err(overloaded)?;
        let gone = |_| Problem::Unavailable("the audit trail is not written any more".into());
        Ok(answer.await.map_err(gone)??)
    }

    /// Notes an entry soon. When the queue is full, it is lost, and the log says so.
    pub(crate) fn note_soon(&self, entry: AuditEntry) {
        let waiting = Waiting {
            entries: vec![entry],
            reply: None,
        };
        if self.0.queue.try_send(waiting).is_err() {
            let lost = self.0.lost.fetch_add(1, Ordering::Relaxed) + 1;
            if lost.is_power_of_two() {
                tracing::error!(
                    lost,
                    "refusals were not noted in the audit trail: too many are waiting"
                );
            }
        }
    }

    /// Counts what happens often: one entry a minute.
    pub(crate) fn count(&self, entry: AuditEntry) {
        let minute = Utc::now()
            .duration_trunc(TimeDelta::minutes(1))
            .unwrap_or_default();
        let about = match (&entry.form, entry.period, entry.unit) {
            (Some(form), Some(period), Some(unit)) => Some((form.to_string(), period.to_string(), unit.0)),
            _ => None,
        };
        let counted = Counted {
            minute,
            actor: entry.origin.actor.clone(),
            action: entry.action,
            outcome: entry.outcome,
            about,
        };
        let mut all = self.0.counted.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(counted).or_insert((entry.origin, 0)).1 += 1;
    }

    /// A request without a valid key was refused.
    pub(crate) fn count_stranger(&self) {
        self.0.strangers.inc();
    }

    /// How many requests without a valid key were refused.
    pub(crate) fn strangers(&self) -> &Counter {
        &self.0.strangers
    }

    /// Takes what was counted in minutes that are over, or all of it.
    pub(crate) fn take_counted(&self, all: bool) -> Vec<AuditEntry> {
        let mut counted = self.0.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let over = if all || counted.len() > MAX_COUNTED {
            std::mem::take(&mut *counted)
        } else {
            let minute = Utc::now()
                .duration_trunc(TimeDelta::minutes(1))
                .unwrap_or_default();
            let (over, still) = std::mem::take(&mut *counted)
                .into_iter()
                .partition(|(counted, _)| counted.minute < minute);
            *counted = still;
            over
        };
        over.into_iter().map(Counted::entry).collect()
    }
}

impl Counted {
    fn entry((counted, (origin, count)): (Self, (Origin, i64))) -> AuditEntry {
        let minute = counted.minute.to_rfc3339_opts(SecondsFormat::Secs, true);
        let entry = AuditEntry::new(origin, counted.action, counted.outcome).about(minute);
        let (form, period, unit) = match counted.about {
            Some((form, period, unit)) => (form.parse().ok(), period.parse().ok(), Some(unit)),
            None => (None, None, None),
        };
        AuditEntry {
            form,
            period,
            unit: unit.map(tonghop_domain::UnitId),
            count,
            ..entry
        }
    }
}
