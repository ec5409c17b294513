//! How long a connection waits for a request.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, Sleep, sleep};

/// The time in which a request must begin.
pub(crate) struct Idle {
    timeout: Duration,
    /// It is set anew only when it goes off: that is rarer than a request.
    timer: Pin<Box<Sleep>>,
    /// Whether it wakes the task, which is always the same.
    is_set: bool,
}

impl Idle {
    /// The time for the first request.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            timer: Box::pin(sleep(timeout)),
            is_set: false,
        }
    }

    /// Whether the time is over for a request that is awaited since then; never if none is awaited. Wakes the task when it will
    /// be.
    pub(crate) fn is_over(&mut self, since: Option<Instant>, context: &mut Context<'_>) -> bool {
        if self.is_set && !self.timer.is_elapsed() {
            return false;
        }
        while self.timer.as_mut().poll(context).is_ready() {
            let end = since.unwrap_or_else(Instant::now) + self.timeout;
            if Instant::now() >= end {
                return true;
            }
            self.timer.as_mut().reset(end);
        }
        // Without a budget the timer does not set itself.
        self.is_set = has_budget_remaining();
        false
    }
}
