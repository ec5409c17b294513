//! How long a connection waits for a request.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// The time in which a request must begin.
pub(crate) struct Idle {
    timeout: Duration,
    /// It is set anew only when it goes off: that is rarer than a request.
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    /// The time for the first request.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            timer: Box::pin(sleep(timeout)),
        }
    }

    /// Whether the time is over for a request that is awaited since then. Wakes the task when it will be.
    pub(crate) fn is_over(&mut self, since: Instant, context: &mut Context<'_>) -> bool {
        let end = since + self.timeout;
        while self.timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= end {
                return true;
            }
            self.timer.as_mut().reset(end);
        }
        false
    }
}
