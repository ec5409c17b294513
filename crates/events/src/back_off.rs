//! Pauses that grow while something keeps failing.

use std::time::Duration;

/// The next pause: twice the last, up to a limit.
#[derive(Debug)]
pub(crate) struct BackOff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl BackOff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// How long to pause now.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause
    }

    /// Starts again from the shortest pause.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_start_again_after_a_reset() {
        let mut back_off = BackOff::new(Duration::from_millis(50), Duration::from_millis(150));
        let pauses: Vec<u128> = (0..4).map(|_| back_off.pause().as_millis()).collect();
        assert_eq!(pauses, [50, 100, 150, 150]);
        back_off.reset();
        assert_eq!(back_off.pause().as_millis(), 50);
    }
}
