//! Lines of a batch about the same submission are applied in their order.

use std::collections::HashMap;

use tokio::sync::oneshot;
use tonghop_domain::SubmissionKey;

/// TotalRef how many lines are worked on at once. When many more keys are known, those that are done are forgotten.
const IN_FLIGHT: usize = 64;

/// Whose turn it is, for lines about the same submission.
#[derive(Debug, Default)]
pub(crate) struct Turns(HashMap<SubmissionKey, oneshot::Receiver<()>>);

/// A line's place in the row: after the one before, whose end of the channel goes away with it.
#[derive(Debug)]
pub(crate) struct Turn {
    before: Option<oneshot::Receiver<()>>,
    mine: oneshot::Sender<()>,
}

impl Turns {
    pub(crate) fn take(&mut self, key: &SubmissionKey) -> Turn {
        if self.0.len() > 2 * IN_FLIGHT {
            let unfinished = |last: &mut oneshot::Receiver<()>| {
                last.try_recv() == Err(oneshot::error::TryRecvError::Empty)
            };
            self.0.retain(|_, last| unfinished(last));
        }
        let (mine, last) = oneshot::channel();
        Turn {
            before: self.0.insert(key.clone(), last),
            mine,
        }
    }
}

impl Turn {
    /// Waits for the one before, then works, then lets the next one begin.
    pub(crate) async fn then<T>(self, work: impl Future<Output = T>) -> T {
        if let Some(before) = self.before {
            // It never sends; that it is gone is the sign.
            before.await.unwrap_or_default();
        }
        let done = work.await;
        drop(self.mine);
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
    fn lines_about_one_submission_are_applied_in_order_and_forgotten() {
        let mut turns = Turns::default();
        let applied = RefCell::new(Vec::new());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let lines = iter(0..2_000u32).map(|line| {
                let turn = turns.take(&key(i64::from(line % 300)));
                let applied = &applied;
                turn.then(async move {
                    for _ in 0..(line * 7) % 13 {
                        tokio::task::yield_now().await;
                    }
                    applied.borrow_mut().push(line);
                })
            });
            lines.buffered(IN_FLIGHT).for_each(|()| async {}).await;
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
        assert!(turns.0.len() <= 2 * IN_FLIGHT + 1);
    }
}
