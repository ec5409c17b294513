//! The journal: concurrent changes of all callers share transactions.
//!
//! Callers wait at a bounded queue; workers take what waits there, a batch at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::time::Instant;
use tonghop_domain::Catalogue;

use crate::books::{Ledger, Transaction};
use crate::conn::DEADLINE;
use crate::held::Held;
use crate::standing::Standing;
use crate::{Idempotency, Outcome, StoreError, Write, record};

/// How many changes may wait.
const QUEUE: usize = 2048;
/// How many changes share a transaction at the most.
const BATCH: usize = 256;
/// How often a batch that collided with others is tried, and for how long. One that was held up for longer than a
/// moment is not tried again: a collision is over by then, and a lock that is still held may be held for ever.
const TRIES: u32 = 8;
const TRYING: Duration = Duration::from_millis(1500);
const MOMENT: Duration = Duration::from_millis(400);
/// A change that waited for longer is refused, so that its caller is answered in time whatever holds up the database.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The same where there is one lock for all, which takes longer to wait for.
const LONGEST_WAIT_FOR_ONE: Duration = Duration::from_millis(3500);
/// How long the changes of a batch that was held up are tried one by one, from the batch's beginning.
const APART: Duration = Duration::from_millis(5500);

type Reply = oneshot::Sender<Result<Outcome, StoreError>>;

/// A change with its caller.
#[derive(Debug)]
struct Waiting {
    write: Write,
    reply: Reply,
    since: Instant,
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
    ledger: L,
    catalogue: Arc<Catalogue>,
    news: Arc<Notify>,
    held: Held,
    standing: Arc<Standing>,
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
        let since = Instant::now();
        let waiting = Waiting { write, reply, since };
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
    /// Records by a catalogue; `news` is woken after each commit that put announcements into the outbox.
    pub fn new(ledger: L, catalogue: Arc<Catalogue>, news: Arc<Notify>) -> Self {
        Self {
            ledger,
            catalogue,
            news,
            held: Held::default(),
            standing: Arc::default(),
        }
    }

    /// Whether the database took the last changes.
    pub(crate) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

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
                .filter_map(|waiting| self.admit(waiting))
                .map(|waiting| (waiting.write, waiting.reply))
                .unzip();
            if writes.is_empty() {
                continue;
            }
            let outcomes = self.record_all(&writes).await;
            for (reply, outcome) in replies.into_iter().zip(outcomes) {
                // A caller that went away does not want the answer.
                drop(reply.send(outcome));
            }
        }
    }

    /// Refuses what has waited for too long, and what is about a submission that is held.
    fn admit(&self, waiting: Waiting) -> Option<Waiting> {
        let longest = if self.ledger.locks_rows() {
            LONGEST_WAIT
        } else {
            LONGEST_WAIT_FOR_ONE
        };
        let refusal = if waiting.since.elapsed() > longest {
            StoreError::Overloaded
        } else if self.held.is_held(&waiting.write.key) {
            StoreError::Contention("another session holds the submission".into())
        } else {
            return Some(waiting);
        };
        drop(waiting.reply.send(Err(refusal)));
        None
    }

    async fn record_all(&self, writes: &[Write]) -> Vec<Result<Outcome, StoreError>> {
        let started = Instant::now();
        match self.record_batch(writes, true).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(error) if !self.may_be_one(&error) => {
                tracing::warn!(%error, changes = writes.len(), "changes were not recorded");
                writes.iter().map(|_| Err(error.clone())).collect()
            }
            // One of them cannot be recorded: the others shall not suffer. A batch holds the locks of all while it waits
            // for one, so it does not wait for long; a single change waits until the database ends who hangs with it.
            Err(_) => self.record_apart(writes, started + APART).await,
        }
    }

    /// Each by itself until `deadline`; what is left then is refused.
    async fn record_apart(&self, writes: &[Write], deadline: Instant) -> Vec<Result<Outcome, StoreError>> {
        let mut outcomes = Vec::with_capacity(writes.len());
        for write in writes {
            outcomes.push(if Instant::now() > deadline || self.held.is_held(&write.key) {
                Err(StoreError::Overloaded)
            } else {
                let one = self.record_batch(std::slice::from_ref(write), false).await;
                one.and_then(|mut one| one.pop().ok_or_else(|| StoreError::corrupt("no outcome")))
                    .inspect_err(|error| self.tell(write, error))
            });
        }
        outcomes
    }

    /// Tells the log, and remembers what is held.
    fn tell(&self, write: &Write, error: &StoreError) {
        let (form, period, unit) = (&write.key.form, write.key.period, write.key.unit.0);
        tracing::warn!(%error, %form, %period, unit_id = unit, "a change was not recorded");
        if self.ledger.locks_rows() && matches!(error, StoreError::Contention(_)) {
            self.held.note(&write.key);
        }
    }

    /// Whether a single change of a batch may be the cause. Where there is one lock for all changes, none of them is.
    fn may_be_one(&self, error: &StoreError) -> bool {
        match error {
            StoreError::Corrupt(_) | StoreError::Rejected(_) | StoreError::Overflow(_) => true,
            StoreError::Contention(_) => self.ledger.locks_rows(),
            _ => false,
        }
    }

    async fn record_batch(&self, writes: &[Write], hurry: bool) -> Result<Vec<Outcome>, StoreError> {
        let (mut tries, started) = (0, Instant::now());
        loop {
            let tried_at = Instant::now();
            match self.ledger.within(DEADLINE, self.try_batch(writes, hurry)).await {
                Err(StoreError::Contention(_))
                    if tries < TRIES && started.elapsed() < TRYING && tried_at.elapsed() < MOMENT =>
                {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(u64::from(10 * tries))).await;
                }
                done => {
                    self.standing.note(&done);
                    return done;
                }
            }
        }
    }

    async fn try_batch(&self, writes: &[Write], hurry: bool) -> Result<Vec<Outcome>, StoreError> {
        let mut tx = self.ledger.begin(hurry).await?;
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
