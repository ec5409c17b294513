//! The simulated processes, composed of the tasks that the programs run, and their clients.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonghop_aggregator::{RefreshCounts, Settings, Totals, Worker};
use tonghop_domain::{Catalogue, Change, Origin, Precondition, SubmissionId, SubmissionKey, TotalKey};
use tonghop_events::{Bus, Health, OutboxDrain, consume, relay};
use tonghop_storage::{
    GroupCommit, Idempotency, Outcome, Recorder, Refreshed, StoreError, Write, refresh_totals,
};

use crate::broker::Broker;
use crate::database::Database;
use crate::executor::{Executor, Task};
use crate::oracle::Oracle;
use crate::world::content;

/// The kind of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Records reports and relays announcements.
    Api,
    /// Refreshes totals and relays announcements.
    Aggregator,
    /// Does all of it, with a channel inside the process.
    Embedded,
}

/// The state that one simulation shares.
#[derive(Clone)]
pub(crate) struct Simulation {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) database: Database,
    pub(crate) broker: Broker,
    pub(crate) oracle: Arc<Mutex<Oracle>>,
    /// The queues in which clients put changes: one per running process that records.
    group_commits: Arc<Mutex<Vec<(usize, GroupCommit)>>>,
    sweep_interval: Duration,
}

/// A client's request: a number for a unit, with an idempotency key. Repeated until there is a response.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) key: SubmissionKey,
    pub(crate) value: i64,
}

/// The store as the worker sees it.
#[derive(Clone)]
struct Store {
    simulation: Simulation,
    news: Arc<Notify>,
}

impl Totals for Store {
    fn catalogue(&self) -> &Arc<Catalogue> {
        &self.simulation.catalogue
    }

    async fn refresh(&self, keys: &[TotalKey]) -> Vec<Result<Refreshed, StoreError>> {
        let done = refresh_totals(&self.simulation.database, &self.simulation.catalogue, keys).await;
        if done.iter().any(Result::is_ok) {
            self.news.notify_one();
        }
        done
    }

    async fn stale(&self, before: DateTime<Utc>, limit: usize) -> Result<Vec<TotalKey>, StoreError> {
        let world = self.simulation.database.world();
        let old = world.state.marks.values().filter(|(_, since)| *since < before);
        let mut keys: Vec<TotalKey> = old.map(|(key, _)| key.clone()).collect();
        keys.sort();
        keys.dedup();
        keys.truncate(limit);
        Ok(keys)
    }

    async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        Ok(self.simulation.database.world().now())
    }

    async fn forget_old_keys(&self) -> Result<usize, StoreError> {
        Ok(0)
    }
}

impl Simulation {
    pub(crate) fn new(database: Database, sweep_interval: Duration) -> Self {
        Self {
            catalogue: Arc::new(crate::world::catalogue()),
            broker: Broker::new(&database),
            database,
            oracle: Arc::default(),
            group_commits: Arc::default(),
            sweep_interval,
        }
    }

    /// Starts a process, or restarts it after it was killed.
    pub(crate) fn start(&self, executor: &mut Executor, process: usize, role: Role) {
        let news = Arc::new(Notify::new());
        let mut spawn = |task: Task| executor.spawn(Some(process), task);
        let bus = Bus::in_process();
        if matches!(role, Role::Api | Role::Embedded) {
            let recorder = Recorder::new(self.database.clone(), self.catalogue.clone(), news.clone());
            let (group_commit, changes) = GroupCommit::new();
            spawn(Box::pin(recorder.clone().work(changes.clone())));
            spawn(Box::pin(recorder.work(changes)));
            let mut group_commits = self.group_commits();
            group_commits.retain(|(of, _)| *of != process);
            group_commits.push((process, group_commit));
        }
        if matches!(role, Role::Aggregator | Role::Embedded) {
            let store = Store {
                simulation: self.clone(),
                news: news.clone(),
            };
            let sweep_interval = self.sweep_interval;
            let worker = Worker::new(store, Settings { sweep_interval }, RefreshCounts::default());
            let (refreshing, sweeping) = (worker.clone(), worker.clone());
            spawn(Box::pin(async move {
                refreshing.refresh_due(&CancellationToken::new()).await;
            }));
            spawn(Box::pin(async move {
                sweeping.sweep(&CancellationToken::new()).await;
            }));
            match role {
                Role::Embedded => spawn(Box::pin(consume_in_process(bus.clone(), worker))),
                _ => spawn(Box::pin(self.broker.clone().consume(worker))),
            }
        }
        match role {
            Role::Embedded => spawn(Box::pin(relay_in_process(self.database.clone(), bus, news))),
            _ => spawn(Box::pin(relay_to_broker(self.clone(), news))),
        }
    }

    /// Sends a request until there is a response.
    pub(crate) async fn send(self, request: Request, first_at: Duration) {
        sleep(first_at).await;
        loop {
            match self.send_once(&request).await {
                Some(Ok(outcome)) => {
                    let mut oracle = self.oracle.lock().unwrap_or_else(PoisonError::into_inner);
                    return oracle.note(&request, &outcome);
                }
                Some(Err(_)) | None => {
                    let pause = self.database.world().random.u64(0..400);
                    sleep(Duration::from_millis(pause)).await;
                }
            }
        }
    }

    /// `None` if the client has lost patience.
    async fn send_once(&self, request: &Request) -> Option<Result<Outcome, StoreError>> {
        let (group_commit, patience) = {
            let group_commits = self.group_commits();
            let mut world = self.database.world();
            let thousandths = world.faults.hang_up;
            let hangs_up = world.happens(thousandths);
            let patience = if hangs_up { world.random.u64(0..50) } else { 30_000 };
            let at = world.random.usize(..group_commits.len());
            (group_commits[at].1.clone(), Duration::from_millis(patience))
        };
        timeout(patience, group_commit.record(write(request))).await.ok()
    }

    fn group_commits(&self) -> MutexGuard<'_, Vec<(usize, GroupCommit)>> {
        self.group_commits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn relay_to_broker(simulation: Simulation, news: Arc<Notify>) {
    let stop = CancellationToken::new();
    let mut drain = OutboxDrain::new(&simulation.database, &news, &stop);
    loop {
        // Whatever interrupted it, the next connection goes on with what was under way.
        drain.drain_to(&simulation.broker.connect(), || ()).await.ok();
        sleep(Duration::from_millis(50)).await;
    }
}

async fn relay_in_process(database: Database, bus: Bus, news: Arc<Notify>) {
    relay(
        &database,
        &bus,
        &news,
        &Health::default(),
        &CancellationToken::new(),
    )
    .await;
}

async fn consume_in_process(bus: Bus, worker: Worker<Store>) {
    consume(&bus, &worker, &Health::default(), &CancellationToken::new()).await;
}

fn write(request: &Request) -> Write {
    Write {
        new_id: SubmissionId::generate(),
        key: request.key.clone(),
        change: Change::Report(content(request.value).into()),
        condition: Precondition::None,
        idempotency: Some(Idempotency {
            caller: "client".into(),
            key: request.value.to_string(),
            request: request.value.to_string(),
        }),
        origin: Origin::OPERATOR,
        action: "create_submission".into(),
    }
}
