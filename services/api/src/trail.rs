//! The audit trail as the service writes it: what is not part of a change's own transaction.
//!
//! A read of confidential figures is answered only after its entry is committed. What was refused is noted a moment
//! later. What comes by the hundreds, as a dashboard's reads of a province's totals, is counted and noted once a minute.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Actor, AuditEntry, Origin};
use tonghop_storage::{SealFile, Store, StoreError};

use crate::problem::Problem;

/// How many entries may wait to be written, and how many are written together.
const QUEUE: usize = 4096;
const TOGETHER: usize = 256;
/// How many different things are counted at a time before they are noted early.
const MAX_COUNTED: usize = 10_000;
/// How often it is looked whether a minute is over, and how often the trail is sealed.
const INTERVAL: Duration = Duration::from_secs(1);
/// After how long entries are written again that the database did not take.
const AGAIN: Duration = Duration::from_millis(250);
/// How often that is tried once the service stops.
const LAST_TRIES: u32 = 8;

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
struct Waiting {
    entries: Vec<AuditEntry>,
    reply: Option<oneshot::Sender<Result<(), StoreError>>>,
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

/// What writes the entries into the database.
#[derive(Debug)]
pub(crate) struct Scribe {
    trail: Trail,
    queue: mpsc::Receiver<Waiting>,
    store: Store,
}

impl Trail {
    /// An empty one, with what must run for it.
    pub(crate) fn new(store: Store) -> (Self, Scribe) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let trail = Self(Arc::new(Inner {
            queue: sender,
            counted: Mutex::default(),
            strangers: Counter::default(),
            lost: AtomicU64::default(),
        }));
        let scribe = Scribe {
            trail: trail.clone(),
            queue,
            store,
        };
        (trail, scribe)
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
    fn take_counted(&self, all: bool) -> Vec<AuditEntry> {
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

impl Scribe {
    /// Writes entries until `stop`, and then what is left.
    pub(crate) async fn run(mut self, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unwritten = Vec::new();
        loop {
            let mut taken = Vec::new();
            let retry = tokio::time::sleep(AGAIN);
            tokio::select! {
                biased;
                // First: however much comes, what was counted is noted in time.
                _ = ticks.tick() => unwritten.extend(self.trail.take_counted(false)),
                _ = self.queue.recv_many(&mut taken, TOGETHER) => {}
                () = retry, if !unwritten.is_empty() => {}
                () = stop.cancelled() => break,
            }
            unwritten = self.write(taken, unwritten).await;
        }
        self.finish(unwritten).await;
    }

    /// Nobody asks for anything any more.
    async fn finish(&mut self, mut unwritten: Vec<AuditEntry>) {
        let mut taken = Vec::new();
        while let Ok(waiting) = self.queue.try_recv() {
            taken.push(waiting);
        }
        unwritten.extend(self.trail.take_counted(true));
        unwritten = self.write(taken, unwritten).await;
        for _ in 1..LAST_TRIES {
            if unwritten.is_empty() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
            unwritten = self.write(Vec::new(), unwritten).await;
        }
        if !unwritten.is_empty() {
            let lost = unwritten.len();
            tracing::error!(
                lost,
                "entries of the audit trail were not written before the stop"
            );
        }
    }

    /// Writes what waits and what is left from before. Answers what was not written and nobody waits for: it is kept.
    async fn write(&self, taken: Vec<Waiting>, mut unwritten: Vec<AuditEntry>) -> Vec<AuditEntry> {
        let mut replies = Vec::new();
        let mut awaited = Vec::new();
        for Waiting { entries, reply } in taken {
            match reply {
                Some(reply) => {
                    awaited.extend(entries);
                    replies.push(reply);
                }
                None => unwritten.extend(entries),
            }
        }
        if awaited.is_empty() && unwritten.is_empty() {
            return unwritten;
        }
        awaited.extend(unwritten.iter().take(QUEUE).cloned());
        let written = self.store.note(awaited).await;
        for reply in replies {
            // Who went away does not want the answer.
            drop(reply.send(written.clone()));
        }
        match written {
            Ok(()) => unwritten.drain(..unwritten.len().min(QUEUE)).for_each(drop),
            Err(error) => {
                tracing::warn!(%error, "entries of the audit trail were not written yet");
                let too_many = unwritten.len().saturating_sub(2 * QUEUE);
                if too_many > 0 {
                    tracing::error!(
                        lost = too_many,
                        "the oldest entries of the audit trail were given up"
                    );
                    unwritten.drain(..too_many).for_each(drop);
                }
            }
        }
        unwritten
    }
}

/// Seals the audit trail every second until `stop`, and then once more, and notes the heads of the chain in a file if
/// there is one.
pub async fn keep_sealed(store: &Store, file: Option<&SealFile>, stop: &CancellationToken) {
    if let Some(file) = file {
        check_last(store, file).await;
    }
    while !stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = stop.cancelled() => {}
        }
        match store.seal().await {
            Ok(Some(head)) => {
                let noted = file.map_or(Ok(()), |file| file.note(&head));
                if let Err(error) = noted {
                    let seal = head.number;
                    tracing::error!(%error, seal, "the head of the audit trail was not noted in its file");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the audit trail was not sealed"),
        }
    }
}

/// Tells the log when no heads are noted.
pub fn warn_without_file(file: Option<&SealFile>) {
    if file.is_none() {
        tracing::warn!(
            "the heads of the audit trail are noted nowhere but in the database: set TONGHOP_AUDIT_HEADS to a file"
        );
    }
}

/// That the database still has what was noted last.
async fn check_last(store: &Store, file: &SealFile) {
    let noted = match file.heads() {
        Ok(heads) => heads.into_iter().max_by_key(|head| head.number),
        Err(error) => {
            tracing::error!(%error, "the file with the heads of the audit trail cannot be read");
            None
        }
    };
    let Some(noted) = noted else { return };
    match store.seal_digest(noted.number).await {
        Ok(Some(digest)) if digest == noted.digest => {}
        Ok(_) => {
            let seal = noted.number;
            tracing::error!(
                seal,
                "the audit trail is not what it was: run `tonghop audit verify`"
            );
        }
        Err(error) => tracing::warn!(%error, "the audit trail was not compared with its file"),
    }
}
