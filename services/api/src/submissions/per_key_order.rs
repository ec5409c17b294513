//! Applies the lines of a batch that are about the same submission in their order.

use std::collections::HashMap;

use tokio::sync::oneshot;
use tonghop_domain::SubmissionKey;

/// The number of lines in flight. Once more than twice as many submissions are known, finished ones are forgotten.
pub(crate) const LINES_IN_FLIGHT: usize = 64;

/// For each submission, the last line that is about it.
#[derive(Debug, Default)]
pub(crate) struct PerKeyOrder(HashMap<SubmissionKey, oneshot::Receiver<()>>);

/// The position of a line: after the previous line about the same submission, which drops its end of a channel when it
/// is finished.
#[derive(Debug)]
pub(crate) struct Turn {
    previous: Option<oneshot::Receiver<()>>,
    finished: oneshot::Sender<()>,
}

impl PerKeyOrder {
    /// Queues a line about a submission.
    pub(crate) fn enqueue(&mut self, key: &SubmissionKey) -> Turn {
        if self.0.len() > 2 * LINES_IN_FLIGHT {
            let unfinished = |last: &mut oneshot::Receiver<()>| {
                last.try_recv() == Err(oneshot::error::TryRecvError::Empty)
            };
            self.0.retain(|_, last| unfinished(last));
        }
        let (finished, last) = oneshot::channel();
        Turn {
            previous: self.0.insert(key.clone(), last),
            finished,
        }
    }
}

impl Turn {
    /// Waits for the previous line, then runs `work`, then releases the next line.
    pub(crate) async fn run<T>(self, work: impl Future<Output = T>) -> T {
        if let Some(previous) = self.previous {
            // Nothing is ever sent: the dropped sender is the signal.
            previous.await.unwrap_or_default();
        }
        let done = work.await;
        drop(self.finished);
        done
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_util::StreamExt;
    use futures_util::stream::iter;
    use tonghop_domain::UnitId;

    use super::*;

    fn key(unit: i64) -> SubmissionKey {
        SubmissionKey {
            form: "ngay-30-7".parse().unwrap(),
            period: "2021-07".parse().unwrap(),
            unit: UnitId(unit),
        }
    }

    #[test]
    fn lines_about_one_submission_are_applied_in_order() {
        let mut order = PerKeyOrder::default();
        let applied = RefCell::new(Vec::new());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let lines = iter(0..2_000u32).map(|line| {
                let turn = order.enqueue(&key(i64::from(line % 300)));
                let applied = &applied;
                turn.run(async move {
                    for _ in 0..(line * 7) % 13 {
                        tokio::task::yield_now().await;
                    }
                    applied.borrow_mut().push(line);
                })
            });
            lines.buffered(LINES_IN_FLIGHT).for_each(|()| async {}).await;
        });
        let applied = applied.into_inner();
        assert_eq!(applied.len(), 2_000);
        for unit in 0..300 {
            let lines: Vec<u32> = applied
                .iter()
                .copied()
                .filter(|line| line % 300 == unit)
                .collect();
            assert!(lines.is_sorted(), "{lines:?}");
        }
        assert!(order.0.len() <= 2 * LINES_IN_FLIGHT + 1);
    }
}
