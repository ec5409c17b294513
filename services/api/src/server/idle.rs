//! How long a connection waits for a request.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// The time in which a request must begin.
pub(crate) struct Idle {
    timeout: Duration,
    /// The number of requests that were answered before, and since when the next one is awaited.
    since: (u64, Instant),
    /// It is set anew only when it goes off: that is rarer than a request.
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    /// The time for the first request.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            since: (0, Instant::now()),
            timer: Box::pin(sleep(timeout)),
        }
    }

    /// Whether the time is over, after so many requests were answered. Wakes the task when it will be.
    pub(crate) fn is_over(&mut self, answered: u64, context: &mut Context<'_>) -> bool {
        if self.since.0 != answered {
            self.since = (answered, Instant::now());
        }
        let end = self.since.1 + self.timeout;
        while self.timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= end {
                return true;
            }
            self.timer.as_mut().reset(end);
        }
        false
    }
}
