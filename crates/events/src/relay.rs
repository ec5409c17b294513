//! Moves announcements from the outbox to the bus.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Envelope, Outbox};
use uuid::Uuid;

use crate::line::Line;
use crate::link::{Fault, Link};
use crate::publisher::Publisher;
use crate::topology::Topology;
use crate::{AmqpSettings, Health, InProcess};

/// How many announcements are claimed and published at a time. Quorum queues confirm some hundreds a second one by
/// one, and some ten thousand in windows of this size.
const WINDOW: usize = 512;

/// How often the outbox is looked into when nobody wakes the relay: other processes write to it, too.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

pub(crate) async fn over_amqp<O: Outbox>(
    outbox: &O,
    settings: &AmqpSettings,
    wake: &Notify,
    health: &Health,
    stop: &CancellationToken,
) {
    let mut source = Source {
        outbox,
        wake,
        stop,
        failing: false,
    };
    let mut line = Line::new(settings, "relay", health, stop);
    let topology = Topology::new(settings.namespace());
    let mut unconfirmed = Vec::new();
    while let Some(link) = line.open().await {
        if let Err(fault) = move_windows(&mut source, &mut unconfirmed, &link, &topology, &mut line).await {
            line.down(&fault);
        }
        link.close().await;
    }
}

/// Over one connection, until it fails or it is time to stop. What was claimed and not confirmed stays in
/// `unconfirmed` and goes first over the next connection; waiting until its claim lapses would be slower, and
/// publishing it twice is harmless.
async fn move_windows<O: Outbox>(
    source: &mut Source<'_, O>,
    unconfirmed: &mut Vec<Envelope>,
    link: &Link,
    topology: &Topology,
    line: &mut Line<'_>,
) -> Result<(), Fault> {
    let publisher = Publisher::open(link, topology).await?;
    loop {
        if unconfirmed.is_empty() {
            line.up();
            *unconfirmed = source.claim().await;
        }
        let window_is_full = unconfirmed.len() >= WINDOW;
        if !unconfirmed.is_empty() {
            let confirmed = publisher.publish(unconfirmed).await;
            source.settle(&confirmed).await;
            let confirmed: HashSet<Uuid> = confirmed.into_iter().collect();
            unconfirmed.retain(|envelope| !confirmed.contains(&envelope.id));
        }
        if !unconfirmed.is_empty() {
            return Err(Fault::Unconfirmed(unconfirmed.len()));
        }
        line.up();
        if !window_is_full {
            source.rest().await;
        }
        if source.stop.is_cancelled() {
            return Ok(());
        }
        if !publisher.usable() {
            return Err(Fault::Gone);
        }
    }
}

pub(crate) async fn in_process<O: Outbox>(
    outbox: &O,
    channel: &InProcess,
    wake: &Notify,
    health: &Health,
    stop: &CancellationToken,
) {
    let mut source = Source {
        outbox,
        wake,
        stop,
        failing: false,
    };
    health.up();
    while !stop.is_cancelled() {
        let window = source.claim().await;
        let window_is_full = window.len() >= WINDOW;
        let published: Vec<Uuid> = window.iter().map(|envelope| envelope.id).collect();
        for envelope in window {
            channel.publish(envelope.announcement);
        }
        source.settle(&published).await;
        if !window_is_full {
            source.rest().await;
        }
    }
    health.down();
}

/// The outbox, whose faults are told to the log once and never end the relay.
struct Source<'a, O> {
    outbox: &'a O,
    wake: &'a Notify,
    stop: &'a CancellationToken,
    failing: bool,
}

impl<O: Outbox> Source<'_, O> {
    async fn claim(&mut self) -> Vec<Envelope> {
        let claimed = self.outbox.claim(WINDOW).await;
        self.note(claimed).unwrap_or_default()
    }

    /// What cannot be settled is claimed again later and published twice, which is harmless.
    async fn settle(&mut self, published: &[Uuid]) {
        if !published.is_empty() {
            let settled = self.outbox.settle(published).await;
            self.note(settled);
        }
    }

    /// Waits until there may be something in the outbox, or it is time to stop.
    async fn rest(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.wake.notified() => {}
            () = sleep(POLL_INTERVAL) => {}
        }
    }

    fn note<T>(&mut self, result: Result<T, O::Error>) -> Option<T> {
        match result {
            Ok(value) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("outbox reachable again");
                }
                Some(value)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "outbox unreachable, retrying");
                }
                None
            }
        }
    }
}
