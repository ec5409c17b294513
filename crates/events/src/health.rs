//! The state of a connection to the bus, for readiness and metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The state of the connection of one relay or consumer. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<State>);

#[derive(Debug, Default)]
struct State {
    connected: AtomicBool,
    connects: AtomicU64,
    unroutable: AtomicU64,
    queue_depths: Mutex<Option<QueueDepths>>,
}

/// The number of messages that were ready in each of the broker's queues a few seconds ago. Messages delivered to a
/// consumer and not yet acknowledged are not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDepths {
    /// Announcements that make totals stale and wait for an aggregator.
    pub aggregator: u32,
    /// Messages that no aggregator could act on.
    pub dead_letters: u32,
}

impl Health {
    /// Whether announcements can pass now.
    pub fn connected(&self) -> bool {
        self.0.connected.load(Ordering::Relaxed)
    }

    /// How often the connection was established again after the first time.
    pub fn reconnects(&self) -> u64 {
        self.0.connects.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// The number of announcements of stale totals that reached no queue, because none was declared yet or it was deleted.
    /// The sweep refreshes those totals.
    pub fn unroutable(&self) -> u64 {
        self.0.unroutable.load(Ordering::Relaxed)
    }

    /// The depths of the broker's queues, if a connected consumer has read them.
    pub fn queue_depths(&self) -> Option<QueueDepths> {
        *self.lock_queue_depths()
    }

    /// Counts unroutable announcements and returns whether they are the first.
    pub(crate) fn add_unroutable(&self, announcements: usize) -> bool {
        self.0
            .unroutable
            .fetch_add(announcements as u64, Ordering::Relaxed)
            == 0
    }

    pub(crate) fn set_queue_depths(&self, depths: QueueDepths) {
        *self.lock_queue_depths() = Some(depths);
    }

    pub(crate) fn set_connected(&self) {
        if !self.0.connected.swap(true, Ordering::Relaxed) {
            self.0.connects.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn set_disconnected(&self) {
        self.0.connected.store(false, Ordering::Relaxed);
        *self.lock_queue_depths() = None;
    }

    fn lock_queue_depths(&self) -> MutexGuard<'_, Option<QueueDepths>> {
        self.0.queue_depths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
