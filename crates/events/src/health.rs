//! Whether a connection is up, and what is known of what passes over it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whether the connection of one relay or consumer is up, for readiness and metrics. Clones tell of the same one.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<State>);

#[derive(Debug, Default)]
struct State {
    connected: AtomicBool,
    established: AtomicU64,
    unheard: AtomicU64,
    queued: Mutex<Option<Queued>>,
}

/// How many messages lay in the broker's queues a few seconds ago, without those that consumers had in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// What makes totals stale and waits for an aggregator.
    pub aggregator: u32,
    /// What nobody could act upon.
    pub dead_letters: u32,
}

impl Health {
    /// Whether announcements can pass now.
    pub fn connected(&self) -> bool {
        self.0.connected.load(Ordering::Relaxed)
    }

    /// How often the connection was established again after the first time.
    pub fn reconnects(&self) -> u64 {
        self.0.established.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// How many announcements of stale totals went where no queue took them: nobody had made one, or it was deleted.
    /// The sweep does their work.
    pub fn unheard(&self) -> u64 {
        self.0.unheard.load(Ordering::Relaxed)
    }

    /// What lies in the broker's queues, as far as a consumer that is connected has seen.
    pub fn queued(&self) -> Option<Queued> {
        *self.queued_now()
    }

    /// Answers whether these are the first ones.
    pub(crate) fn note_unheard(&self, announcements: usize) -> bool {
        self.0.unheard.fetch_add(announcements as u64, Ordering::Relaxed) == 0
    }

    pub(crate) fn note_queued(&self, queued: Queued) {
        *self.queued_now() = Some(queued);
    }

    fn queued_now(&self) -> MutexGuard<'_, Option<Queued>> {
        self.0.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn up(&self) {
        if !self.0.connected.swap(true, Ordering::Relaxed) {
            self.0.established.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn down(&self) {
        self.0.connected.store(false, Ordering::Relaxed);
        *self.queued_now() = None;
    }
}
