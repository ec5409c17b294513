//! What the bus inside one process promises.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Announcement, Envelope, Outbox, RecordedRevision, SubmissionId};
use tonghop_events::{Bus, Health, Judge, Verdict, consume, relay};
use uuid::Uuid;

/// Both ends in one: the outbox the relay empties and the judge the consumer asks.
#[derive(Default)]
struct Ends {
    waiting: Mutex<Vec<Envelope>>,
    settled: Mutex<usize>,
    verdicts: Mutex<VecDeque<Verdict>>,
    judged: Mutex<Vec<Announcement>>,
    changed: Notify,
}

impl Ends {
    fn holding(announcements: impl IntoIterator<Item = Announcement>) -> Self {
        let envelope = |announcement| Envelope {
            id: Uuid::now_v7(),
            at: Utc::now(),
            announcement,
        };
        Self {
            waiting: Mutex::new(announcements.into_iter().map(envelope).collect()),
            ..Self::default()
        }
    }

    async fn until(&self, so: impl Fn() -> bool) {
        let reached = async {
            while !so() {
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), reached)
            .await
            .unwrap();
    }

    fn judged(&self) -> Vec<Announcement> {
        self.judged.lock().unwrap().clone()
    }
}

impl Outbox for Ends {
    type Error = std::convert::Infallible;

    async fn claim(&self, limit: usize) -> Result<Vec<Envelope>, Self::Error> {
        let mut waiting = self.waiting.lock().unwrap();
        let count = limit.min(waiting.len());
        Ok(waiting.drain(..count).collect())
    }

    async fn settle(&self, published: &[Uuid]) -> Result<(), Self::Error> {
        *self.settled.lock().unwrap() += published.len();
        self.changed.notify_one();
        Ok(())
    }
}

impl Judge for Ends {
    async fn judge(&self, news: &[Announcement]) -> Verdict {
        assert!((1..=200).contains(&news.len()));
        self.judged.lock().unwrap().extend_from_slice(news);
        self.changed.notify_one();
        self.verdicts.lock().unwrap().pop_front().unwrap_or(Verdict::Done)
    }
}

fn recorded(revision: i32) -> Announcement {
    let submission = RecordedRevision {
        id: SubmissionId(Uuid::nil()),
        unit: "866".parse().unwrap(),
        revision,
    };
    Announcement::SubmissionsRecorded {
        form: "ngay-30-7".parse().unwrap(),
        period: "2021-07".parse().unwrap(),
        province: "87".parse().unwrap(),
        submissions: vec![submission],
    }
}

fn total_changed() -> Announcement {
    Announcement::TotalChanged {
        form: "ngay-30-7".parse().unwrap(),
        period: "2021-07".parse().unwrap(),
        province: "87".parse().unwrap(),
        unit: "87".parse().unwrap(),
        version: 1,
    }
}

/// Runs a relay and a consumer over one bus until `so`, then stops both.
async fn run(ends: &Ends, so: impl Fn() -> bool) {
    let (bus, wake, health) = (
        Bus::in_process(),
        Notify::new(),
        [Health::default(), Health::default()],
    );
    let stop = CancellationToken::new();
    let stopping = async {
        ends.until(so).await;
        assert!(health[0].connected() && health[1].connected());
        stop.cancel();
    };
    tokio::join!(
        relay(ends, &bus, &wake, &health[0], &stop),
        consume(&bus, ends, &health[1], &stop),
        stopping
    );
    assert!(!health[0].connected() && !health[1].connected());
}

#[tokio::test]
async fn only_what_makes_totals_stale_reaches_the_judge_and_all_is_settled() {
    let ends = Ends::holding([recorded(1), total_changed(), recorded(2)]);
    run(&ends, || {
        ends.judged().len() == 2 && *ends.settled.lock().unwrap() == 3
    })
    .await;
    assert_eq!(ends.judged(), [recorded(1), recorded(2)]);
}

#[tokio::test]
async fn news_that_must_wait_come_again_until_they_are_done() {
    let ends = Ends::holding([recorded(1)]);
    ends.verdicts
        .lock()
        .unwrap()
        .extend([Verdict::Retry, Verdict::Retry, Verdict::Poison, Verdict::Done]);
    let begin = Instant::now();
    run(&ends, || ends.judged().len() == 3).await;
    assert!(
        begin.elapsed() >= Duration::from_millis(600),
        "came again without the pauses"
    );
    assert_eq!(ends.judged(), [recorded(1), recorded(1), recorded(1)]);
}

#[tokio::test]
async fn what_nobody_takes_is_settled_and_dropped_beyond_ten_thousand() {
    let ends = Ends::holding((0..10_100).map(recorded));
    let (bus, wake, health) = (Bus::in_process(), Notify::new(), Health::default());
    let stop = CancellationToken::new();
    let stopping = async {
        ends.until(|| *ends.settled.lock().unwrap() == 10_100).await;
        stop.cancel();
    };
    tokio::join!(relay(&ends, &bus, &wake, &health, &stop), stopping);

    let stop = CancellationToken::new();
    let stopping = async {
        ends.until(|| ends.judged().len() >= 10_000).await;
        // Time enough for more to come, if there were more.
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.cancel();
    };
    tokio::join!(consume(&bus, &ends, &health, &stop), stopping);
    assert_eq!(ends.judged().len(), 10_000);
    assert_eq!(ends.judged().last(), Some(&recorded(9_999)));
}
