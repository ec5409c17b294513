//! When each request is due.

use std::time::Duration;

/// How fast requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Each connection sends as soon as it has its answer: for a while that is not measured, then for one that is.
    Saturated { warm_up: Duration, measured: Duration },
    /// The same until a number of requests was sent.
    Count(u64),
    /// Each request has a time of its own, fixed beforehand, however long the answers to others take. Its latency counts
    /// from that time: who waits for a free connection waits for the service.
    Open { per_second: f64, count: u64 },
}

impl Pace {
    /// So many requests a second for a while.
    pub(crate) fn open(per_second: f64, time: Duration) -> Self {
        let count = (per_second * time.as_secs_f64()).ceil() as u64;
        Self::Open { per_second, count }
    }

    /// How long after the start a request is due, asked `elapsed` after the start; none when no more is to be sent.
    pub(crate) fn due(self, turn: u64, elapsed: Duration) -> Option<Duration> {
        match self {
            Self::Saturated { warm_up, measured } => (elapsed < warm_up + measured).then_some(elapsed),
            Self::Count(count) => (turn < count).then_some(elapsed),
            Self::Open { per_second, count } => {
                (turn < count).then(|| Duration::from_secs_f64(turn as f64 / per_second))
            }
        }
    }

    /// Whether an answer that came so long after the start is one of those measured.
    pub(crate) fn measures(self, elapsed: Duration) -> bool {
        match self {
            Self::Saturated { warm_up, measured } => elapsed >= warm_up && elapsed < warm_up + measured,
            Self::Count(_) | Self::Open { .. } => true,
        }
    }

    /// The time in which the measured answers came, if the last one came so long after the start.
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
