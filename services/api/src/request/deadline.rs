//! How long a client may take to send or accept bytes.

use std::time::Duration;

use tokio::time::Instant;

/// The slowest rate, in bytes per second, at which bodies are received and responses are accepted. A telephone with a weak signal is faster.
const MIN_BYTES_PER_SECOND: u64 = 4 << 10;

/// The longest time without any bytes, however fast the client was before.
const MAX_SILENCE: Duration = Duration::from_secs(60);

/// The time until which bytes must have arrived: a grace period, and the time that the bytes so far may take, but not too
/// much of it at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The deadline of what begins now.
    pub(crate) fn new(grace: Duration) -> Self {
        Self(Instant::now() + grace)
    }

    /// Grants the time that these bytes may have taken.
    pub(crate) fn extend(&mut self, received: usize) {
        self.0 = (self.0 + time_of(received)).min(Instant::now() + MAX_SILENCE);
    }

    /// The moment after which the client is too slow.
    pub(crate) fn instant(self) -> Instant {
        self.0
    }
}

/// The time that bytes may take.
pub(crate) fn time_of(bytes: usize) -> Duration {
    Duration::from_micros(bytes as u64 * 1_000_000 / MIN_BYTES_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_grant_the_time_of_the_minimum_rate_and_never_more_than_the_longest_silence() {
        let start = Instant::now();
        let mut deadline = Deadline::new(Duration::from_secs(10));
        assert_eq!((deadline.instant() - start).as_secs(), 10);
        deadline.extend(20 << 10);
        assert_eq!((deadline.instant() - start).as_secs(), 15);
        // A fast client cannot save up an hour.
        deadline.extend(16 << 20);
        assert_eq!((deadline.instant() - start).as_secs(), 60);
        tokio::time::advance(Duration::from_secs(30)).await;
        deadline.extend(16 << 20);
        assert_eq!((deadline.instant() - start).as_secs(), 90);
    }
}
