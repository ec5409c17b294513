//! A judge that remembers what it was given and says what it was told to say.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonghop_domain::Announcement;
use tonghop_events::{Bus, Health, Judge, Verdict, consume};

use crate::scene::{RECOVERY, eventually, revisions};

#[derive(Clone)]
pub(crate) struct Recorder {
    batches: Arc<Mutex<Vec<Vec<i32>>>>,
    /// What to say first; after that, done.
    verdicts: Arc<Mutex<VecDeque<Verdict>>>,
    /// A permit is needed to come to a verdict.
    gate: Arc<Semaphore>,
}

impl Recorder {
    pub(crate) fn saying(verdicts: impl IntoIterator<Item = Verdict>) -> Self {
        let verdicts = Arc::new(Mutex::new(verdicts.into_iter().collect()));
        Self {
            batches: Arc::default(),
            verdicts,
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        }
    }

    /// One that ponders until [`Recorder::decide`].
    pub(crate) fn pondering() -> Self {
        Self {
            gate: Arc::new(Semaphore::new(0)),
            ..Self::saying([])
        }
    }

    pub(crate) fn decide(&self) {
        self.gate.add_permits(1);
    }

    /// The revisions of each batch, in the order of arrival.
    pub(crate) fn batches(&self) -> Vec<Vec<i32>> {
        self.batches.lock().unwrap().clone()
    }

    /// All revisions, sorted, doubles included.
    pub(crate) fn seen(&self) -> Vec<i32> {
        let mut all = self.batches().concat();
        all.sort_unstable();
        all
    }

    pub(crate) async fn sees(&self, revision: i32, limit: Duration) {
        eventually("the judge sees it", limit, async || {
            self.seen().contains(&revision)
        })
        .await;
    }
}

impl Judge for Recorder {
    async fn judge(&self, news: &[Announcement]) -> Verdict {
        self.batches.lock().unwrap().push(revisions(news));
        self.gate.acquire().await.unwrap().forget();
        self.verdicts.lock().unwrap().pop_front().unwrap_or(Verdict::Done)
    }
}

/// A consumer at work.
pub(crate) struct Consumer {
    pub(crate) health: Health,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Consumer {
    /// Starts one and waits until it is subscribed.
    pub(crate) async fn start(judge: &Recorder, bus: Bus) -> Self {
        let (health, stop) = (Health::default(), CancellationToken::new());
        let task = tokio::spawn({
            let (judge, health, stop) = (judge.clone(), health.clone(), stop.clone());
            async move { consume(&bus, &judge, &health, &stop).await }
        });
        let consumer = Self { health, stop, task };
        consumer.connects().await;
        consumer
    }

    pub(crate) async fn connects(&self) {
        eventually("the consumer is connected", RECOVERY, async || {
            self.health.connected()
        })
        .await;
    }

    pub(crate) fn begin_to_stop(&self) {
        self.stop.cancel();
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.task.is_finished()
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(RECOVERY, self.task).await.unwrap().unwrap();
        assert!(!self.health.connected());
    }
}
