//! Group commit: concurrent changes of all callers share transactions.
//!
//! Changes wait in a bounded queue; workers commit them in batches.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::time::Instant;
use tonghop_domain::{Catalogue, SubmissionKey};

use crate::database::write_health::WriteHealth;
use crate::error::StoreError;
use crate::group_commit::batch::{Batch, Waiting, take_apart};
use crate::group_commit::contended::Contended;
use crate::group_commit::metrics::Commits;
use crate::model::{Outcome, Write};
use crate::unit_of_work::record::record;
use crate::unit_of_work::{DEADLINE, Transaction, Transactions, UnitOfWork};

mod batch;
mod contended;
pub(crate) mod metrics;

/// The capacity of the queue.
const QUEUE: usize = 2048;
/// The most changes in a transaction.
const BATCH: usize = 256;
/// After a batch of at least `COMMIT_SIBLINGS` changes, a worker waits up to `COMMIT_DELAY_STEPS` steps until
/// `COMMIT_SIBLINGS_PERCENT` as many are queued: clients tend to return together, and a transaction costs as much as a
/// dozen changes. After smaller batches it does not wait.
const COMMIT_SIBLINGS: usize = 16;
const COMMIT_SIBLINGS_PERCENT: usize = 60;
const COMMIT_DELAY_STEPS: u32 = 6;
const COMMIT_DELAY_STEP: Duration = Duration::from_millis(1);
/// The limits of retries of a batch that conflicts with others: their number, and their time in all. A conflict that
/// lasted longer than `SHORT_CONFLICT` is not retried: an ordinary one is over by then, and a lock that is still taken
/// may be taken forever.
const MAX_RETRIES: u32 = 8;
const RETRY_TIME: Duration = Duration::from_millis(1500);
const SHORT_CONFLICT: Duration = Duration::from_millis(400);
/// The longest time in the queue; older changes are refused, so that their callers get a response in time whatever
/// delays the database.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// The same where one lock serialises all changes, since waiting for it takes longer.
const MAX_WAIT_FOR_ONE_LOCK: Duration = Duration::from_millis(3500);
/// The time, from the start of a failed batch, for which its changes are retried in smaller batches.
const SPLIT_TIME: Duration = Duration::from_millis(5500);

/// The entry of the queue. Clones share it.
#[derive(Clone, Debug)]
pub struct GroupCommit {
    sender: mpsc::Sender<Waiting>,
}

/// The exit of the queue, for workers. Clones share it.
#[derive(Clone, Debug)]
pub struct Changes {
    receiver: Arc<Mutex<mpsc::Receiver<Waiting>>>,
}

/// A worker's tools for recording changes; cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder<L> {
    transactions: L,
    catalogue: Arc<Catalogue>,
    news: Arc<Notify>,
    contended: Contended,
    write_health: Arc<WriteHealth>,
    commits: Commits,
}

impl GroupCommit {
    /// An empty queue.
    pub fn new() -> (Self, Changes) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        (Self { sender }, Changes { receiver })
    }

    /// Records a change, and returns its result after the commit.
    ///
    /// # Errors
    /// `Overloaded`, `Contention`, `Unavailable` (whether it was recorded may then be unknown), `CatalogueMismatch`.
    pub async fn record(self, write: Write) -> Result<Outcome, StoreError> {
        let (reply, answer) = oneshot::channel();
        let since = Instant::now();
        let waiting = Waiting { write, reply, since };
        self.sender.try_send(waiting).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => closed_error(),
        })?;
        // A waiting caller does not keep the queue open.
        drop(self);
        answer.await.map_err(|_| closed_error())?
    }
}

/// The error after the store was closed.
pub(crate) fn closed_error() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

impl Changes {
    /// Receives the queued changes, or waits for the first one; after a large batch waits as the constants above say.
    /// Returns nothing once every [`GroupCommit`] of the queue was dropped.
    async fn take(&self, last: usize) -> Vec<Waiting> {
        let mut receiver = self.receiver.lock().await;
        let enough = if last < COMMIT_SIBLINGS {
            0
        } else {
            last * COMMIT_SIBLINGS_PERCENT / 100
        };
        for _ in 0..COMMIT_DELAY_STEPS {
            if receiver.len() >= enough {
                break;
            }
            tokio::time::sleep(COMMIT_DELAY_STEP).await;
        }
        let mut taken = Vec::new();
        receiver.recv_many(&mut taken, BATCH).await;
        taken
    }
}

/// Whether a single change of a batch causes the error, regardless of locks.
fn is_caused_by_one(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Corrupt(_) | StoreError::ConstraintViolated(_) | StoreError::Overflow(_)
    )
}

impl<L: Transactions> Recorder<L> {
    /// A recorder for a catalogue. Notifies `news` after each commit, which may have added announcements to the outbox.
    pub fn new(transactions: L, catalogue: Arc<Catalogue>, news: Arc<Notify>) -> Self {
        Self {
            transactions,
            catalogue,
            news,
            contended: Contended::default(),
            write_health: Arc::default(),
            commits: Commits::default(),
        }
    }

    /// Whether the database accepts writes.
    pub(crate) fn write_health(&self) -> &Arc<WriteHealth> {
        &self.write_health
    }

    /// The metrics of commits.
    pub(crate) fn commits(&self) -> &Commits {
        &self.commits
    }

    /// Records changes until every [`GroupCommit`] of the queue was dropped and the queue is empty.
    pub async fn work(self, changes: Changes) {
        let mut deferred: Vec<Waiting> = Vec::new();
        let mut last = 0;
        loop {
            let mut batch = take_apart(&mut deferred);
            if batch.is_empty() {
                deferred = changes.take(last).await;
                if deferred.is_empty() {
                    return;
                }
                last = deferred.len();
                batch = take_apart(&mut deferred);
            }
            tracing::trace!(target: "tonghop::step", step = "batch_taken");
            let admitted: Batch = batch
                .into_iter()
                .filter_map(|waiting| self.admit(waiting))
                .map(|waiting| (waiting.write, waiting.reply))
                .collect();
            if !admitted.writes.is_empty() {
                self.record_all(admitted).await;
            }
        }
    }

    /// Refuses a change that waited too long or whose submission is contended.
    fn admit(&self, waiting: Waiting) -> Option<Waiting> {
        let longest = if self.transactions.locks_rows() {
            MAX_WAIT
        } else {
            MAX_WAIT_FOR_ONE_LOCK
        };
        let refusal = if waiting.since.elapsed() > longest {
            StoreError::Overloaded
        } else if self.contended.is_contended(&waiting.write.key) {
            StoreError::Contention("another session has locked the submission".into())
        } else {
            return Some(waiting);
        };
        drop(waiting.reply.send(Err(refusal)));
        None
    }

    /// Records a batch and sends the results. If one change cannot be recorded, the batch is split until that change is
    /// alone, so that the others still succeed. A batch keeps the locks of all its changes while it waits for one, so
    /// it waits only briefly; a change whose submission is locked waits alone, until the lock timeout.
    async fn record_all(&self, batch: Batch) {
        let deadline = Instant::now() + SPLIT_TIME;
        let mut parts = vec![(batch, true)];
        while let Some((part, hurry)) = parts.pop() {
            if Instant::now() > deadline
                || part
                    .single()
                    .is_some_and(|write| self.contended.is_contended(&write.key))
            {
                part.refuse(&StoreError::Overloaded);
                continue;
            }
            match self.record_batch(&part.writes, hurry).await {
                Ok(outcomes) => part.answer(outcomes),
                Err(StoreError::Contention(_)) if hurry && self.transactions.locks_rows() => {
                    let held = self.contended_among(&part.writes).await;
                    let (waiting, free) = if held.is_empty() {
                        (part, Batch::default())
                    } else {
                        part.partition(|write| held.contains(&write.key))
                    };
                    parts.extend(waiting.chunks(1).into_iter().rev().map(|one| (one, false)));
                    if !free.writes.is_empty() {
                        parts.push((free, true));
                    }
                }
                Err(error) if part.single().is_none() && is_caused_by_one(&error) => {
                    let half = part.writes.len().div_ceil(2);
                    parts.extend(part.chunks(half).into_iter().rev().map(|half| (half, true)));
                }
                Err(error) => {
                    self.report_failure(&part, &error);
                    part.refuse(&error);
                }
            }
        }
    }

    /// The submissions of these changes that another session has locked now; empty if that cannot be determined.
    async fn contended_among(&self, writes: &[Write]) -> BTreeSet<SubmissionKey> {
        let keys: BTreeSet<SubmissionKey> = writes.iter().map(|write| write.key.clone()).collect();
        let keys: Vec<SubmissionKey> = keys.into_iter().collect();
        let looking = async {
            let mut tx = self.transactions.begin(true).await?;
            let held = tx.unit_of_work()?.contended_heads(&keys).await?;
            tx.rollback().await?;
            Ok(held)
        };
        // Then each change is retried alone.
        self.transactions
            .within(DEADLINE, looking)
            .await
            .unwrap_or_default()
    }

    /// Logs the failure, and remembers a contended submission.
    fn report_failure(&self, part: &Batch, error: &StoreError) {
        let Some(write) = part.single() else {
            tracing::warn!(%error, changes = part.writes.len(), "changes not recorded");
            return;
        };
        let (form, period, unit) = (&write.key.form, write.key.period, write.key.unit.0);
        tracing::warn!(%error, %form, %period, unit_id = unit, "change not recorded");
        if self.transactions.locks_rows() && matches!(error, StoreError::Contention(_)) {
            self.contended.note(&write.key);
        }
    }

    async fn record_batch(&self, writes: &[Write], hurry: bool) -> Result<Vec<Outcome>, StoreError> {
        let (mut tries, started) = (0, Instant::now());
        loop {
            let tried_at = Instant::now();
            match self
                .transactions
                .within(DEADLINE, self.try_batch(writes, hurry))
                .await
            {
                Err(StoreError::Contention(_))
                    if tries < MAX_RETRIES
                        && started.elapsed() < RETRY_TIME
                        && tried_at.elapsed() < SHORT_CONFLICT =>
                {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(u64::from(10 * tries))).await;
                }
                done => {
                    self.write_health.note(&done);
                    return done;
                }
            }
        }
    }

    async fn try_batch(&self, writes: &[Write], hurry: bool) -> Result<Vec<Outcome>, StoreError> {
        let started = Instant::now();
        let mut tx = self.transactions.begin_recording(hurry).await?;
        let outcomes = match record(tx.unit_of_work()?, &self.catalogue, writes).await {
            Ok(outcomes) => outcomes,
            Err(error) => return Err(tx.abort(error).await),
        };
        tx.commit().await?;
        self.commits.observe(writes.len(), started.elapsed());
        tracing::trace!(target: "tonghop::step", step = "committed");
        self.news.notify_one();
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;
    use tonghop_domain::{Change, Origin, Precondition, SubmissionId, UnitId};

    use super::*;

    fn write() -> Write {
        Write {
            new_id: SubmissionId::generate(),
            key: SubmissionKey {
                form: "ngay-30-7".parse().unwrap(),
                period: "2021-07".parse().unwrap(),
                unit: UnitId(1),
            },
            change: Change::Withdraw,
            condition: Precondition::None,
            idempotency: None,
            origin: Origin::OPERATOR,
            action: "withdraw_submission".to_owned(),
        }
    }

    /// The number of changes that a worker receives after a batch of `last`, and its waiting time, while a change
    /// arrives each millisecond.
    async fn take_after(last: usize) -> (usize, Duration) {
        let (group_commit, changes) = GroupCommit::new();
        let callers = tokio::spawn(async move {
            for _ in 0..100 {
                tokio::spawn(group_commit.clone().record(write()));
                sleep(Duration::from_millis(1)).await;
            }
        });
        let start = Instant::now();
        let taken = changes.take(last).await.len();
        callers.abort();
        (taken, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_small_batch_the_worker_does_not_wait() {
        assert_eq!(take_after(COMMIT_SIBLINGS - 1).await, (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_large_batch_the_worker_waits_for_siblings() {
        let (taken, waited) = take_after(COMMIT_SIBLINGS).await;
        assert!((5..=7).contains(&taken), "{taken}");
        assert_eq!(waited, COMMIT_DELAY_STEPS * COMMIT_DELAY_STEP);
    }

    #[tokio::test(start_paused = true)]
    async fn the_worker_stops_waiting_once_enough_siblings_are_queued() {
        let (group_commit, changes) = GroupCommit::new();
        for back in [COMMIT_SIBLINGS * 2, BATCH + 1] {
            for _ in 0..back {
                tokio::spawn(group_commit.clone().record(write()));
            }
            sleep(Duration::from_millis(1)).await;
            let start = Instant::now();
            let taken = changes.take(back * 3 / 2).await.len();
            assert_eq!((taken, start.elapsed()), (back.min(BATCH), Duration::ZERO));
        }
        assert_eq!(
            changes.take(COMMIT_SIBLINGS).await.len(),
            1,
            "the one beyond the limit"
        );
        drop(group_commit);
        assert!(
            changes.take(COMMIT_SIBLINGS).await.is_empty(),
            "the queue is closed"
        );
    }
}
