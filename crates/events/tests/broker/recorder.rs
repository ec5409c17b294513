//! A handler that records its batches and returns the dispositions that it was given.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonghop_domain::Announcement;
use tonghop_events::{Bus, Disposition, Handler, Health, consume};

use crate::scene::{RECOVERY, eventually, revisions};

#[derive(Clone)]
pub(crate) struct Recorder {
    batches: Arc<Mutex<Vec<Vec<i32>>>>,
    /// The first dispositions to return; after them, `Ack`.
    dispositions: Arc<Mutex<VecDeque<Disposition>>>,
    /// Each batch needs a permit to be finished.
    gate: Arc<Semaphore>,
}

impl Recorder {
    pub(crate) fn returning(dispositions: impl IntoIterator<Item = Disposition>) -> Self {
        let dispositions = Arc::new(Mutex::new(dispositions.into_iter().collect()));
        Self {
            batches: Arc::default(),
            dispositions,
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        }
    }

    /// Creates a handler that finishes a batch only after [`Recorder::unblock_one`].
    pub(crate) fn blocked() -> Self {
        Self {
            gate: Arc::new(Semaphore::new(0)),
            ..Self::returning([])
        }
    }

    pub(crate) fn unblock_one(&self) {
        self.gate.add_permits(1);
    }

    /// The revisions of each batch, in the order of arrival.
    pub(crate) fn batches(&self) -> Vec<Vec<i32>> {
        self.batches.lock().unwrap().clone()
    }

    /// All revisions, sorted, including repetitions.
    pub(crate) fn handled(&self) -> Vec<i32> {
        let mut all = self.batches().concat();
        all.sort_unstable();
        all
    }

    pub(crate) async fn wait_for(&self, revision: i32, limit: Duration) {
        eventually("the handler gets the revision", limit, async || {
            self.handled().contains(&revision)
        })
        .await;
    }
}

impl Handler for Recorder {
    async fn handle(&self, announcements: &[Announcement]) -> Disposition {
        self.batches.lock().unwrap().push(revisions(announcements));
        self.gate.acquire().await.unwrap().forget();
        self.dispositions
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Disposition::Ack)
    }
}

/// A running consumer.
pub(crate) struct Consumer {
    pub(crate) health: Health,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Consumer {
    /// Starts a consumer and waits until it is subscribed.
    pub(crate) async fn start(handler: &Recorder, bus: Bus) -> Self {
        let (health, stop) = (Health::default(), CancellationToken::new());
        let task = tokio::spawn({
            let (handler, health, stop) = (handler.clone(), health.clone(), stop.clone());
            async move { consume(&bus, &handler, &health, &stop).await }
        });
        let consumer = Self { health, stop, task };
        consumer.wait_until_connected().await;
        consumer
    }

    pub(crate) async fn wait_until_connected(&self) {
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
