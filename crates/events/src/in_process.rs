//! The bus of an installation that is one process.

use std::sync::Arc;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Mutex, Notify};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Announcement, Envelope, Outbox};
use uuid::Uuid;

use crate::back_off::BackOff;
use crate::handler::{Disposition, Handler};
use crate::health::Health;
use crate::outbox_drain::OutboxDrain;
use crate::publish::Publish;

/// The largest number of announcements that wait in the channel.
const CAPACITY: usize = 10_000;
/// The size of the largest batch.
const MAX_BATCH: usize = 200;
/// How often a batch is delivered before it is dropped.
const MAX_DELIVERIES: u32 = 50;

/// A channel inside this process. Clones share it.
///
/// It holds 10,000 announcements and silently drops the rest, for example while there is no consumer. Only hints are lost:
/// the marks in the database still say which totals are stale, and the sweep finds them.
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
    /// Waits for the next announcements and returns at least one. Consumers take turns.
    async fn batch(&self) -> Vec<Announcement> {
        let mut batch = Vec::new();
        self.receiver.lock().await.recv_many(&mut batch, MAX_BATCH).await;
        batch
    }
}

impl Publish for InProcess {
    /// Passes on the announcements that make totals stale, as the binding of the aggregator's queue does.
    async fn publish(&self, window: &[Envelope]) -> Vec<Uuid> {
        for envelope in window {
            if matches!(envelope.announcement, Announcement::SubmissionsRecorded { .. }) {
                // The channel is full when the consumer is far behind; the sweep refreshes what is dropped.
                let _ = self.sender.try_send(envelope.announcement.clone());
            }
        }
        window.iter().map(|envelope| envelope.id).collect()
    }

    fn is_usable(&self) -> bool {
        true
    }
}

/// Moves announcements from the outbox into the channel until `stop`.
pub(crate) async fn relay<O: Outbox>(
    outbox: &O,
    channel: &InProcess,
    wake: &Notify,
    health: &Health,
    stop: &CancellationToken,
) {
    let mut drain = OutboxDrain::new(outbox, wake, stop);
    if let Err(error) = drain.drain_to(channel, || health.set_connected()).await {
        tracing::error!(%error, "the channel inside this process failed");
    }
    health.set_disconnected();
}

/// Passes batches from the channel to the handler until `stop`.
pub(crate) async fn consume<H: Handler>(
    channel: &InProcess,
    handler: &H,
    health: &Health,
    stop: &CancellationToken,
) {
    health.set_connected();
    while let Some(batch) = stop.run_until_cancelled(channel.batch()).await {
        deliver(&batch, handler, stop).await;
    }
    health.set_disconnected();
}

/// Delivers a batch until the handler accepts it, it was delivered too often, or `stop`.
async fn deliver<H: Handler>(batch: &[Announcement], handler: &H, stop: &CancellationToken) {
    let mut back_off = BackOff::before_redelivery();
    for _ in 0..MAX_DELIVERIES {
        tracing::trace!(target: "tonghop::step", step = "delivered");
        let disposition = handler.handle(batch).await;
        tracing::trace!(target: "tonghop::step", step = "handled");
        match disposition {
            Disposition::Ack => return,
            Disposition::Requeue => {
                let pause = sleep(back_off.next_pause());
                if stop.run_until_cancelled(pause).await.is_none() {
                    return;
                }
            }
            Disposition::DeadLetter => {
                tracing::warn!(
                    announcements = batch.len(),
                    "dropped announcements that cannot be acted on"
                );
                return;
            }
        }
    }
    tracing::warn!(
        announcements = batch.len(),
        deliveries = MAX_DELIVERIES,
        "dropped announcements after too many deliveries"
    );
}
