//! The schedule of requests.

use std::time::Duration;

/// How requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Each connection sends as soon as it has its response: first for a warm-up that is not measured, then for a measured time.
    Saturated { warm_up: Duration, measured: Duration },
    /// The same, until a number of requests has been sent.
    Count(u64),
    /// Each request is due at a time set in advance, however long other responses take. Its latency counts from that time,
    /// because waiting for a free connection is waiting for the service.
    Open { per_second: f64, count: u64 },
}

impl Pace {
    /// A number of requests per second for a time.
    pub(crate) fn open(per_second: f64, time: Duration) -> Self {
        let count = (per_second * time.as_secs_f64()).ceil() as u64;
        Self::Open { per_second, count }
    }

    /// When a request is due, as a time after the start, given the elapsed time; none if no more requests follow.
    pub(crate) fn due(self, turn: u64, elapsed: Duration) -> Option<Duration> {
        match self {
            Self::Saturated { warm_up, measured } => (elapsed < warm_up + measured).then_some(elapsed),
            Self::Count(count) => (turn < count).then_some(elapsed),
            Self::Open { per_second, count } => {
                (turn < count).then(|| Duration::from_secs_f64(turn as f64 / per_second))
            }
        }
    }

    /// Whether a response that arrived this long after the start is measured.
    pub(crate) fn measures(self, elapsed: Duration) -> bool {
        match self {
            Self::Saturated { warm_up, measured } => elapsed >= warm_up && elapsed < warm_up + measured,
            Self::Count(_) | Self::Open { .. } => true,
        }
    }

    /// The duration of the measured part, if the last response arrived this long after the start.
    pub(crate) fn measured_in(self, last: Duration) -> Duration {
        match self {
            Self::Saturated { measured, .. } => measured,
            Self::Count(_) | Self::Open { .. } => last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn due_times_of_an_open_loop_do_not_move_with_the_answers() {
        let pace = Pace::open(100.0, S);
        for late in [Duration::ZERO, 10 * S] {
            assert_eq!(pace.due(0, late), Some(Duration::ZERO));
            assert_eq!(pace.due(50, late), Some(Duration::from_millis(500)));
            assert_eq!(pace.due(99, late), Some(Duration::from_millis(990)));
            assert_eq!(pace.due(100, late), None);
        }
        assert_eq!(pace.measured_in(3 * S), 3 * S);
    }

    #[test]
    fn saturation_is_measured_after_the_warming_up_and_until_its_time_is_over() {
        let pace = Pace::Saturated {
            warm_up: S,
            measured: 2 * S,
        };
        assert_eq!(pace.due(7, S / 2), Some(S / 2));
        assert_eq!(pace.due(7, 3 * S), None);
        assert!(!pace.measures(S / 2) && pace.measures(S) && pace.measures(2 * S) && !pace.measures(3 * S));
        assert_eq!(pace.measured_in(4 * S), 2 * S);
    }

    #[test]
    fn a_count_ends_when_all_are_sent() {
        assert_eq!(Pace::Count(2).due(1, 9 * S), Some(9 * S));
        assert_eq!(Pace::Count(2).due(2, S), None);
    }
}
