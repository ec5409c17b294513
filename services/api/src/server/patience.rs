//! How long a client may take to accept what it is sent.

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::request::deadline::time_of;

/// The time for which a client may accept nothing, or less than the minimum rate. The operating system reports free space
/// in steps of a third of its buffer, which a client at the minimum rate needs 22 seconds to empty.
const GRACE: Duration = Duration::from_secs(40);

/// The time that a client may still spend without accepting enough.
pub(crate) struct Patience {
    left: Duration,
    /// Since when the client has accepted nothing, and when that is too long.
    blocked: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self {
            left: GRACE,
            blocked: None,
        }
    }

    /// Whether the client does not accept what it is sent.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Notes that the client accepts nothing. Wakes the task when that has taken too long.
    ///
    /// # Errors
    /// It has taken too long.
    pub(crate) fn check(&mut self, context: &mut Context<'_>) -> Result<()> {
        let left = self.left;
        let (_, end) = self
            .blocked
            .get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        match end.as_mut().poll(context) {
            Poll::Ready(()) => Err(Error::new(ErrorKind::TimedOut, "the client reads too slowly")),
            Poll::Pending => Ok(()),
        }
    }

    /// Notes that the client accepts some bytes. Returns whether it did not accept any before.
    pub(crate) fn accept(&mut self, bytes: usize) -> bool {
        let blocked = self.blocked.take();
        if let Some((since, _)) = &blocked {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        self.left = (self.left + time_of(bytes)).min(GRACE);
        blocked.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// How long a client is served that accepts so many bytes, in writes of at most 32 KiB, again and again after a time.
    async fn served(bytes: usize, after: Duration, at_most: Duration) -> Duration {
        let (mut patience, start) = (Patience::new(), Instant::now());
        while start.elapsed() < at_most {
            let waited = poll_fn(|context| match patience.check(context) {
                Ok(()) => Poll::Pending,
                Err(_) => Poll::Ready(()),
            });
            if tokio::time::timeout(after, waited).await.is_ok() {
                break;
            }
            let mut rest = bytes;
            assert!(patience.accept(rest.min(32 << 10)));
            while rest > 32 << 10 {
                rest -= 32 << 10;
                assert!(!patience.accept(rest.min(32 << 10)));
            }
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_at_the_minimum_rate_is_served_and_a_slower_one_is_not() {
        let hour = Duration::from_secs(3_600);
        let second = Duration::from_secs(1);
        // As the operating system reports the space of a buffer.
        assert!(served(88 << 10, 22 * second, hour).await >= hour);
        assert!(served(4 << 10, second, hour).await >= hour);
        assert!(served(1 << 20, 39 * second, hour).await >= hour);
        let slow = served(3 << 10, second, hour).await;
        assert!((100..200).contains(&slow.as_secs()), "{slow:?}");
        assert_eq!(served(1, second, hour).await.as_secs(), 40);
        assert_eq!(served(0, second, hour).await.as_secs(), 40);
        assert_eq!(served(1 << 20, 41 * second, hour).await.as_secs(), 40);
    }
}
