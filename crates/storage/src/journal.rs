//! The journal: concurrent changes of all callers share transactions.
//!
//! Callers wait at a bounded queue; workers take what waits there, a batch at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tonghop_domain::Catalogue;

use crate::books::{Ledger, Transaction};
use crate::conn::DEADLINE;
use crate::{Idempotency, Outcome, StoreError, Write, record};

/// How many changes may wait.
const QUEUE: usize = 2048;
/// How many changes share a transaction at the most.
const BATCH: usize = 256;
/// How often a batch that collided with others is tried.
const TRIES: u32 = 8;

type Reply = oneshot::Sender<Result<Outcome, StoreError>>;

/// A change with its caller.
#[derive(Debug)]
struct Waiting {
    write: Write,
    reply: Reply,
}

/// Where callers leave changes. Clones lead to the same queue.
#[derive(Clone, Debug)]
pub struct Journal {
    sender: mpsc::Sender<Waiting>,
}

/// Where workers take them. Clones take turns.
#[derive(Clone, Debug)]
pub struct Changes {
    receiver: Arc<Mutex<mpsc::Receiver<Waiting>>>,
}

/// What records changes; cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder<L> {
    /// Where they are recorded.
    pub ledger: L,
    /// By which catalogue.
    pub catalogue: Arc<Catalogue>,
    /// Woken after each commit that put announcements into the outbox.
    pub news: Arc<Notify>,
}

impl Journal {
    /// An empty queue.
    pub fn new() -> (Self, Changes) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        (Self { sender }, Changes { receiver })
    }

    /// Has a change recorded. Answers after the commit.
    ///
    /// # Errors
    /// `Overloaded`, `Contention`, `Unavailable` (whether it was recorded may then be unknown), `OtherCatalogue`.
    pub async fn record(self, write: Write) -> Result<Outcome, StoreError> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { write, reply };
        self.sender.try_send(waiting).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => closed(),
        })?;
        // While it waits for the answer, it does not keep the queue open.
        drop(self);
        answer.await.map_err(|_| closed())?
    }
}

/// The journal takes no more changes.
pub(crate) fn closed() -> StoreError {
    StoreError::Unavailable("the journal is closed".into())
}

/// Takes what may share a transaction: of changes with one idempotency key, the first; the others follow later.
fn take_apart(waiting: &mut Vec<Waiting>) -> Vec<Waiting> {
    let mut keys: HashSet<(String, String)> = HashSet::new();
    let own = |key: &Idempotency| (key.caller.clone(), key.key.clone());
    let (now, later) = std::mem::take(waiting).into_iter().partition(|waiting| {
        waiting
            .write
            .idempotency
            .as_ref()
            .is_none_or(|key| keys.insert(own(key)))
    });
    *waiting = later;
    now
}

impl<L: Ledger> Recorder<L> {
    /// Records changes until every [`Journal`] that leads here is gone and nothing waits any more.
    pub async fn work(self, changes: Changes) {
        let mut deferred: Vec<Waiting> = Vec::new();
        loop {
            let mut batch = take_apart(&mut deferred);
            if batch.is_empty() {
                let mut receiver = changes.receiver.lock().await;
                if receiver.recv_many(&mut batch, BATCH).await == 0 {
                    return;
                }
                drop(receiver);
                deferred = batch;
                batch = take_apart(&mut deferred);
            }
            tracing::trace!(target: "tonghop::step", step = "batch_taken");
            let (writes, replies): (Vec<Write>, Vec<Reply>) = batch
                .into_iter()
                .map(|waiting| (waiting.write, waiting.reply))
                .unzip();
            let outcomes = self.record_all(&writes).await;
            for (reply, outcome) in replies.into_iter().zip(outcomes) {
                // A caller that went away does not want the answer.
                drop(reply.send(outcome));
            }
        }
    }

    async fn record_all(&self, writes: &[Write]) -> Vec<Result<Outcome, StoreError>> {
        match self.record_batch(writes).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(error) if writes.len() == 1 || !may_be_one(&error) => {
                tracing::warn!(%error, changes = writes.len(), "changes were not recorded");
                writes.iter().map(|_| Err(error.clone())).collect()
            }
            Err(_) => {
                // One of them cannot be recorded: the others shall not suffer.
                let mut outcomes = Vec::with_capacity(writes.len());
                for write in writes {
                    let one = self.record_batch(std::slice::from_ref(write)).await;
                    outcomes.push(
                        one.and_then(|mut one| one.pop().ok_or_else(|| StoreError::corrupt("no outcome"))),
                    );
                }
                outcomes
            }
        }
    }

    async fn record_batch(&self, writes: &[Write]) -> Result<Vec<Outcome>, StoreError> {
        let trying = async {
            let mut tries = 0;
            loop {
                match self.try_batch(writes).await {
                    Err(StoreError::Contention(_)) if tries < TRIES => {
                        tries += 1;
                        tokio::time::sleep(Duration::from_millis(u64::from(10 * tries))).await;
                    }
                    done => return done,
                }
            }
        };
        self.ledger.within(DEADLINE, trying).await
    }

    async fn try_batch(&self, writes: &[Write]) -> Result<Vec<Outcome>, StoreError> {
        let mut tx = self.ledger.begin().await?;
        let outcomes = match record::record(tx.books()?, &self.catalogue, writes).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                // When this fails too, the connection is dropped, and the database rolls back by itself.
                tx.rollback().await.ok();
                return Err(error);
            }
        };
        tx.commit().await?;
        tracing::trace!(target: "tonghop::step", step = "committed");
        self.news.notify_one();
        Ok(outcomes)
    }
}

/// Whether a single change of a batch may be the cause.
fn may_be_one(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt(_) | StoreError::Overflow(_))
}
