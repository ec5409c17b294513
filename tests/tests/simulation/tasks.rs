//! The processes of the simulation, each a task that may be killed at any step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tonghop_aggregator::stale_totals;
use tonghop_domain::{Announcement, Catalogue, Change, Precondition, SubmissionKey, TotalKey};
use tonghop_storage::{Idempotency, Outcome, Refreshed, StoreError, Write, record, refresh};

use crate::database::{Database, yield_now};
use crate::world::content;

/// A request of a client: a number for a unit, with a key. Sent again until it is answered.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) key: SubmissionKey,
    pub(crate) value: i64,
}

/// What one simulation shares.
#[derive(Clone)]
pub(crate) struct Simulation {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) database: Database,
    pub(crate) shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
pub(crate) struct Shared {
    /// Requests on their way to an api process; some twice.
    pub(crate) requests: VecDeque<Request>,
    /// By the value of the request: what was answered.
    pub(crate) answered: BTreeMap<i64, (SubmissionKey, i32)>,
    /// Messages at the broker.
    pub(crate) messages: Vec<Announcement>,
}

impl Simulation {
    fn shared<T>(&self, act: impl FnOnce(&mut Shared) -> T) -> T {
        act(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes requests, records them together, answers; a request without an answer comes again.
    pub(crate) async fn api(self) {
        loop {
            let most = self.database.world().random.usize(1..4);
            let batch = self.shared(|shared| take_batch(&mut shared.requests, most));
            if batch.is_empty() {
                yield_now().await;
                continue;
            }
            // Whoever dies from here on has lost the client's connection: the client comes again.
            let again = SendAgain {
                simulation: self.clone(),
                requests: batch,
            };
            let writes: Vec<Write> = again.requests.iter().map(write).collect();
            if let Ok(outcomes) = self.record(&writes).await {
                for (request, outcome) in again.requests.iter().zip(outcomes) {
                    self.answer(request, &outcome);
                }
            }
            drop(again);
            yield_now().await;
        }
    }

    async fn record(&self, writes: &[Write]) -> Result<Vec<Outcome>, StoreError> {
        let mut transaction = self.database.begin();
        let outcomes = record(&mut transaction, &self.catalogue, writes).await?;
        transaction.commit().await?;
        Ok(outcomes)
    }

    fn answer(&self, request: &Request, outcome: &Outcome) {
        let Outcome::Recorded { revision, .. } = outcome else {
            panic!("a new number was not recorded: {outcome:?}");
        };
        let now = (request.key.clone(), revision.revision);
        let before = self.shared(|shared| shared.answered.insert(request.value, now.clone()));
        assert!(
            before.is_none_or(|before| before == now),
            "one request, two answers: {request:?}"
        );
    }

    /// Moves announcements from the outbox to the broker, which loses, doubles, delays and reorders them.
    pub(crate) async fn relay(self) {
        loop {
            yield_now().await;
            let claimed = {
                let mut world = self.database.world();
                let now = world.now();
                let mut free = world.state.outbox.iter().filter(|(_, (_, until))| *until <= now);
                let Some((id, (news, _))) = free.next().map(|(id, row)| (*id, row.clone())) else {
                    continue;
                };
                world
                    .state
                    .outbox
                    .insert(id, (news.clone(), now + TimeDelta::microseconds(500)));
                (id, news)
            };
            yield_now().await;
            let mut world = self.database.world();
            let thousandths = world.faults.message;
            let (lost, doubled, unconfirmed) = (
                world.happens(thousandths),
                world.happens(thousandths),
                world.happens(thousandths),
            );
            if !unconfirmed {
                world.state.outbox.remove(&claimed.0);
            }
            drop(world);
            let copies = usize::from(!lost) + usize::from(doubled);
            self.shared(|shared| shared.messages.extend(std::iter::repeat_n(claimed.1, copies)));
        }
    }

    /// Takes messages in any order, refreshes what they say may be stale, and the parents after that.
    pub(crate) async fn worker(self) {
        let mut scheduled: VecDeque<TotalKey> = VecDeque::new();
        loop {
            yield_now().await;
            if let Some(key) = scheduled.pop_front() {
                scheduled.extend(self.refresh(&key).await.unwrap_or_default());
                continue;
            }
            let message = {
                let mut world = self.database.world();
                let thousandths = world.faults.message;
                let delayed = world.happens(thousandths);
                let pick = world.random.usize(..);
                drop(world);
                self.shared(|shared| match shared.messages.len() {
                    0 => None,
                    _ if delayed => None,
                    count => Some(shared.messages.swap_remove(pick % count)),
                })
            };
            let Some(message) = message else { continue };
            let stale = stale_totals(&self.catalogue, &message).expect("the catalogue knows it");
            for key in stale {
                match self.refresh(&key).await {
                    Ok(parent) => scheduled.extend(parent),
                    // Given back to the broker.
                    Err(_) => self.shared(|shared| shared.messages.push(message.clone())),
                }
            }
        }
    }

    /// The sweep: refreshes what is marked for a while.
    pub(crate) async fn sweeper(self, age: TimeDelta) {
        loop {
            yield_now().await;
            for key in self.stale(age) {
                // Whatever fails is still marked.
                self.refresh(&key).await.ok();
            }
        }
    }

    fn stale(&self, age: TimeDelta) -> BTreeSet<TotalKey> {
        let world = self.database.world();
        let before: DateTime<Utc> = world.now() - age;
        world
            .state
            .marks
            .values()
            .filter(|(_, since)| *since <= before)
            .map(|(key, _)| key.clone())
            .collect()
    }

    async fn refresh(&self, key: &TotalKey) -> Result<Option<TotalKey>, StoreError> {
        let mut transaction = self.database.begin();
        match refresh(&mut transaction, &self.catalogue, key).await? {
            Refreshed::Written { parent } => {
                transaction.commit().await?;
                Ok(parent)
            }
            Refreshed::Clean => Ok(None),
        }
    }
}

/// Some requests; of those with one key only one, as the journal does it.
fn take_batch(requests: &mut VecDeque<Request>, most: usize) -> Vec<Request> {
    let mut batch: Vec<Request> = Vec::new();
    let mut left = VecDeque::new();
    while let Some(request) = requests.pop_front() {
        if batch.len() < most && batch.iter().all(|other| other.value != request.value) {
            batch.push(request);
        } else {
            left.push_back(request);
        }
    }
    *requests = left;
    batch
}

fn write(request: &Request) -> Write {
    Write {
        key: request.key.clone(),
        change: Change::Report(content(request.value)),
        condition: Precondition::None,
        idempotency: Some(Idempotency {
            caller: "client".into(),
            key: request.value.to_string(),
            request: request.value.to_string(),
        }),
    }
}

/// Sends requests again that were not answered, when it is dropped.
struct SendAgain {
    simulation: Simulation,
    requests: Vec<Request>,
}

impl Drop for SendAgain {
    fn drop(&mut self) {
        let requests = std::mem::take(&mut self.requests);
        self.simulation.shared(|shared| {
            let unanswered = requests
                .into_iter()
                .filter(|request| !shared.answered.contains_key(&request.value));
            shared.requests.extend(unanswered);
        });
    }
}
