//! A simulated database: READ COMMITTED, row locks, and faults drawn from a seed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, sleep, timeout};
use tonghop_domain::{Announcement, AuditEntry, Envelope, Head, Outbox, Revision, SubmissionKey, TotalKey};
use tonghop_storage::{StoreError, StoredTotal, Transaction as _, Transactions, Used};
use uuid::Uuid;

/// The time that a transaction waits for a lock.
const LOCK_TIMEOUT: Duration = Duration::from_millis(1700);
const HURRIED_LOCK_TIMEOUT: Duration = Duration::from_millis(500);
/// The lifetime of a claim on an announcement.
const CLAIM: TimeDelta = TimeDelta::seconds(15);

/// The frequency of faults, in thousandths. All zero once the storm is over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// A statement fails and its connection is lost.
    pub(crate) statement: u32,
    /// A statement stalls, sometimes beyond every deadline.
    pub(crate) stall: u32,
    /// A commit fails.
    pub(crate) commit: u32,
    /// A commit succeeds and its response is lost.
    pub(crate) answer: u32,
    /// A message is lost, duplicated, corrupted, delayed or not confirmed.
    pub(crate) message: u32,
    /// A connection to the broker breaks.
    pub(crate) line: u32,
    /// A client disconnects before the response.
    pub(crate) hang_up: u32,
    /// A process is killed at a step.
    pub(crate) crash: u32,
}

/// The committed state.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) heads: BTreeMap<SubmissionKey, Head>,
    pub(crate) revisions: BTreeMap<(Uuid, i32), Revision>,
    pub(crate) keys: BTreeMap<(String, String), Used>,
    pub(crate) marks: BTreeMap<i64, (TotalKey, DateTime<Utc>)>,
    pub(crate) totals: BTreeMap<TotalKey, StoredTotal>,
    pub(crate) trail: Vec<AuditEntry>,
    /// The announcements by number, with the time until which they are claimed.
    pub(crate) outbox: BTreeMap<u64, (Announcement, DateTime<Utc>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lock {
    /// The only writer of an embedded database.
    Writer,
    Key(String, String),
    Head(SubmissionKey),
    Total(TotalKey),
}

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) random: fastrand::Rng,
    pub(crate) faults: Faults,
    /// The number of commits.
    pub(crate) commits: u64,
    locks: HashMap<Lock, u64>,
    /// When the open transactions that record or refresh announced themselves.
    announced: HashMap<u64, DateTime<Utc>>,
    waiting: Vec<Waker>,
    transactions: u64,
    numbers: i64,
    start: Instant,
    micros: i64,
}

/// The database, shared by all processes of one simulation.
#[derive(Clone)]
pub(crate) struct Database {
    world: Arc<Mutex<World>>,
    one_writer: bool,
}

impl Database {
    /// Must be created inside a runtime with paused time.
    pub(crate) fn new(seed: u64, faults: Faults, one_writer: bool) -> Self {
        let world = World {
            state: State::default(),
            random: fastrand::Rng::with_seed(seed),
            faults,
            commits: 0,
            locks: HashMap::new(),
            announced: HashMap::new(),
            waiting: Vec::new(),
            transactions: 0,
            numbers: 0,
            start: Instant::now(),
            micros: 0,
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            one_writer,
        }
    }

    /// The watermark: the earliest announcement of a transaction, or the time at which it was looked for.
    pub(crate) async fn watermark(&self) -> DateTime<Utc> {
        let now = self.world().now();
        yield_now().await;
        let world = self.world();
        let earliest = world.announced.values().min();
        earliest.map_or(now, |earliest| now.min(*earliest))
    }

    /// A failed simulation still ends its transactions.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    pub(crate) fn happens(&mut self, thousandths: u32) -> bool {
        thousandths > 0 && self.random.u32(..1000) < thousandths
    }

    /// The time of the runtime, plus a microsecond per statement.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let elapsed = i64::try_from(self.start.elapsed().as_micros()).expect("a simulation is short");
        DateTime::UNIX_EPOCH + TimeDelta::microseconds(elapsed + self.micros)
    }

    fn number(&mut self) -> i64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn holder(&self, lock: &Lock) -> Option<u64> {
        self.locks.get(lock).copied()
    }
}

/// Lets other tasks run first.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            Poll::Ready(())
        } else {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// The uncommitted writes of a transaction.
#[derive(Default)]
pub(crate) struct Writes {
    pub(crate) heads: BTreeMap<SubmissionKey, Head>,
    pub(crate) revisions: Vec<Revision>,
    pub(crate) keys: BTreeMap<(String, String), Used>,
    pub(crate) new_marks: Vec<(TotalKey, DateTime<Utc>)>,
    pub(crate) deleted_marks: BTreeSet<i64>,
    pub(crate) totals: BTreeMap<TotalKey, StoredTotal>,
    pub(crate) news: Vec<Announcement>,
    pub(crate) trail: Vec<AuditEntry>,
    claimed: Vec<u64>,
    settled: Vec<u64>,
}

/// A transaction. If dropped without a commit, it is rolled back.
pub(crate) struct Transaction {
    pub(crate) database: Database,
    pub(crate) writes: Writes,
    id: u64,
    lost: bool,
    patience: Duration,
}

fn gone() -> StoreError {
    StoreError::Unavailable("the simulated connection is gone".into())
}

impl Transactions for Database {
    type Transaction = Transaction;

    async fn begin(&self, hurry: bool) -> Result<Transaction, StoreError> {
        let id = {
            let mut world = self.world();
            world.transactions += 1;
            world.transactions
        };
        let mut transaction = Transaction {
            database: self.clone(),
            writes: Writes::default(),
            id,
            lost: false,
            patience: if hurry { HURRIED_LOCK_TIMEOUT } else { LOCK_TIMEOUT },
        };
        transaction.step().await?;
        if self.one_writer {
            transaction.lock(Lock::Writer).await?;
        }
        Ok(transaction)
    }

    async fn begin_recording(&self, hurry: bool) -> Result<Transaction, StoreError> {
        let transaction = self.begin(hurry).await?;
        transaction.announce();
        Ok(transaction)
    }

    fn locks_rows(&self) -> bool {
        !self.one_writer
    }

    async fn within<T: Send>(
        &self,
        deadline: Duration,
        transaction: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        timeout(deadline, transaction)
            .await
            .unwrap_or_else(|_| Err(gone()))
    }
}

impl Transaction {
    /// Announces itself until it ends.
    pub(crate) fn announce(&self) {
        let mut world = self.database.world();
        let now = world.now();
        world.announced.entry(self.id).or_insert(now);
    }

    /// A point where other tasks may run, time may pass, and the connection may be lost.
    pub(crate) async fn step(&mut self) -> Result<(), StoreError> {
        yield_now().await;
        let stall = {
            let mut world = self.database.world();
            world.micros += 1;
            let thousandths = world.faults.stall;
            let stalls = world.happens(thousandths);
            // Most stalls are short; some exceed every deadline.
            let longest = if world.random.u8(..8) == 0 { 8000 } else { 100 };
            stalls.then(|| Duration::from_millis(world.random.u64(1..longest)))
        };
        if let Some(stall) = stall {
            sleep(stall).await;
        }
        let mut world = self.database.world();
        let thousandths = world.faults.statement;
        self.lost = self.lost || world.happens(thousandths);
        if self.lost { Err(gone()) } else { Ok(()) }
    }

    /// Waits for a lock and holds it until the transaction ends.
    pub(crate) async fn lock(&mut self, lock: Lock) -> Result<(), StoreError> {
        let taken = poll_fn(|context| {
            let mut world = self.database.world();
            if world.holder(&lock).is_some_and(|holder| holder != self.id) {
                world.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
            world.locks.insert(lock.clone(), self.id);
            Poll::Ready(())
        });
        timeout(self.patience, taken)
            .await
            .map_err(|_| StoreError::Contention("the simulated lock was not free in time".into()))
    }
}

impl tonghop_storage::Transaction for Transaction {
    type UnitOfWork = Self;

    fn unit_of_work(&mut self) -> Result<&mut Self, StoreError> {
        Ok(self)
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        self.step().await?;
        let answer_is_lost = {
            let mut world = self.database.world();
            let (commit, answer) = (world.faults.commit, world.faults.answer);
            if world.happens(commit) {
                return Err(gone());
            }
            std::mem::take(&mut self.writes).apply(&mut world);
            world.happens(answer)
        };
        // Committed, but the caller does not know yet.
        yield_now().await;
        if answer_is_lost { Err(gone()) } else { Ok(()) }
    }

    async fn abort(mut self, error: StoreError) -> StoreError {
        self.step().await.ok();
        error
    }

    async fn rollback(mut self) -> Result<(), StoreError> {
        self.step().await
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let mut world = self.database.world();
        world.locks.retain(|_, holder| *holder != self.id);
        world.announced.remove(&self.id);
        let waiting = std::mem::take(&mut world.waiting);
        drop(world);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Writes {
    fn apply(self, world: &mut World) {
        world.commits += 1;
        for mark in self.new_marks {
            let number = world.number();
            world.state.marks.insert(number, mark);
        }
        for news in self.news {
            let number = world.number().unsigned_abs();
            world
                .state
                .outbox
                .insert(number, (news, DateTime::UNIX_EPOCH - TimeDelta::seconds(1)));
        }
        let claimed_until = world.now() + CLAIM;
        let state = &mut world.state;
        state.trail.extend(self.trail);
        state.heads.extend(self.heads);
        for revision in self.revisions {
            let earlier = state
                .revisions
                .insert((revision.id.0, revision.revision), revision);
            assert!(earlier.is_none(), "a revision was written twice: {earlier:?}");
        }
        let answered = self.keys.into_iter().filter(|(_, used)| used.answer.revision > 0);
        state.keys.extend(answered);
        for mark in self.deleted_marks {
            state.marks.remove(&mark);
        }
        state.totals.extend(self.totals);
        for row in self.claimed {
            if let Some((_, until)) = state.outbox.get_mut(&row) {
                *until = claimed_until;
            }
        }
        for row in self.settled {
            state.outbox.remove(&row);
        }
    }
}

/// The number of an announcement as the id of its envelope.
fn envelope_id(number: u64) -> Uuid {
    Uuid::from_u64_pair(1, number)
}

impl Outbox for Database {
    type Error = StoreError;

    async fn claim(&self, limit: usize) -> Result<Vec<Envelope>, StoreError> {
        let mut transaction = self.begin(false).await?;
        let (now, free): (_, Vec<(u64, Announcement)>) = {
            let world = self.world();
            let now = world.now();
            let free = world.state.outbox.iter().filter(|(_, (_, until))| *until < now);
            let rows = free.map(|(number, (news, _))| (*number, news.clone()));
            (now, rows.take(limit).collect())
        };
        transaction.writes.claimed = free.iter().map(|(number, _)| *number).collect();
        transaction.commit().await?;
        let envelope = |(number, announcement)| Envelope {
            id: envelope_id(number),
            at: now,
            announcement,
        };
        Ok(free.into_iter().map(envelope).collect())
    }

    async fn settle(&self, published: &[Uuid]) -> Result<(), StoreError> {
        let mut transaction = self.begin(false).await?;
        transaction.writes.settled = published.iter().map(|id| id.as_u64_pair().1).collect();
        transaction.commit().await
    }
}
