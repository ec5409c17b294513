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
    outbox.settles(&envelopes, RECOVERY).await;
    scene.holds("aggregator", 1200).await;
    relay.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_outlives_the_broker_and_says_what_it_is() {
    let scene = Scene::with_queues().await;
    let envelope = recorded(1);
    let outbox = MemoryOutbox::holding(std::slice::from_ref(&envelope));
    let relay = Relay::start(&outbox, scene.bus(User::Api));
    outbox.settles(std::slice::from_ref(&envelope), RECOVERY).await;
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
async fn a_changed_total_is_settled_though_nobody_listens() {
    let scene = Scene::with_queues().await;
    let envelopes = [total_changed(1), recorded(1), total_changed(2)];
    let outbox = MemoryOutbox::holding(&envelopes);
    let relay = Relay::start(&outbox, scene.bus(User::Api));
    outbox.settles(&envelopes, RECOVERY).await;
    scene.holds("aggregator", 1).await;
    relay.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_woken_looks_at_once() {
    let scene = Scene::with_queues().await;
    let outbox = MemoryOutbox::default();
    let relay = Relay::start(&outbox, scene.bus(User::Api));
    relay.connects().await;
    for revision in 1..=20 {
        outbox.add(&[recorded(revision)]);
        relay.wake();
        let settled = async || outbox.settled().len() == usize::try_from(revision).unwrap();
        // Well below the interval at which it looks unasked.
        eventually("settled", std::time::Duration::from_millis(250), settled).await;
    }
    relay.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_queue_takes_is_let_go_and_counted() {
    let scene = Scene::with_queues().await;
    let outbox = MemoryOutbox::default();
    let relay = Relay::start(&outbox, scene.bus(User::Api));
    relay.connects().await;
    scene.delete_queue("aggregator").await;

    // A changed total goes nowhere and is fine: lapin may hang a returned neighbour on its confirm.
    let envelopes: Vec<Envelope> = (0..250)
        .flat_map(|n| [recorded(n), total_changed(n.into())])
        .collect();
    outbox.add(&envelopes);
    relay.wake();
    outbox.settles(&envelopes, RECOVERY).await;
    assert_eq!(relay.health.unheard(), 250);
    assert_eq!(relay.health.reconnects(), 0, "it neither gives up nor spins");

    // As soon as an aggregator has made its queue, it is heard.
    scene.make_queues().await;
    outbox.add(&[recorded(250)]);
    relay.wake();
    scene.holds("aggregator", 1).await;
    assert_eq!(relay.health.unheard(), 250);
    relay.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_aggregator_ever_ran_nothing_piles_up() {
    let scene = Scene::start().await;
    let early: Vec<Envelope> = (0..1200).map(recorded).collect();
    let outbox = MemoryOutbox::holding(&early);
    let relay = Relay::start(&outbox, scene.bus(User::Api));
    outbox.settles(&early, RECOVERY).await;
    assert!(!relay.health.connected());

    let judge = Recorder::saying([]);
    let consumer = Consumer::start(&judge, scene.bus(User::Aggregator)).await;
    relay.connects().await;
    outbox.add(&[recorded(1200)]);
    relay.wake();
    judge.sees(1200, RECOVERY).await;
    relay.stop().await;
    consumer.stop().await;
    scene.end().await;
}
