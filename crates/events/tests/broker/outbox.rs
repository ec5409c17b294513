//! An outbox in memory, and a relay that drains it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Envelope, Outbox};
use tonghop_events::{Bus, Health, relay};
use uuid::Uuid;

use crate::scene::{RECOVERY, eventually};

/// Each row can be claimed only once, unlike in a database: what the relay loses stays lost.
#[derive(Clone, Default)]
pub(crate) struct MemoryOutbox(Arc<Mutex<Rows>>);

#[derive(Default)]
struct Rows {
    waiting: Vec<Envelope>,
    claims: usize,
    settled: Vec<Uuid>,
}

impl MemoryOutbox {
    pub(crate) fn holding(envelopes: &[Envelope]) -> Self {
        let outbox = Self::default();
        outbox.add(envelopes);
        outbox
    }

    pub(crate) fn add(&self, envelopes: &[Envelope]) {
        self.0.lock().unwrap().waiting.extend_from_slice(envelopes);
    }

    /// How often the relay has claimed rows.
    pub(crate) fn claims(&self) -> usize {
        self.0.lock().unwrap().claims
    }

    /// The settled ids in order, including repetitions.
    pub(crate) fn settled(&self) -> Vec<Uuid> {
        self.0.lock().unwrap().settled.clone()
    }

    /// Waits until exactly these announcements are settled, each once.
    pub(crate) async fn wait_until_settled(&self, envelopes: &[Envelope], limit: Duration) {
        let expected: BTreeSet<Uuid> = envelopes.iter().map(|envelope| envelope.id).collect();
        eventually("all settled", limit, async || {
            self.settled().len() >= expected.len()
        })
        .await;
        let settled = self.settled();
        assert_eq!(settled.len(), expected.len());
        assert_eq!(settled.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

impl Outbox for MemoryOutbox {
    type Error = std::convert::Infallible;

    async fn claim(&self, limit: usize) -> Result<Vec<Envelope>, Self::Error> {
        let mut rows = self.0.lock().unwrap();
        rows.claims += 1;
        let count = limit.min(rows.waiting.len());
        Ok(rows.waiting.drain(..count).collect())
    }

    async fn settle(&self, published: &[Uuid]) -> Result<(), Self::Error> {
        self.0.lock().unwrap().settled.extend_from_slice(published);
        Ok(())
    }
}

/// A running relay.
pub(crate) struct Relay {
    pub(crate) health: Health,
    wake: Arc<Notify>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Relay {
    pub(crate) fn start(outbox: &MemoryOutbox, bus: Bus) -> Self {
        let (health, wake, stop) = (
            Health::default(),
            Arc::<Notify>::default(),
            CancellationToken::new(),
        );
        let task = tokio::spawn({
            let (outbox, health, wake, stop) = (outbox.clone(), health.clone(), wake.clone(), stop.clone());
            async move { relay(&outbox, &bus, &wake, &health, &stop).await }
        });
        Self {
            health,
            wake,
            stop,
            task,
        }
    }

    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) async fn wait_until_connected(&self) {
        eventually("the relay is connected", RECOVERY, async || {
            self.health.connected()
        })
        .await;
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(RECOVERY, self.task).await.unwrap().unwrap();
        assert!(!self.health.connected());
    }
}
