//! Whether a connection is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Whether the connection of one relay or consumer is up, for readiness and metrics. Clones tell of the same one.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<State>);

#[derive(Debug, Default)]
struct State {
    connected: AtomicBool,
    established: AtomicU64,
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

    pub(crate) fn up(&self) {
        if !self.0.connected.swap(true, Ordering::Relaxed) {
            self.0.established.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn down(&self) {
        self.0.connected.store(false, Ordering::Relaxed);
    }
}
