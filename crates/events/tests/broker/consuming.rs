//! From the broker to the handler.

use std::time::Duration;

use tonghop_events::{Disposition, QueueDepths, encode};

use crate::outbox::{MemoryOutbox, Relay};
use crate::recorder::{Consumer, Recorder};
use crate::scene::{RECOVERY, SOURCE, Scene, User, eventually, recorded};

#[tokio::test(flavor = "multi_thread")]
async fn announcements_reach_the_handler_in_batches_and_leave_the_queue() {
    let scene = Scene::start().await;
    let handler = Recorder::blocked();
    let consumer = Consumer::start(&handler, scene.bus(User::Aggregator)).await;
    scene
        .put((0..450).map(|revision| encode(&recorded(revision), SOURCE)))
        .await;
    eventually("the first batch", RECOVERY, async || handler.batches().len() == 1).await;
    // While the handler is blocked, the broker delivers only as many messages as may be unsettled.
    scene.wait_for_depth("aggregator", 250).await;
    for _ in 0..450 {
        handler.unblock_one();
    }
    handler.wait_for(449, RECOVERY).await;
    eventually("all settled", RECOVERY, async || {
        handler.handled() == (0..450).collect::<Vec<_>>()
    })
    .await;
    let largest = handler.batches().iter().map(Vec::len).max();
    assert!(
        largest.is_some_and(|size| (2..=200).contains(&size)),
        "{largest:?}"
    );
    consumer.stop().await;
    scene.wait_for_depth("aggregator", 0).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_message_is_dead_lettered_and_the_others_are_handled() {
    let scene = Scene::start().await;
    let handler = Recorder::returning([]);
    let consumer = Consumer::start(&handler, scene.bus(User::Aggregator)).await;
    let broken = || b"{\"specversion\":\"1.0\"}".to_vec();
    let bodies = [
        encode(&recorded(1), SOURCE),
        broken(),
        encode(&recorded(2), SOURCE),
        broken(),
    ];
    scene.put(bodies).await;
    handler.wait_for(2, RECOVERY).await;
    scene.wait_for_depth("dead-letters", 2).await;
    assert_eq!(scene.take("dead-letters").await.unwrap().data, broken());
    consumer.stop().await;
    assert_eq!(handler.handled(), [1, 2]);
    scene.wait_for_depth("aggregator", 0).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requeued_announcements_are_redelivered_after_growing_pauses() {
    let scene = Scene::start().await;
    let handler = Recorder::returning([Disposition::Requeue, Disposition::Requeue]);
    let consumer = Consumer::start(&handler, scene.bus(User::Aggregator)).await;
    let begin = std::time::Instant::now();
    scene.put([encode(&recorded(1), SOURCE)]).await;
    eventually("three times", RECOVERY, async || handler.handled() == [1, 1, 1]).await;
    assert!(
        begin.elapsed() >= Duration::from_millis(300),
        "redelivered without the pauses"
    );
    consumer.stop().await;
    scene.wait_for_depth("aggregator", 0).await;
    scene.wait_for_depth("dead-letters", 0).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_announcement_is_dead_lettered() {
    let scene = Scene::start().await;
    let handler = Recorder::returning([Disposition::DeadLetter]);
    let consumer = Consumer::start(&handler, scene.bus(User::Aggregator)).await;
    scene.put([encode(&recorded(1), SOURCE)]).await;
    scene.wait_for_depth("dead-letters", 1).await;
    scene.put([encode(&recorded(2), SOURCE)]).await;
    handler.wait_for(2, RECOVERY).await;
    consumer.stop().await;
    assert_eq!(handler.handled(), [1, 2]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_stops_after_its_handler_has_finished() {
    let scene = Scene::start().await;
    let handler = Recorder::blocked();
    let consumer = Consumer::start(&handler, scene.bus(User::Aggregator)).await;
    scene.put([encode(&recorded(1), SOURCE)]).await;
    handler.wait_for(1, RECOVERY).await;
    consumer.begin_to_stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!consumer.has_stopped());
    handler.unblock_one();
    consumer.stop().await;
    scene.wait_for_depth("aggregator", 0).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_is_declared_again_and_consumed() {
    let scene = Scene::start().await;
    let handler = Recorder::returning([]);
    let consumer = Consumer::start(&handler, scene.bus(User::Aggregator)).await;
    scene.delete_queue("aggregator").await;
    eventually("the consumer reconnects", RECOVERY, async || {
        consumer.health.reconnects() == 1
    })
    .await;
    scene.put([encode(&recorded(1), SOURCE)]).await;
    handler.wait_for(1, RECOVERY).await;
    consumer.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_exchange_is_declared_again_and_bound_to_the_queue() {
    let scene = Scene::start().await;
    let handler = Recorder::returning([]);
    let consumer = Consumer::start(&handler, scene.bus(User::Aggregator)).await;
    let outbox = MemoryOutbox::default();
    let relay = Relay::start(&outbox, scene.bus(User::Api));
    relay.wait_until_connected().await;
    scene.delete_exchange("events").await;
    // The broker notifies no one. The publisher finds out, but may not declare the exchange.
    outbox.add(&[recorded(1)]);
    relay.wake();
    eventually("the relay reconnects", 2 * RECOVERY, async || {
        relay.health.reconnects() == 1
    })
    .await;
    outbox.add(&[recorded(2)]);
    relay.wake();
    handler.wait_for(2, RECOVERY).await;
    assert_eq!(consumer.health.reconnects(), 0);
    relay.stop().await;
    consumer.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connected_consumer_reports_the_depths_of_both_queues() {
    let scene = Scene::with_queues().await;
    scene
        .put((0..450).map(|revision| encode(&recorded(revision), SOURCE)))
        .await;
    let handler = Recorder::blocked();
    let consumer = Consumer::start(&handler, scene.bus(User::Aggregator)).await;
    let depths = |aggregator, dead_letters| {
        Some(QueueDepths {
            aggregator,
            dead_letters,
        })
    };
    assert_eq!(consumer.health.queue_depths(), depths(450, 0));
    scene.put([b"x".to_vec()]).await;
    for _ in 0..450 {
        handler.unblock_one();
    }
    let updated = async || consumer.health.queue_depths() == depths(0, 1);
    eventually("the depths are updated", 2 * RECOVERY, updated).await;
    let health = consumer.health.clone();
    consumer.stop().await;
    assert_eq!(health.queue_depths(), None, "no consumer reads them any longer");
    scene.end().await;
}
