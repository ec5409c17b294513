//! Moves announcements from the outbox to the bus.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Envelope, Outbox};
use uuid::Uuid;

use crate::line::Line;
use crate::link::Fault;
use crate::publisher::Publisher;
use crate::topology::Topology;
use crate::{AmqpSettings, Health, InProcess};

/// How many announcements are claimed and published at a time. Quorum queues confirm some hundreds a second one by
/// one, and some ten thousand in windows of this size.
const WINDOW: usize = 512;

/// How often the outbox is looked into when nobody wakes the relay: other processes write to it, too.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The pause after a window that was not full. Under load more gathers meanwhile: a window costs two transactions and a
/// confirm, and wakes an aggregator, however much is in it. What comes after a while of quiet goes at once.
const GATHER: Duration = Duration::from_millis(50);
/// A window of so many is followed by twice the pause.
const CROWD: usize = 32;

/// Takes announcements to where they can no longer be lost.
pub trait Publish: Sync {
    /// Publishes all of a window. Answers the ids of those that are safe there; of the others nothing is known, except
    /// that nobody may forget them.
    fn publish(&self, window: &[Envelope]) -> impl Future<Output = Vec<Uuid>> + Send;

    /// Whether it is worth trying again. When not, a new connection is needed.
    fn usable(&self) -> bool;
}

/// Why announcements no longer pass over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// So many of a window are not known to be safe.
    #[error("the broker did not confirm {0} announcements")]
    Unconfirmed(usize),
    /// The connection is no longer usable.
    #[error("the connection is gone")]
    Gone,
}

pub(crate) async fn over_amqp<O: Outbox>(
    outbox: &O,
    settings: &AmqpSettings,
    wake: &Notify,
    health: &Health,
    stop: &CancellationToken,
) {
    let mut windows = Windows::new(outbox, wake, stop);
    let mut line = Line::new(settings, "relay", health, stop);
    let topology = Topology::new(settings.namespace());
    while let Some(link) = line.open().await {
        let moved = async {
            let publisher = Publisher::open(&link, &topology, health).await?;
            windows.move_to(&publisher, || line.up()).await?;
            Ok::<(), Fault>(())
        };
        let moved = moved.await;
        if let Err(fault) = moved {
            if matches!(fault, Fault::NoExchange(_)) {
                windows.let_go().await;
            }
            line.down(&fault);
        }
        link.close().await;
    }
}

pub(crate) async fn in_process<O: Outbox>(
    outbox: &O,
    channel: &InProcess,
    wake: &Notify,
    health: &Health,
    stop: &CancellationToken,
) {
    let mut windows = Windows::new(outbox, wake, stop);
    if let Err(interrupted) = windows.move_to(channel, || health.up()).await {
        tracing::error!(%interrupted, "the channel inside this process failed");
    }
    health.down();
}

/// Moves announcements out of an outbox, a window at a time. Faults of the outbox are told to the log once and never end
/// the work.
#[derive(Debug)]
pub struct Windows<'a, O> {
    outbox: &'a O,
    wake: &'a Notify,
    stop: &'a CancellationToken,
    failing: bool,
    /// Claimed and not confirmed. It goes first over the next connection: waiting until its claim lapses would be
    /// slower, and publishing it twice is harmless.
    unconfirmed: Vec<Envelope>,
}

impl<'a, O: Outbox> Windows<'a, O> {
    /// Looks into the outbox when `wake` is notified, and every half second besides, until `stop`.
    pub fn new(outbox: &'a O, wake: &'a Notify, stop: &'a CancellationToken) -> Self {
        Self {
            outbox,
            wake,
            stop,
            failing: false,
            unconfirmed: Vec::new(),
        }
    }

    /// Over one connection, until it fails or it is time to stop. `up` is told whenever it has proved itself.
    ///
    /// # Errors
    /// Why the connection is to be given up; what was under way goes over the next one.
    pub async fn move_to(
        &mut self,
        publisher: &impl Publish,
        mut up: impl FnMut(),
    ) -> Result<(), Interrupted> {
        loop {
            if self.unconfirmed.is_empty() {
                up();
                self.unconfirmed = self.claim().await;
            }
            let window = self.unconfirmed.len();
            if !self.unconfirmed.is_empty() {
                tracing::trace!(target: "tonghop::step", step = "claimed");
                let confirmed = publisher.publish(&self.unconfirmed).await;
                tracing::trace!(target: "tonghop::step", step = "confirmed");
                self.settle(&confirmed).await;
                tracing::trace!(target: "tonghop::step", step = "settled");
                let confirmed: HashSet<Uuid> = confirmed.into_iter().collect();
                self.unconfirmed
                    .retain(|envelope| !confirmed.contains(&envelope.id));
            }
            if !self.unconfirmed.is_empty() {
                return Err(Interrupted::Unconfirmed(self.unconfirmed.len()));
            }
            up();
            if window < WINDOW {
                self.rest(if window < CROWD { GATHER } else { 2 * GATHER }).await;
            }
            if self.stop.is_cancelled() {
                return Ok(());
            }
            if !publisher.usable() {
                return Err(Interrupted::Gone);
            }
        }
    }

    /// Forgets what waits, since there is nobody to whom it could go. Who comes later finds the marks, and the outbox
    /// does not grow until then.
    async fn let_go(&mut self) {
        loop {
            if self.unconfirmed.is_empty() {
                self.unconfirmed = self.claim().await;
            }
            if self.unconfirmed.is_empty() || self.stop.is_cancelled() {
                return;
            }
            let ids: Vec<Uuid> = self.unconfirmed.drain(..).map(|envelope| envelope.id).collect();
            self.settle(&ids).await;
        }
    }

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

    /// Waits until enough may have gathered in the outbox, or it is time to stop.
    async fn rest(&self, gathering: Duration) {
        let rest = async {
            sleep(gathering).await;
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep(POLL_INTERVAL) => {}
            }
        };
        let _ = self.stop.run_until_cancelled(rest).await;
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Mutex;

    use tokio::time::Instant;
    use tonghop_domain::Announcement;

    use super::*;

    /// Notes when it is looked into, and has so many announcements each time.
    #[derive(Default)]
    struct Looks(Mutex<Vec<Instant>>, usize);

    impl Looks {
        fn count(&self) -> usize {
            self.0.lock().unwrap().len()
        }

        /// How often that was when a second has passed in which something came each millisecond.
        async fn count_under_load(&self, wake: &Notify) -> usize {
            for _ in 0..1000 {
                wake.notify_one();
                sleep(Duration::from_millis(1)).await;
            }
            self.count()
        }
    }

    impl Outbox for Looks {
        type Error = Infallible;

        async fn claim(&self, _: usize) -> Result<Vec<Envelope>, Infallible> {
            self.0.lock().unwrap().push(Instant::now());
            let announcement = Announcement::SubmissionsRecorded {
                form: "ngay-30-7".parse().unwrap(),
                period: "2021-07".parse().unwrap(),
                province: "87".parse().unwrap(),
                submissions: Vec::new(),
            };
            let envelope = || Envelope {
                id: Uuid::now_v7(),
                at: chrono::DateTime::UNIX_EPOCH,
                announcement: announcement.clone(),
            };
            Ok(std::iter::repeat_with(envelope).take(self.1).collect())
        }

        async fn settle(&self, _: &[Uuid]) -> Result<(), Infallible> {
            Ok(())
        }
    }

    /// Takes everything.
    struct Everybody;

    impl Publish for Everybody {
        async fn publish(&self, window: &[Envelope]) -> Vec<Uuid> {
            window.iter().map(|envelope| envelope.id).collect()
        }

        fn usable(&self) -> bool {
            true
        }
    }

    #[tokio::test(start_paused = true)]
    async fn under_load_announcements_gather_and_after_quiet_they_go_at_once() {
        let (outbox, wake, stop) = (Looks::default(), Notify::new(), CancellationToken::new());
        let mut windows = Windows::new(&outbox, &wake, &stop);
        let load = async {
            let under_load = outbox.count_under_load(&wake).await;
            assert!((15..=21).contains(&under_load), "{under_load} windows a second");
            sleep(Duration::from_millis(300)).await;
            let (quiet, woken) = (outbox.count(), Instant::now());
            wake.notify_one();
            sleep(Duration::from_millis(1)).await;
            assert_eq!(outbox.count(), quiet + 1);
            assert_eq!(outbox.0.lock().unwrap().last(), Some(&woken));
            stop.cancel();
        };
        let (moved, ()) = tokio::join!(windows.move_to(&Everybody, || {}), load);
        assert_eq!(moved, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_crowded_window_more_gather() {
        let (outbox, wake, stop) = (
            Looks(Mutex::default(), CROWD),
            Notify::new(),
            CancellationToken::new(),
        );
        let mut windows = Windows::new(&outbox, &wake, &stop);
        let load = async {
            let under_load = outbox.count_under_load(&wake).await;
            assert!((8..=11).contains(&under_load), "{under_load} windows a second");
            stop.cancel();
        };
        let (moved, ()) = tokio::join!(windows.move_to(&Everybody, || {}), load);
        assert_eq!(moved, Ok(()));
    }
}
