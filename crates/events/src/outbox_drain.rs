//! Moves announcements out of the outbox, whatever the bus is.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Envelope, Outbox};
use uuid::Uuid;

use crate::publish::Publish;

/// How many announcements are claimed and published at a time. Quorum queues confirm some hundred messages per second one
/// by one, and some ten thousand in windows of this size.
const WINDOW: usize = 512;

/// How often the outbox is read without a wake-up, since other processes write to it, too.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The pause after a window that was not full. Under load more announcements gather meanwhile: a window costs two
/// transactions and a confirm, and wakes an aggregator, whatever its size. After a quiet period an announcement is published
/// at once.
const GATHER_PAUSE: Duration = Duration::from_millis(50);
/// Windows of at least this size are followed by twice the pause.
const BUSY_WINDOW: usize = 32;

/// Why announcements no longer pass over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// This number of announcements was published without a confirm.
    #[error("the broker did not confirm {0} announcements")]
    Unconfirmed(usize),
    /// The connection is no longer usable.
    #[error("the connection is closed")]
    Disconnected,
}

/// Moves announcements out of an outbox, one window at a time. Errors of the outbox are logged once and retried.
#[derive(Debug)]
pub struct OutboxDrain<'a, O> {
    outbox: &'a O,
    wake: &'a Notify,
    stop: &'a CancellationToken,
    failing: bool,
    /// Announcements that are claimed and not confirmed. They are published first over the next connection: waiting until
    /// their claim expires would be slower, and publishing them twice is harmless.
    unconfirmed: Vec<Envelope>,
}

impl<'a, O: Outbox> OutboxDrain<'a, O> {
    /// Reads the outbox whenever `wake` is notified, and every half second besides, until `stop`.
    pub fn new(outbox: &'a O, wake: &'a Notify, stop: &'a CancellationToken) -> Self {
        Self {
            outbox,
            wake,
            stop,
            failing: false,
            unconfirmed: Vec::new(),
        }
    }

    /// Publishes over one connection until it fails or `stop` is cancelled. Calls `up` whenever the connection has worked.
    ///
    /// # Errors
    /// Returns why the connection cannot be used any longer. Unconfirmed announcements are published over the next one.
    pub async fn drain_to(
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
                let pause = if window < BUSY_WINDOW {
                    GATHER_PAUSE
                } else {
                    2 * GATHER_PAUSE
                };
                self.pause(pause).await;
            }
            if self.stop.is_cancelled() {
                return Ok(());
            }
            if !publisher.is_usable() {
                return Err(Interrupted::Disconnected);
            }
        }
    }

    /// Discards all announcements, for a bus without subscribers: the outbox must not grow, and a later subscriber finds
    /// the marks in the database.
    pub(crate) async fn discard_all(&mut self) {
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
        self.log_changes(claimed).unwrap_or_default()
    }

    /// Announcements that cannot be settled are claimed again later and published twice, which is harmless.
    async fn settle(&mut self, published: &[Uuid]) {
        if !published.is_empty() {
            let settled = self.outbox.settle(published).await;
            self.log_changes(settled);
        }
    }

    /// Pauses so that more announcements can gather, then waits for a wake-up or the next poll. Ends early on `stop`.
    async fn pause(&self, gathering: Duration) {
        let pause = async {
            sleep(gathering).await;
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep(POLL_INTERVAL) => {}
            }
        };
        let _ = self.stop.run_until_cancelled(pause).await;
    }

    /// Logs when the outbox becomes unavailable or available again.
    fn log_changes<T>(&mut self, result: Result<T, O::Error>) -> Option<T> {
        match result {
            Ok(value) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the outbox is available again");
                }
                Some(value)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "the outbox is unavailable, retrying");
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

    /// An outbox that records when it is read and returns a fixed number of announcements each time.
    #[derive(Default)]
    struct ReadTimes(Mutex<Vec<Instant>>, usize);

    impl ReadTimes {
        fn count(&self) -> usize {
            self.0.lock().unwrap().len()
        }

        /// Wakes the drain every millisecond for a second and returns the number of reads so far.
        async fn count_under_load(&self, wake: &Notify) -> usize {
            for _ in 0..1000 {
                wake.notify_one();
                sleep(Duration::from_millis(1)).await;
            }
            self.count()
        }
    }

    impl Outbox for ReadTimes {
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

    /// A bus that confirms everything.
    struct ConfirmAll;

    impl Publish for ConfirmAll {
        async fn publish(&self, window: &[Envelope]) -> Vec<Uuid> {
            window.iter().map(|envelope| envelope.id).collect()
        }

        fn is_usable(&self) -> bool {
            true
        }
    }

    #[tokio::test(start_paused = true)]
    async fn announcements_gather_under_load_and_go_at_once_after_quiet() {
        let (outbox, wake, stop) = (ReadTimes::default(), Notify::new(), CancellationToken::new());
        let mut drain = OutboxDrain::new(&outbox, &wake, &stop);
        let load = async {
            let under_load = outbox.count_under_load(&wake).await;
            assert!((15..=21).contains(&under_load), "{under_load} windows per second");
            sleep(Duration::from_millis(300)).await;
            let (quiet, woken) = (outbox.count(), Instant::now());
            wake.notify_one();
            sleep(Duration::from_millis(1)).await;
            assert_eq!(outbox.count(), quiet + 1);
            assert_eq!(outbox.0.lock().unwrap().last(), Some(&woken));
            stop.cancel();
        };
        let (drained, ()) = tokio::join!(drain.drain_to(&ConfirmAll, || {}), load);
        assert_eq!(drained, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn announcements_gather_longer_after_a_busy_window() {
        let (outbox, wake, stop) = (
            ReadTimes(Mutex::default(), BUSY_WINDOW),
            Notify::new(),
            CancellationToken::new(),
        );
        let mut drain = OutboxDrain::new(&outbox, &wake, &stop);
        let load = async {
            let under_load = outbox.count_under_load(&wake).await;
            assert!((8..=11).contains(&under_load), "{under_load} windows per second");
            stop.cancel();
        };
        let (drained, ()) = tokio::join!(drain.drain_to(&ConfirmAll, || {}), load);
        assert_eq!(drained, Ok(()));
    }
}
