//! From the outbox to the broker.

use tonghop_domain::Envelope;
use tonghop_events::decode;

use crate::outbox::{MemoryOutbox, Relay};
use crate::recorder::{Consumer, Recorder};
use crate::scene::{RECOVERY, Scene, User, eventually, recorded, total_changed};

#[tokio::test(flavor = "multi_thread")]
async fn announcements_are_published_and_then_settled() {
    let scene = Scene::with_queues().await;
    let envelopes: Vec<Envelope> = (0..1200).map(recorded).collect();
    let outbox = MemoryOutbox::holding(&envelopes);
    let relay = Relay::start(&outbox, scene.bus(User::Api));
    outbox.wait_until_settled(&envelopes, RECOVERY).await;
    scene.wait_for_depth("aggregator", 1200).await;
    relay.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_persistent_and_carries_id_content_type_and_routing_key() {
    let scene = Scene::with_queues().await;
    let envelope = recorded(1);
    let outbox = MemoryOutbox::holding(std::slice::from_ref(&envelope));
    let relay = Relay::start(&outbox, scene.bus(User::Api));
    outbox
        .wait_until_settled(std::slice::from_ref(&envelope), RECOVERY)
        .await;
    let message = scene.take("aggregator").await.unwrap();
    assert_eq!(decode(&message.data).unwrap(), envelope);
    assert_eq!(*message.properties.delivery_mode(), Some(2));
    assert_eq!(
        *message.properties.message_id(),
        Some(envelope.id.to_string().into())
    );
    assert_eq!(
        *message.properties.content_type(),
        Some("application/cloudevents+json".into())
    );
    assert_eq!(
        message.routing_key.as_str(),
        "vn.tonghop.submission.recorded.v1.87.ngay-30-7"
    );
    assert_eq!(message.exchange, scene.name("events"));
    relay.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_total_is_settled_without_a_subscriber() {
    let scene = Scene::with_queues().await;
    let envelopes = [total_changed(1), recorded(1), total_changed(2)];
    let outbox = MemoryOutbox::holding(&envelopes);
    let relay = Relay::start(&outbox, scene.bus(User::Api));
    outbox.wait_until_settled(&envelopes, RECOVERY).await;
    scene.wait_for_depth("aggregator", 1).await;
    relay.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_up_makes_the_relay_read_the_outbox_at_once() {
    let scene = Scene::with_queues().await;
    let outbox = MemoryOutbox::default();
    let relay = Relay::start(&outbox, scene.bus(User::Api));
    relay.wait_until_connected().await;
    for revision in 1..=20 {
        outbox.add(&[recorded(revision)]);
        relay.wake();
        let settled = async || outbox.settled().len() == usize::try_from(revision).unwrap();
        // Well below the interval at which the relay polls.
        eventually("settled", std::time::Duration::from_millis(250), settled).await;
    }
    relay.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unroutable_announcements_are_settled_and_counted() {
    let scene = Scene::with_queues().await;
    let outbox = MemoryOutbox::default();
    let relay = Relay::start(&outbox, scene.bus(User::Api));
    relay.wait_until_connected().await;
    scene.delete_queue("aggregator").await;

    // Changed totals need no queue, but lapin may attach the returned message of another announcement to their confirms.
    let envelopes: Vec<Envelope> = (0..250)
        .flat_map(|n| [recorded(n), total_changed(n.into())])
        .collect();
    outbox.add(&envelopes);
    relay.wake();
    outbox.wait_until_settled(&envelopes, RECOVERY).await;
    assert_eq!(relay.health.unroutable(), 250);
    assert_eq!(
        relay.health.reconnects(),
        0,
        "the relay neither gives up nor reconnects"
    );

    // As soon as an aggregator has declared its queue, announcements reach it.
    scene.declare_queues().await;
    outbox.add(&[recorded(250)]);
    relay.wake();
    scene.wait_for_depth("aggregator", 1).await;
    assert_eq!(relay.health.unroutable(), 250);
    relay.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_aggregator_runs_the_outbox_does_not_grow() {
    let scene = Scene::start().await;
    let early: Vec<Envelope> = (0..1200).map(recorded).collect();
    let outbox = MemoryOutbox::holding(&early);
    let relay = Relay::start(&outbox, scene.bus(User::Api));
    outbox.wait_until_settled(&early, RECOVERY).await;
    assert!(!relay.health.connected());

    let handler = Recorder::returning([]);
    let consumer = Consumer::start(&handler, scene.bus(User::Aggregator)).await;
    relay.wait_until_connected().await;
    outbox.add(&[recorded(1200)]);
    relay.wake();
    handler.wait_for(1200, RECOVERY).await;
    relay.stop().await;
    consumer.stop().await;
    scene.end().await;
}
