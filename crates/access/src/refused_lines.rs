//! The refused lines of a batch: counted by the code of the refusal, recorded once per code, and read more slowly when a key
//! sends too many.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use tonghop_domain::{AuditEntry, KeyId, SubmissionKey};

use crate::audit_context::{AuditContext, RefusalCause};
use crate::audit_log::AuditLog;

/// The time after which counts are recorded although the batch goes on.
const INTERVAL: Duration = Duration::from_secs(60);

/// The refused lines that a key may send at once.
const LINES_BURST: NonZeroU32 = NonZeroU32::new(2_000).unwrap();
/// The refused lines that a key may send per second; each costs as much as a request.
const LINES_RATE: NonZeroU32 = NonZeroU32::new(500).unwrap();

/// How fast the refused lines of each key are taken.
pub(crate) struct RefusalPace {
    lines: DefaultKeyedRateLimiter<KeyId>,
    clock: DefaultClock,
}

impl RefusalPace {
    pub(crate) fn new() -> Self {
        let quota = governor::Quota::per_second(LINES_RATE).allow_burst(LINES_BURST);
        Self {
            lines: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
        }
    }

    /// Waits until the key may send one more refused line.
    async fn wait(&self, key: &KeyId) {
        while let Err(until) = self.lines.check_key(key) {
            tokio::time::sleep(until.wait_time_from(self.clock.now())).await;
        }
    }

    /// Forgets the keys whose quota is full again.
    pub(crate) fn forget_idle(&self) {
        self.lines.retain_recent();
    }
}

impl fmt::Debug for RefusalPace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefusalPace").finish_non_exhaustive()
    }
}

/// The refused lines of a batch. They are recorded when the last clone is dropped, and once a minute until then.
#[derive(Clone, Debug)]
pub struct RefusedLines(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    log: AuditLog,
    context: AuditContext,
    counted: Mutex<Counted>,
    pace: Arc<RefusalPace>,
    key: KeyId,
    /// Held by the one line that waits: the others would all wake with it.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Counted {
    since: Instant,
    /// For each code, the entry of its first line, with the number of lines.
    by_code: HashMap<String, AuditEntry>,
}

impl RefusedLines {
    pub(crate) fn new(log: AuditLog, context: AuditContext, pace: Arc<RefusalPace>, key: KeyId) -> Self {
        let counted = Counted {
            since: Instant::now(),
            by_code: HashMap::new(),
        };
        Self(Arc::new(Inner {
            log,
            context,
            counted: Mutex::new(counted),
            pace,
            key,
            turn: tokio::sync::Mutex::default(),
        }))
    }

    /// Counts a line, and waits if the key sends too many. `code` is the code of the refusal that the caller receives; the
    /// trail names the submission of the first line with each code.
    pub async fn count(&self, submission: Option<&SubmissionKey>, code: &str, cause: RefusalCause) {
        self.note(submission, code, cause);
        let _turn = self.0.turn.lock().await;
        self.0.pace.wait(&self.0.key).await;
    }

    fn note(&self, submission: Option<&SubmissionKey>, code: &str, cause: RefusalCause) {
        if !self.0.context.records(cause) {
            return;
        }
        let mut counted = self.0.counted.lock().unwrap_or_else(PoisonError::into_inner);
        match counted.by_code.get_mut(code) {
            Some(entry) => entry.count += 1,
            None => {
                let entry = self.0.context.for_line(submission).entry(code);
                counted.by_code.insert(code.to_owned(), entry);
            }
        }
        if counted.since.elapsed() > INTERVAL {
            self.0.record(&mut counted);
        }
    }
}

impl Inner {
    fn record(&self, counted: &mut Counted) {
        counted.since = Instant::now();
        for (_, entry) in counted.by_code.drain() {
            self.log.record_refusal(entry);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut counted = std::mem::replace(
            self.counted.get_mut().unwrap_or_else(PoisonError::into_inner),
            Counted {
                since: Instant::now(),
                by_code: HashMap::new(),
            },
        );
        self.record(&mut counted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Token;

    #[tokio::test]
    async fn a_key_that_sends_too_many_refused_lines_waits_and_others_do_not() {
        let pace = RefusalPace::new();
        let (one, other) = (Token::generate().id(), Token::generate().id());
        let start = Instant::now();
        for _ in 0..LINES_BURST.get() + LINES_RATE.get() / 2 {
            pace.wait(&one).await;
        }
        assert!(
            start.elapsed() > Duration::from_millis(400),
            "{:?}",
            start.elapsed()
        );
        let start = Instant::now();
        pace.wait(&other).await;
        assert!(start.elapsed() < Duration::from_millis(200));
    }
}
