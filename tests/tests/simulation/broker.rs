//! A simulated broker. It loses, duplicates, corrupts, delays and reorders messages, withholds confirms, and breaks
//! connections.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::sleep;
use tonghop_domain::{Announcement, Envelope};
use tonghop_events::{Disposition, Handler, Publish, decode, encode};
use uuid::Uuid;

use crate::database::{Database, yield_now};

/// The broker, shared by all processes of one simulation.
#[derive(Clone)]
pub(crate) struct Broker {
    queue: Arc<Mutex<Queue>>,
    database: Database,
}

#[derive(Default)]
struct Queue {
    ready: Vec<Vec<u8>>,
    /// Delivered and unsettled messages, by delivery number.
    unsettled: BTreeMap<u64, Vec<u8>>,
    dead: u64,
    deliveries: u64,
    waiting: Vec<Waker>,
}

impl Broker {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            queue: Arc::default(),
            database: database.clone(),
        }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection {
            broker: self.clone(),
            broken: AtomicBool::new(false),
        }
    }

    /// Whether every message was settled.
    pub(crate) fn is_empty(&self) -> bool {
        let queue = self.queue();
        queue.ready.is_empty() && queue.unsettled.is_empty()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn happens(&self, fault: impl Fn(&crate::database::Faults) -> u32) -> bool {
        let mut world = self.database.world();
        let thousandths = fault(&world.faults);
        world.happens(thousandths)
    }

    fn put(&self, message: Vec<u8>) {
        let waiting = {
            let mut queue = self.queue();
            queue.ready.push(message);
            std::mem::take(&mut queue.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Passes batches to the handler and settles them as it decides, forever.
    pub(crate) async fn consume(self, handler: impl Handler) {
        loop {
            let batch = self.batch().await;
            if self.happens(|faults| faults.message) {
                let delay = self.database.world().random.u64(1..3000);
                sleep(Duration::from_millis(delay)).await;
            }
            let mut announcements = Vec::new();
            for (delivery, message) in &batch.messages {
                match decode(message) {
                    Ok(envelope) => announcements.push(envelope.announcement),
                    Err(_) => {
                        let mut queue = self.queue();
                        queue.unsettled.remove(delivery);
                        queue.dead += 1;
                    }
                }
            }
            if announcements.is_empty() {
                continue;
            }
            match handler.handle(&announcements).await {
                Disposition::Ack => batch.settle(),
                Disposition::Requeue => sleep(Duration::from_millis(200)).await,
                Disposition::DeadLetter => {
                    self.queue().dead += 1;
                    batch.settle();
                }
            }
        }
    }

    /// Some messages, in any order.
    async fn batch(&self) -> Batch {
        let most = self.database.world().random.usize(1..6);
        let messages = poll_fn(|context| {
            let mut world = self.database.world();
            let mut queue = self.queue();
            if queue.ready.is_empty() {
                queue.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
            let mut messages = Vec::new();
            while messages.len() < most && !queue.ready.is_empty() {
                let at = world.random.usize(..queue.ready.len());
                let message = queue.ready.swap_remove(at);
                queue.deliveries += 1;
                let delivery = queue.deliveries;
                queue.unsettled.insert(delivery, message.clone());
                messages.push((delivery, message));
            }
            Poll::Ready(messages)
        })
        .await;
        Batch {
            broker: self.clone(),
            messages,
        }
    }
}

/// Delivered messages. Unsettled ones return to the queue, also when the consumer is killed.
struct Batch {
    broker: Broker,
    messages: Vec<(u64, Vec<u8>)>,
}

impl Batch {
    fn settle(&self) {
        let mut queue = self.broker.queue();
        for (delivery, _) in &self.messages {
            queue.unsettled.remove(delivery);
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        for (delivery, _) in &self.messages {
            let unsettled = self.broker.queue().unsettled.remove(delivery);
            if let Some(message) = unsettled {
                self.broker.put(message);
            }
        }
    }
}

/// A connection for publishing announcements.
pub(crate) struct Connection {
    broker: Broker,
    broken: AtomicBool,
}

impl Publish for Connection {
    async fn publish(&self, window: &[Envelope]) -> Vec<Uuid> {
        let mut confirmed = Vec::new();
        for envelope in window {
            yield_now().await;
            if self.broker.happens(|faults| faults.line) {
                self.broken.store(true, Ordering::Relaxed);
            }
            if self.broken.load(Ordering::Relaxed) {
                break;
            }
            // The aggregator's queue is bound only to announcements that make totals stale.
            if matches!(envelope.announcement, Announcement::SubmissionsRecorded { .. }) {
                for _ in 0..self.copies() {
                    let mut message = encode(envelope, "/tonghop");
                    if self.broker.happens(|faults| faults.message / 4) {
                        message.truncate(message.len() / 2);
                    }
                    self.broker.put(message);
                }
            }
            if !self.broker.happens(|faults| faults.message / 4) {
                confirmed.push(envelope.id);
            }
        }
        confirmed
    }

    fn is_usable(&self) -> bool {
        !self.broken.load(Ordering::Relaxed)
    }
}

impl Connection {
    fn copies(&self) -> usize {
        let lost = self.broker.happens(|faults| faults.message);
        let doubled = self.broker.happens(|faults| faults.message);
        usize::from(!lost) + usize::from(doubled)
    }
}
