//! The watermark that reads share: one transaction reads it for all who ask meanwhile.

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::StoreError;

/// The reads of the watermark. Clones share them.
#[derive(Clone, Default)]
pub(super) struct SharedWatermark(watch::Sender<Reads>);

#[derive(Default)]
struct Reads {
    in_progress: bool,
    last: Option<Ended>,
}

/// A read that has ended.
struct Ended {
    began_at: Instant,
    watermark: Result<DateTime<Utc>, StoreError>,
}

/// What there is to do for somebody who needs the watermark.
enum Next {
    Begin,
    Wait,
    Answer(Result<DateTime<Utc>, StoreError>),
}

impl SharedWatermark {
    /// Returns the watermark as of `earliest` or later. The caller waits for the read in progress and, if that read began
    /// before `earliest`, for the next one. Each read runs in its own task, so it completes even if its callers disconnect.
    ///
    /// # Errors
    /// Those of the read, if one that began meanwhile failed.
    pub(super) async fn not_before<R>(
        &self,
        earliest: Instant,
        runtime: &Handle,
        read: impl Fn() -> R,
    ) -> Result<DateTime<Utc>, StoreError>
    where
        R: Future<Output = Result<DateTime<Utc>, StoreError>> + Send + 'static,
    {
        if let Some(watermark) = self.0.borrow().not_before(earliest) {
            return Ok(watermark);
        }
        let asked_at = Instant::now();
        let mut reads = self.0.subscribe();
        loop {
            match self.next(earliest, asked_at) {
                Next::Answer(answer) => return answer,
                Next::Begin => drop(runtime.spawn(Reading::begin(self.clone()).end_with(read()))),
                Next::Wait => {}
            }
            reads.changed().await.map_err(StoreError::unavailable)?;
        }
    }

    fn next(&self, earliest: Instant, asked_at: Instant) -> Next {
        let mut next = Next::Wait;
        self.0.send_if_modified(|reads| {
            if let Some(watermark) = reads.not_before(earliest) {
                next = Next::Answer(Ok(watermark));
            } else if let Some(failure) = reads.failure_since(asked_at) {
                next = Next::Answer(Err(failure));
            } else if !reads.in_progress {
                reads.in_progress = true;
                next = Next::Begin;
            }
            false
        });
        next
    }
}

impl Reads {
    fn not_before(&self, earliest: Instant) -> Option<DateTime<Utc>> {
        let last = self.last.as_ref().filter(|last| last.began_at >= earliest)?;
        last.watermark.as_ref().ok().copied()
    }

    fn failure_since(&self, asked_at: Instant) -> Option<StoreError> {
        let last = self.last.as_ref().filter(|last| last.began_at >= asked_at)?;
        last.watermark.as_ref().err().cloned()
    }
}

/// A read in progress. Dropping it, also in a panic, notifies those who wait.
struct Reading {
    of: SharedWatermark,
    began_at: Instant,
    watermark: Result<DateTime<Utc>, StoreError>,
}

impl Reading {
    fn begin(of: SharedWatermark) -> Self {
        Self {
            of,
            began_at: Instant::now(),
            watermark: Err(StoreError::unavailable("the read of the watermark did not end")),
        }
    }

    async fn end_with(mut self, read: impl Future<Output = Result<DateTime<Utc>, StoreError>>) {
        self.watermark = read.await;
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let ended = Ended {
            began_at: self.began_at,
            watermark: self.watermark.clone(),
        };
        self.of.0.send_modify(|reads| {
            reads.in_progress = false;
            reads.last = Some(ended);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Reads that take a second each; the one with this number fails. The watermark is the number of its read.
    #[derive(Clone, Default)]
    struct Asking {
        shared: SharedWatermark,
        reads: Arc<AtomicI64>,
        failing: Option<i64>,
    }

    impl Asking {
        async fn ask(&self, age: Duration) -> Option<i64> {
            let (reads, failing) = (self.reads.clone(), self.failing);
            let read = move || {
                let number = reads.fetch_add(1, Ordering::Relaxed) + 1;
                async move {
                    sleep(SECOND).await;
                    if failing == Some(number) {
                        return Err(StoreError::unavailable("a test"));
                    }
                    Ok(DateTime::from_timestamp(number, 0).unwrap())
                }
            };
            let earliest = Instant::now() - age;
            let found = self.shared.not_before(earliest, &Handle::current(), read).await;
            found.ok().map(|watermark| watermark.timestamp())
        }

        /// What those who ask at these times get, in tenths of a second, and when.
        async fn ask_at(&self, tenths: &[u32], age: Duration) -> Vec<(Option<i64>, u128)> {
            let start = Instant::now();
            let mut asking = JoinSet::new();
            for (at, tenth) in tenths.iter().copied().enumerate() {
                let this = self.clone();
                asking.spawn(async move {
                    sleep(SECOND / 10 * tenth).await;
                    (at, this.ask(age).await, start.elapsed().as_millis() / 100)
                });
            }
            let mut answers = asking.join_all().await;
            answers.sort();
            answers
                .into_iter()
                .map(|(_, found, when)| (found, when))
                .collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_during_a_read_gets_the_next_one_which_all_of_them_share() {
        sleep(SECOND * 10).await;
        let asking = Asking::default();
        let answers = asking.ask_at(&[0, 1, 5, 9], Duration::ZERO).await;
        assert_eq!(
            answers,
            [(Some(1), 10), (Some(2), 20), (Some(2), 20), (Some(2), 20)]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_needs_no_newer_one_gets_the_read_in_progress_or_the_last() {
        sleep(SECOND * 10).await;
        let asking = Asking::default();
        let answers = asking.ask_at(&[0, 5, 14, 16], SECOND * 3 / 2).await;
        assert_eq!(
            answers,
            [(Some(1), 10), (Some(1), 10), (Some(1), 14), (Some(2), 26)]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_ends_the_wait_of_those_who_asked_before_that_read_began() {
        sleep(SECOND * 10).await;
        let asking = Asking {
            failing: Some(1),
            ..Asking::default()
        };
        let answers = asking.ask_at(&[0, 5], Duration::ZERO).await;
        assert_eq!(answers, [(None, 10), (Some(2), 20)]);
        let asking = Asking {
            failing: Some(2),
            ..Asking::default()
        };
        let answers = asking.ask_at(&[0, 1, 5, 25], Duration::ZERO).await;
        assert_eq!(answers, [(Some(1), 10), (None, 20), (None, 20), (Some(3), 35)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_goes_on_when_the_one_who_began_it_leaves() {
        sleep(SECOND * 10).await;
        let asking = Asking::default();
        let left = tokio::time::timeout(SECOND / 2, asking.ask(Duration::ZERO)).await;
        assert!(left.is_err());
        sleep(SECOND).await;
        assert_eq!(asking.ask(SECOND * 2).await, Some(1));
    }
}
