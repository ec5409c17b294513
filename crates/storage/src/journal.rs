//! The journal: concurrent changes of all callers share transactions.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tonghop_domain::Catalogue;

use crate::conn::{Pools, Purpose};
use crate::{Idempotency, Outcome, StoreError, Write, record};

/// How many changes may wait.
const QUEUE: usize = 2048;
/// How many changes share a transaction at the most.
const BATCH: usize = 256;
/// A transaction that takes longer is given up.
const DEADLINE: Duration = Duration::from_secs(5);
/// How often a batch that collided with others is tried.
const TRIES: u32 = 8;

type Reply = oneshot::Sender<Result<Outcome, StoreError>>;

struct Waiting {
    write: Write,
    reply: Reply,
}

/// The queue before the transactions.
pub(crate) struct Journal {
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

/// What each worker needs.
#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) pools: Pools,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) news: Arc<Notify>,
}

impl Journal {
    /// Starts the workers: several for PostgreSQL, one for SQLite, which has one writer.
    pub(crate) fn start(recorder: &Recorder) -> Self {
        let count = match recorder.pools {
            Pools::Pg(_) => 4,
            Pools::Lite { .. } => 1,
        };
        let (sender, receiver) = mpsc::channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let worker = |_| tokio::spawn(work(recorder.clone(), receiver.clone()));
        Self {
            queue: Mutex::new(Some(sender)),
            workers: Mutex::new((0..count).map(worker).collect()),
        }
    }

    pub(crate) async fn record(&self, write: Write) -> Result<Outcome, StoreError> {
        let closed = || StoreError::Unavailable("the journal is closed".into());
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.lock().await.clone().ok_or_else(closed)?;
        queue
            .try_send(Waiting { write, reply })
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => closed(),
            })?;
        drop(queue);
        answer.await.map_err(|_| closed())?
    }

    /// Records what is waiting, then stops.
    pub(crate) async fn close(&self) {
        drop(self.queue.lock().await.take());
        for worker in self.workers.lock().await.drain(..) {
            if let Err(panic) = worker.await {
                tracing::error!(%panic, "a journal worker failed");
            }
        }
    }
}

async fn work(recorder: Recorder, queue: Arc<Mutex<mpsc::Receiver<Waiting>>>) {
    let mut deferred: Vec<Waiting> = Vec::new();
    loop {
        let mut batch = take_apart(&mut deferred);
        if batch.is_empty() {
            let mut queue = queue.lock().await;
            if queue.recv_many(&mut batch, BATCH).await == 0 {
                return;
            }
            drop(queue);
            deferred = batch;
            batch = take_apart(&mut deferred);
        }
        let (writes, replies): (Vec<Write>, Vec<Reply>) = batch
            .into_iter()
            .map(|waiting| (waiting.write, waiting.reply))
            .unzip();
        let outcomes = recorder.record_all(&writes).await;
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // A caller that went away does not want the answer.
            drop(reply.send(outcome));
        }
    }
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

impl Recorder {
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
        let mut tries = 0;
        loop {
            let tried = tokio::time::timeout(DEADLINE, self.try_batch(writes)).await;
            match tried.unwrap_or_else(|_| {
                Err(StoreError::Unavailable(
                    "the database did not answer in time".into(),
                ))
            }) {
                Err(StoreError::Contention(_)) if tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(u64::from(10 * tries))).await;
                }
                done => return done,
            }
        }
    }

    async fn try_batch(&self, writes: &[Write]) -> Result<Vec<Outcome>, StoreError> {
        let mut tx = self.pools.begin(Purpose::Write).await?;
        let outcomes = match record::record(tx.conn()?, &self.catalogue, writes).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                // When this fails too, the connection is dropped, and the database rolls back by itself.
                tx.rollback().await.ok();
                return Err(error);
            }
        };
        tx.commit().await?;
        self.news.notify_one();
        Ok(outcomes)
    }
}

/// Whether a single change of a batch may be the cause.
fn may_be_one(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt(_) | StoreError::Overflow(_))
}
