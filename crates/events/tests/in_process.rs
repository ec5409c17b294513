//! Promises of the bus inside one process.
#![expect(clippy::unwrap_used, reason = "a failed test should say where")]

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Announcement, Envelope, Outbox, RecordedRevision, SubmissionId};
use tonghop_events::{Bus, Disposition, Handler, Health, consume, relay};
use uuid::Uuid;

/// Both ends in one: the outbox that the relay drains, and the handler of the consumer.
#[derive(Default)]
struct Ends {
    waiting: Mutex<Vec<Envelope>>,
    settled: Mutex<usize>,
    dispositions: Mutex<VecDeque<Disposition>>,
    handled: Mutex<Vec<Announcement>>,
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

    async fn wait_until(&self, condition: impl Fn() -> bool) {
        let reached = async {
            while !condition() {
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), reached)
            .await
            .unwrap();
    }

    fn handled(&self) -> Vec<Announcement> {
        self.handled.lock().unwrap().clone()
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

impl Handler for Ends {
    async fn handle(&self, announcements: &[Announcement]) -> Disposition {
        assert!((1..=200).contains(&announcements.len()));
        self.handled.lock().unwrap().extend_from_slice(announcements);
        self.changed.notify_one();
        self.dispositions
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Disposition::Ack)
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

/// Runs a relay and a consumer over one bus until a condition holds, then stops both.
async fn run(ends: &Ends, condition: impl Fn() -> bool) {
    let (bus, wake, health) = (
        Bus::in_process(),
        Notify::new(),
        [Health::default(), Health::default()],
    );
    let stop = CancellationToken::new();
    let stopping = async {
        ends.wait_until(condition).await;
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
async fn the_handler_gets_announcements_of_stale_totals_and_all_are_settled() {
    let ends = Ends::holding([recorded(1), total_changed(), recorded(2)]);
    run(&ends, || {
        ends.handled().len() == 2 && *ends.settled.lock().unwrap() == 3
    })
    .await;
    assert_eq!(ends.handled(), [recorded(1), recorded(2)]);
}

#[tokio::test]
async fn requeued_announcements_are_redelivered_after_growing_pauses() {
    let ends = Ends::holding([recorded(1)]);
    ends.dispositions.lock().unwrap().extend([
        Disposition::Requeue,
        Disposition::Requeue,
        Disposition::DeadLetter,
        Disposition::Ack,
    ]);
    let begin = Instant::now();
    run(&ends, || ends.handled().len() == 3).await;
    assert!(
        begin.elapsed() >= Duration::from_millis(300),
        "redelivered without the pauses"
    );
    assert_eq!(ends.handled(), [recorded(1), recorded(1), recorded(1)]);
}

#[tokio::test]
async fn without_a_consumer_ten_thousand_announcements_wait_and_the_rest_drop() {
    let ends = Ends::holding((0..10_100).map(recorded));
    let (bus, wake, health) = (Bus::in_process(), Notify::new(), Health::default());
    let stop = CancellationToken::new();
    let stopping = async {
        ends.wait_until(|| *ends.settled.lock().unwrap() == 10_100).await;
        stop.cancel();
    };
    tokio::join!(relay(&ends, &bus, &wake, &health, &stop), stopping);

    let stop = CancellationToken::new();
    let stopping = async {
        ends.wait_until(|| ends.handled().len() >= 10_000).await;
        // Leaves time for more deliveries, if there were any.
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.cancel();
    };
    tokio::join!(consume(&bus, &ends, &health, &stop), stopping);
    assert_eq!(ends.handled().len(), 10_000);
    assert_eq!(ends.handled().last(), Some(&recorded(9_999)));
}
