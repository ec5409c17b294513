//! From the broker to the judge.

use std::time::Duration;

use tonghop_events::{Queued, Verdict, encode};

use crate::outbox::{MemoryOutbox, Relay};
use crate::recorder::{Consumer, Recorder};
use crate::scene::{RECOVERY, Scene, User, eventually, recorded};

#[tokio::test(flavor = "multi_thread")]
async fn news_reach_the_judge_in_batches_and_leave_the_queue() {
    let scene = Scene::start().await;
    let judge = Recorder::pondering();
    let consumer = Consumer::start(&judge, scene.bus(User::Aggregator)).await;
    scene
        .put((0..450).map(|revision| encode(&recorded(revision))))
        .await;
    eventually("the first batch", RECOVERY, async || judge.batches().len() == 1).await;
    // While the judge ponders, the broker hands out as many as are allowed to be unsettled.
    scene.holds("aggregator", 250).await;
    for _ in 0..450 {
        judge.decide();
    }
    judge.sees(449, RECOVERY).await;
    eventually("all settled", RECOVERY, async || {
        judge.seen() == (0..450).collect::<Vec<_>>()
    })
    .await;
    let largest = judge.batches().iter().map(Vec::len).max();
    assert!(
        largest.is_some_and(|size| (2..=200).contains(&size)),
        "{largest:?}"
    );
    consumer.stop().await;
    scene.holds("aggregator", 0).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_message_is_put_aside_and_its_neighbours_are_judged() {
    let scene = Scene::start().await;
    let judge = Recorder::saying([]);
    let consumer = Consumer::start(&judge, scene.bus(User::Aggregator)).await;
    let broken = || b"{\"specversion\":\"1.0\"}".to_vec();
    let bodies = [encode(&recorded(1)), broken(), encode(&recorded(2)), broken()];
    scene.put(bodies).await;
    judge.sees(2, RECOVERY).await;
    scene.holds("dead-letters", 2).await;
    assert_eq!(scene.take("dead-letters").await.unwrap().data, broken());
    consumer.stop().await;
    assert_eq!(judge.seen(), [1, 2]);
    scene.holds("aggregator", 0).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn news_that_must_wait_come_again_until_they_are_done() {
    let scene = Scene::start().await;
    let judge = Recorder::saying([Verdict::Retry, Verdict::Retry]);
    let consumer = Consumer::start(&judge, scene.bus(User::Aggregator)).await;
    let begin = std::time::Instant::now();
    scene.put([encode(&recorded(1))]).await;
    eventually("three times", RECOVERY, async || judge.seen() == [1, 1, 1]).await;
    assert!(
        begin.elapsed() >= Duration::from_millis(600),
        "came again without the pauses"
    );
    consumer.stop().await;
    scene.holds("aggregator", 0).await;
    scene.holds("dead-letters", 0).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_put_aside() {
    let scene = Scene::start().await;
    let judge = Recorder::saying([Verdict::Poison]);
    let consumer = Consumer::start(&judge, scene.bus(User::Aggregator)).await;
    scene.put([encode(&recorded(1))]).await;
    scene.holds("dead-letters", 1).await;
    scene.put([encode(&recorded(2))]).await;
    judge.sees(2, RECOVERY).await;
    consumer.stop().await;
    assert_eq!(judge.seen(), [1, 2]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_judge_is_let_finish_before_the_consumer_stops() {
    let scene = Scene::start().await;
    let judge = Recorder::pondering();
    let consumer = Consumer::start(&judge, scene.bus(User::Aggregator)).await;
    scene.put([encode(&recorded(1))]).await;
    judge.sees(1, RECOVERY).await;
    consumer.begin_to_stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!consumer.has_stopped());
    judge.decide();
    consumer.stop().await;
    scene.holds("aggregator", 0).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_is_made_again_and_listened_to() {
    let scene = Scene::start().await;
    let judge = Recorder::saying([]);
    let consumer = Consumer::start(&judge, scene.bus(User::Aggregator)).await;
    scene.delete_queue("aggregator").await;
    eventually("it notices", RECOVERY, async || consumer.health.reconnects() == 1).await;
    scene.put([encode(&recorded(1))]).await;
    judge.sees(1, RECOVERY).await;
    consumer.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_exchange_is_made_again_and_bound_to_the_queue() {
    let scene = Scene::start().await;
    let judge = Recorder::saying([]);
    let consumer = Consumer::start(&judge, scene.bus(User::Aggregator)).await;
    let outbox = MemoryOutbox::default();
    let relay = Relay::start(&outbox, scene.bus(User::Api));
    relay.connects().await;
    scene.delete_exchange("events").await;
    // The broker tells nobody. The publisher finds out, and may not mend it.
    outbox.add(&[recorded(1)]);
    relay.wake();
    eventually("the relay is back", 2 * RECOVERY, async || {
        relay.health.reconnects() == 1
    })
    .await;
    outbox.add(&[recorded(2)]);
    relay.wake();
    judge.sees(2, RECOVERY).await;
    assert_eq!(consumer.health.reconnects(), 0);
    relay.stop().await;
    consumer.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_known_how_many_messages_wait_and_how_many_were_put_aside() {
    let scene = Scene::with_queues().await;
    scene
        .put((0..450).map(|revision| encode(&recorded(revision))))
        .await;
    let judge = Recorder::pondering();
    let consumer = Consumer::start(&judge, scene.bus(User::Aggregator)).await;
    let queued = |aggregator, dead_letters| {
        Some(Queued {
            aggregator,
            dead_letters,
        })
    };
    assert_eq!(consumer.health.queued(), queued(450, 0));
    scene.put([b"x".to_vec()]).await;
    for _ in 0..450 {
        judge.decide();
    }
    let told = async || consumer.health.queued() == queued(0, 1);
    eventually("it is told", 2 * RECOVERY, told).await;
    let health = consumer.health.clone();
    consumer.stop().await;
    assert_eq!(health.queued(), None, "nobody looks any longer");
    scene.end().await;
}
