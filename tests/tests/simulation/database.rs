//! A database of the simulation's own: READ COMMITTED, row locks, and faults by a seed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use chrono::{DateTime, TimeDelta, Utc};
use tonghop_domain::{
    Announcement, Form, FormCode, Head, Period, Report, Revision, Status, SubmissionId, SubmissionKey,
    TotalKey, UnitId,
};
use tonghop_storage::{
    Answer, Books, FiledReport, Idempotency, LockedHead, MarksRead, StoreError, StoredTotal, Used,
};
use uuid::Uuid;

/// How often, in thousandths, something goes wrong. All zero once the storm is over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// A statement fails and its transaction is gone.
    pub(crate) statement: u32,
    /// A commit fails.
    pub(crate) commit: u32,
    /// A commit succeeds and its answer is lost.
    pub(crate) answer: u32,
    /// A message is dropped, doubled or delayed.
    pub(crate) message: u32,
    /// A task is killed at a step.
    pub(crate) crash: u32,
}

/// Everything that is committed.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) heads: BTreeMap<SubmissionKey, Head>,
    pub(crate) revisions: BTreeMap<(Uuid, i32), Revision>,
    keys: BTreeMap<(String, String), Used>,
    pub(crate) marks: BTreeMap<i64, (TotalKey, DateTime<Utc>)>,
    pub(crate) totals: BTreeMap<TotalKey, StoredTotal>,
    /// With the time until which it is claimed.
    pub(crate) outbox: BTreeMap<i64, (Announcement, DateTime<Utc>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Lock {
    Key(String, String),
    Head(SubmissionKey),
    Total(TotalKey),
}

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) random: fastrand::Rng,
    pub(crate) faults: Faults,
    locks: HashMap<Lock, u64>,
    transactions: u64,
    numbers: i64,
    micros: i64,
}

/// The database, shared by all tasks of one simulation.
#[derive(Clone)]
pub(crate) struct Database(Arc<Mutex<World>>);

impl Database {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self(Arc::new(Mutex::new(World {
            state: State::default(),
            random: fastrand::Rng::with_seed(seed),
            faults,
            locks: HashMap::new(),
            transactions: 0,
            numbers: 0,
            micros: 0,
        })))
    }

    /// A simulation that has failed already still ends its transactions.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self) -> Transaction {
        let mut world = self.world();
        world.transactions += 1;
        Transaction {
            database: self.clone(),
            id: world.transactions,
            writes: Writes::default(),
            lost: false,
        }
    }
}

impl World {
    pub(crate) fn happens(&mut self, thousandths: u32) -> bool {
        thousandths > 0 && self.random.u32(..1000) < thousandths
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::microseconds(self.micros)
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, micros: i64) {
        self.micros += micros;
    }

    fn number(&mut self) -> i64 {
        self.numbers += 1;
        self.numbers
    }
}

/// Lets others go first.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|_| {
        if std::mem::replace(&mut yielded, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

#[derive(Default)]
struct Writes {
    heads: BTreeMap<SubmissionKey, Head>,
    dropped_heads: BTreeSet<Uuid>,
    revisions: Vec<Revision>,
    keys: BTreeMap<(String, String), Used>,
    new_marks: Vec<(TotalKey, DateTime<Utc>)>,
    deleted_marks: BTreeSet<i64>,
    totals: BTreeMap<TotalKey, StoredTotal>,
    news: Vec<Announcement>,
}

/// One transaction. Dropped without a commit, it is rolled back.
pub(crate) struct Transaction {
    database: Database,
    id: u64,
    writes: Writes,
    lost: bool,
}

fn gone() -> StoreError {
    StoreError::Unavailable("the simulated connection is gone".into())
}

impl Transaction {
    /// Where others may go first, and where the connection may be lost.
    async fn step(&mut self) -> Result<(), StoreError> {
        yield_now().await;
        let mut world = self.database.world();
        world.pass(1);
        let thousandths = world.faults.statement;
        self.lost = self.lost || world.happens(thousandths);
        if self.lost { Err(gone()) } else { Ok(()) }
    }

    /// Waits for a lock and holds it until the transaction ends.
    async fn lock(&mut self, lock: Lock) {
        poll_fn(|_| {
            let mut world = self.database.world();
            match world.locks.get(&lock) {
                Some(holder) if *holder != self.id => Poll::Pending,
                _ => {
                    world.locks.insert(lock.clone(), self.id);
                    Poll::Ready(())
                }
            }
        })
        .await;
    }

    /// Ends it. Told of an error, the caller does not know whether it was committed.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        self.step().await?;
        let mut world = self.database.world();
        let (commit, answer) = (world.faults.commit, world.faults.answer);
        if world.happens(commit) {
            return Err(gone());
        }
        let answer_is_lost = world.happens(answer);
        let writes = std::mem::take(&mut self.writes);
        writes.apply(&mut world);
        drop(world);
        if answer_is_lost { Err(gone()) } else { Ok(()) }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.database.world().locks.retain(|_, holder| *holder != self.id);
    }
}

impl Writes {
    fn apply(self, world: &mut World) {
        for mark in self.new_marks {
            let number = world.number();
            world.state.marks.insert(number, mark);
        }
        for news in self.news {
            let number = world.number();
            world.state.outbox.insert(number, (news, DateTime::UNIX_EPOCH));
        }
        let state = &mut world.state;
        state.heads.extend(self.heads);
        state
            .heads
            .retain(|_, head| !(head.revision == 0 && self.dropped_heads.contains(&head.id.0)));
        for revision in self.revisions {
            let earlier = state
                .revisions
                .insert((revision.id.0, revision.revision), revision);
            assert!(earlier.is_none(), "a revision was written twice: {earlier:?}");
        }
        state
            .keys
            .extend(self.keys.into_iter().filter(|(_, used)| used.answer.revision > 0));
        for mark in self.deleted_marks {
            state.marks.remove(&mark);
        }
        state.totals.extend(self.totals);
    }
}

impl Books for Transaction {
    async fn share_catalogue(&mut self, _digest: &str) -> Result<(), StoreError> {
        self.step().await
    }

    async fn clock(&mut self) -> Result<DateTime<Utc>, StoreError> {
        self.step().await?;
        Ok(self.database.world().now())
    }

    async fn reserve_keys(
        &mut self,
        keys: &BTreeSet<&Idempotency>,
        _now: DateTime<Utc>,
    ) -> Result<HashMap<Idempotency, Used>, StoreError> {
        self.step().await?;
        for key in keys {
            let name = (key.caller.clone(), key.key.clone());
            // A key that is there already is only read; an insert of one that is not waits for another's insert.
            let exists = self.database.world().state.keys.contains_key(&name);
            if !exists {
                self.lock(Lock::Key(name.0, name.1)).await;
            }
        }
        let world = self.database.world();
        let used = |key: &&&Idempotency| {
            world
                .state
                .keys
                .get(&(key.caller.clone(), key.key.clone()))
                .cloned()
        };
        Ok(keys
            .iter()
            .filter_map(|key| Some(((*key).clone(), used(&key)?)))
            .collect())
    }

    async fn answer_keys(&mut self, answers: &[(Idempotency, Answer)]) -> Result<(), StoreError> {
        self.step().await?;
        for (key, answer) in answers {
            let used = Used {
                request: key.request.clone(),
                answer: *answer,
            };
            self.writes
                .keys
                .insert((key.caller.clone(), key.key.clone()), used);
        }
        Ok(())
    }

    async fn release_keys(&mut self, _keys: &[Idempotency]) -> Result<(), StoreError> {
        self.step().await
    }

    async fn lock_heads(
        &mut self,
        keys: &[SubmissionKey],
        now: DateTime<Utc>,
    ) -> Result<HashMap<SubmissionKey, LockedHead>, StoreError> {
        self.step().await?;
        for key in keys {
            let exists = self.database.world().state.heads.contains_key(key);
            if !exists {
                self.lock(Lock::Head(key.clone())).await;
            }
        }
        self.step().await?;
        for key in keys {
            self.lock(Lock::Head(key.clone())).await;
        }
        let mut world = self.database.world();
        let mut locked = HashMap::new();
        for key in keys {
            let head = world.state.heads.get(key).cloned().unwrap_or_else(|| {
                let id = SubmissionId(Uuid::from_u128(u128::from(world.random.u64(..)) << 64 | 1));
                let (status, digest) = (Status::Withdrawn, String::new());
                Head {
                    id,
                    revision: 0,
                    status,
                    digest,
                    first_received_at: now,
                    received_at: now,
                }
            });
            self.writes.heads.insert(key.clone(), head.clone());
            locked.insert(
                key.clone(),
                LockedHead {
                    key: key.clone(),
                    head,
                },
            );
        }
        Ok(locked)
    }

    async fn update_heads(&mut self, heads: &[LockedHead]) -> Result<(), StoreError> {
        self.step().await?;
        self.writes.heads.extend(
            heads
                .iter()
                .map(|locked| (locked.key.clone(), locked.head.clone())),
        );
        Ok(())
    }

    async fn drop_empty_heads(&mut self, ids: &[SubmissionId]) -> Result<(), StoreError> {
        self.step().await?;
        self.writes.dropped_heads.extend(ids.iter().map(|id| id.0));
        Ok(())
    }

    async fn insert_revisions(&mut self, revisions: &[Revision]) -> Result<(), StoreError> {
        self.step().await?;
        self.writes.revisions.extend_from_slice(revisions);
        Ok(())
    }

    async fn revision(&mut self, id: SubmissionId, number: i32) -> Result<Option<Revision>, StoreError> {
        self.step().await?;
        Ok(self
            .database
            .world()
            .state
            .revisions
            .get(&(id.0, number))
            .cloned())
    }

    async fn reports(
        &mut self,
        form: &FormCode,
        period: Period,
        units: &[UnitId],
    ) -> Result<HashMap<UnitId, FiledReport>, StoreError> {
        self.step().await?;
        let world = self.database.world();
        let filed = |unit: &UnitId| {
            let key = SubmissionKey {
                form: form.clone(),
                period,
                unit: *unit,
            };
            let head = world
                .state
                .heads
                .get(&key)
                .filter(|head| head.status == Status::Accepted)?;
            let content = world
                .state
                .revisions
                .get(&(head.id.0, head.revision))?
                .content
                .clone();
            let report = Report {
                first_received_at: head.first_received_at,
                content,
            };
            let (id, revision, received_at) = (head.id, head.revision, head.received_at);
            Some((
                *unit,
                FiledReport {
                    id,
                    revision,
                    received_at,
                    report,
                },
            ))
        };
        Ok(units.iter().filter_map(filed).collect())
    }

    async fn insert_marks(&mut self, marks: &[(TotalKey, DateTime<Utc>)]) -> Result<(), StoreError> {
        self.step().await?;
        self.writes.new_marks.extend_from_slice(marks);
        Ok(())
    }

    async fn marks_of(&mut self, key: &TotalKey) -> Result<Option<MarksRead>, StoreError> {
        self.step().await?;
        let world = self.database.world();
        let of_total = world.state.marks.iter().filter(|(_, (total, _))| total == key);
        let (ids, times): (Vec<i64>, Vec<DateTime<Utc>>) =
            of_total.map(|(id, (_, since))| (*id, *since)).unzip();
        Ok(times.into_iter().min().map(|since| MarksRead { ids, since }))
    }

    async fn delete_marks(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        self.step().await?;
        self.writes.deleted_marks.extend(ids);
        Ok(())
    }

    async fn lock_total(&mut self, key: &TotalKey, _now: DateTime<Utc>) -> Result<i64, StoreError> {
        self.step().await?;
        self.lock(Lock::Total(key.clone())).await;
        Ok(self
            .database
            .world()
            .state
            .totals
            .get(key)
            .map_or(0, |stored| stored.version))
    }

    async fn totals(
        &mut self,
        form: &Form,
        period: Period,
        units: &[UnitId],
    ) -> Result<HashMap<UnitId, StoredTotal>, StoreError> {
        self.step().await?;
        let world = self.database.world();
        let stored = |unit: &UnitId| {
            let key = TotalKey {
                form: form.code.clone(),
                period,
                unit: *unit,
            };
            Some((*unit, world.state.totals.get(&key)?.clone()))
        };
        Ok(units.iter().filter_map(stored).collect())
    }

    async fn update_total(
        &mut self,
        key: &TotalKey,
        _form: &Form,
        new: &StoredTotal,
    ) -> Result<(), StoreError> {
        self.step().await?;
        self.writes.totals.insert(key.clone(), new.clone());
        Ok(())
    }

    async fn insert_announcements(
        &mut self,
        news: &[Announcement],
        _now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.step().await?;
        self.writes.news.extend_from_slice(news);
        Ok(())
    }
}
