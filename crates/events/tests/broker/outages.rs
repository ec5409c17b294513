//! Outages of the network and of the broker.

use std::time::Duration;

use tonghop_domain::Envelope;
use tonghop_events::{AmqpSettings, Bus};

use crate::outbox::{MemoryOutbox, Relay};
use crate::proxy::Proxy;
use crate::recorder::{Consumer, Recorder};
use crate::scene::{RECOVERY, Scene, User, eventually, recorded};

#[tokio::test(flavor = "multi_thread")]
async fn relay_and_consumer_recover_after_a_network_cut() {
    let scene = Scene::with_queues().await;
    let proxy = Proxy::start(scene.broker_address()).await;
    let (outbox, handler) = (MemoryOutbox::default(), Recorder::returning([]));
    let relay = Relay::start(&outbox, scene.bus_through(proxy.port, User::Api));
    let consumer = Consumer::start(&handler, scene.bus_through(proxy.port, User::Aggregator)).await;
    relay.wait_until_connected().await;

    proxy.cut();
    let noticed = async || !relay.health.connected() && !consumer.health.connected();
    eventually("both notice", RECOVERY, noticed).await;
    let claims = outbox.claims();
    let envelopes: Vec<Envelope> = (0..100).map(recorded).collect();
    outbox.add(&envelopes);
    relay.wake();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        outbox.claims(),
        claims,
        "the relay claims rows that it cannot publish"
    );

    proxy.restore();
    outbox.wait_until_settled(&envelopes, RECOVERY).await;
    handler.wait_for(99, RECOVERY).await;
    eventually("all are handled", RECOVERY, async || {
        handler.handled() == (0..100).collect::<Vec<_>>()
    })
    .await;
    assert_eq!((relay.health.reconnects(), consumer.health.reconnects()), (1, 1));
    relay.stop().await;
    consumer.stop().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_network_blocks_neither_the_relay_nor_its_threads() {
    let scene = Scene::start().await;
    let own_threads = io_threads();
    scene.declare_queues().await;
    let proxy = Proxy::start(scene.broker_address()).await;
    let outbox = MemoryOutbox::default();
    let relay = Relay::start(&outbox, scene.bus_through(proxy.port, User::Api));
    relay.wait_until_connected().await;

    proxy.stall();
    let envelopes: Vec<Envelope> = (0..10).map(recorded).collect();
    outbox.add(&envelopes);
    relay.wake();
    eventually("the relay gives up the window", RECOVERY * 2, async || {
        !relay.health.connected()
    })
    .await;
    // Long enough for two attempts to connect without an answer.
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(
        io_threads() <= own_threads + 1,
        "threads of abandoned connections still run"
    );
    assert!(outbox.settled().is_empty());

    proxy.restore();
    outbox.wait_until_settled(&envelopes, RECOVERY).await;
    relay.stop().await;
    eventually("no thread is left", RECOVERY, async || {
        io_threads() == own_threads
    })
    .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_the_relay_keeps_retrying_until_it_is_stopped() {
    // A port on which nothing listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let bus = Bus::Amqp(AmqpSettings::parse(&format!("amqp://127.0.0.1:{port}"), "test").unwrap());
    let outbox = MemoryOutbox::holding(&[recorded(1)]);
    let relay = Relay::start(&outbox, bus);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!relay.health.connected());
    assert_eq!(outbox.claims(), 0);
    relay.stop().await;
}

/// The number of lapin's threads: one per connection.
fn io_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("lapin-io-loop")).count()
}
