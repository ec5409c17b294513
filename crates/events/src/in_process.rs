//! The bus of an installation that is one process.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Announcement, Envelope};
use uuid::Uuid;

use crate::consumer::retry_pauses;
use crate::relay::Publish;
use crate::{Health, Judge, Verdict};

/// How many announcements wait at most.
const CAPACITY: usize = 10_000;
/// The size of the largest batch.
const LARGEST_BATCH: usize = 200;
/// How often a batch is handed over before it is dropped.
const MOST_TRIES: u32 = 50;

/// A channel inside this process. Clones share it.
///
/// It holds 10,000 announcements; more are dropped without a word, for example while nobody consumes. That loses
/// hints and nothing else: the marks in the database still tell which totals are stale, and the sweep finds them.
#[derive(Clone, Debug)]
pub struct InProcess {
    sender: Sender<Announcement>,
    receiver: Arc<Mutex<Receiver<Announcement>>>,
}

impl Default for InProcess {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        Self {
            sender,
            receiver: Arc::new(Mutex::new(receiver)),
        }
    }
}

impl InProcess {
    /// The next announcements, at least one. Consumers take turns.
    async fn batch(&self) -> Vec<Announcement> {
        let mut batch = Vec::new();
        self.receiver
            .lock()
            .await
            .recv_many(&mut batch, LARGEST_BATCH)
            .await;
        batch
    }
}

impl Publish for InProcess {
    /// Passes on what makes totals stale, as the binding of the aggregator's queue does.
    async fn publish(&self, window: &[Envelope]) -> Vec<Uuid> {
        for envelope in window {
            if matches!(envelope.announcement, Announcement::SubmissionsRecorded { .. }) {
                // Full means that the consumer is far behind; the sweep does its work.
                let _ = self.sender.try_send(envelope.announcement.clone());
            }
        }
        window.iter().map(|envelope| envelope.id).collect()
    }

    fn usable(&self) -> bool {
        true
    }
}

pub(crate) async fn consume<J: Judge>(
    channel: &InProcess,
    judge: &J,
    health: &Health,
    stop: &CancellationToken,
) {
    health.up();
    while let Some(news) = stop.run_until_cancelled(channel.batch()).await {
        hand_over(&news, judge, stop).await;
    }
    health.down();
}

/// Until the judge is done with it, or it has been tried often enough, or it is time to stop.
async fn hand_over<J: Judge>(news: &[Announcement], judge: &J, stop: &CancellationToken) {
    let mut pauses = retry_pauses();
    for _ in 0..MOST_TRIES {
        tracing::trace!(target: "tonghop::step", step = "delivered");
        let verdict = judge.judge(news).await;
        tracing::trace!(target: "tonghop::step", step = "judged");
        match verdict {
            Verdict::Done => return,
            Verdict::Retry => {
                if stop.run_until_cancelled(sleep(pauses.pause())).await.is_none() {
                    return;
                }
            }
            Verdict::Poison => {
                tracing::warn!(announcements = news.len(), "announcements dropped as poison");
                return;
            }
        }
    }
    tracing::warn!(
        announcements = news.len(),
        tries = MOST_TRIES,
        "announcements dropped after many tries"
    );
}
