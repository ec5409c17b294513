//! Pauses between attempts, longer after each failure.

use std::time::Duration;

/// Exponential back-off with equal jitter.
///
/// The limit doubles with each failure up to a maximum; a pause is drawn from the upper half of the limit. The random part
/// keeps processes that lost the same server from returning in step, and the fixed half keeps any of them from retrying at
/// once.
#[derive(Debug)]
pub(crate) struct BackOff {
    shortest: Duration,
    longest: Duration,
    limit: Duration,
    random: fastrand::Rng,
}

impl BackOff {
    /// Pauses between half of `shortest` at first and `longest` in the end.
    pub(crate) fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest,
            limit: shortest,
            random: fastrand::Rng::new(),
        }
    }

    /// The pauses before a batch is delivered again.
    ///
    /// They grow because the broker dead-letters a message after 50 redeliveries, and a database may be unavailable for
    /// longer than a moment.
    pub(crate) fn before_redelivery() -> Self {
        Self::new(Duration::from_millis(200), Duration::from_secs(2))
    }

    /// Returns the pause after one more failure.
    pub(crate) fn next_pause(&mut self) -> Duration {
        let half = self.limit / 2;
        self.limit = (self.limit * 2).min(self.longest);
        half + half.mul_f64(self.random.f64())
    }

    /// Starts again from the shortest pause.
    pub(crate) fn reset(&mut self) {
        self.limit = self.shortest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS_MS: [u64; 4] = [50, 100, 150, 150];

    fn back_off(seed: u64) -> BackOff {
        BackOff {
            random: fastrand::Rng::with_seed(seed),
            ..BackOff::new(Duration::from_millis(50), Duration::from_millis(150))
        }
    }

    #[test]
    fn pauses_stay_in_the_upper_half_of_limits_that_double_to_a_maximum() {
        for seed in 0..1000 {
            let mut back_off = back_off(seed);
            for limit in LIMITS_MS.map(Duration::from_millis) {
                let pause = back_off.next_pause();
                assert!(
                    (limit / 2..=limit).contains(&pause),
                    "seed {seed}: {pause:?} of {limit:?}"
                );
            }
            back_off.reset();
            assert!(back_off.next_pause() <= Duration::from_millis(50), "seed {seed}");
        }
    }

    #[test]
    fn pauses_spread_over_the_whole_upper_half() {
        let first: Vec<Duration> = (0..1000).map(|seed| back_off(seed).next_pause()).collect();
        let (min, max) = (first.iter().min().unwrap(), first.iter().max().unwrap());
        assert!(*min < Duration::from_millis(26), "{min:?}");
        assert!(*max > Duration::from_millis(49), "{max:?}");
    }
}
