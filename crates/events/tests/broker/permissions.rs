//! The permissions of the broker's users in docs/secure.md. They deny everything that the programs do not need; the
//! other tests show that they allow the rest.

use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, ErrorKind, ExchangeKind};
use tonghop_events::encode;

use crate::scene::{SOURCE, Scene, User, recorded};

/// An operation that needs a permission.
#[derive(Clone, Debug)]
enum Operation {
    Declare(ShortString),
    Delete(ShortString),
    Purge(ShortString),
    Consume(ShortString),
    Get(ShortString),
    Bind(ShortString, ShortString),
    Unbind(ShortString, ShortString),
    DeclareExchange(ShortString),
    DeleteExchange(ShortString),
    Publish(ShortString, ShortString),
}

impl Operation {
    async fn attempt(&self, channel: &Channel) -> lapin::Result<()> {
        let none = FieldTable::default;
        match self.clone() {
            Self::Declare(queue) => channel
                .queue_declare(queue, QueueDeclareOptions::durable(), none())
                .await
                .map(drop),
            Self::Delete(queue) => channel
                .queue_delete(queue, QueueDeleteOptions::default())
                .await
                .map(drop),
            Self::Purge(queue) => channel
                .queue_purge(queue, QueuePurgeOptions::default())
                .await
                .map(drop),
            Self::Consume(queue) => channel
                .basic_consume(queue, "".into(), BasicConsumeOptions::default(), none())
                .await
                .map(drop),
            Self::Get(queue) => channel
                .basic_get(queue, BasicGetOptions::default())
                .await
                .map(drop),
            Self::Bind(queue, exchange) => {
                let options = QueueBindOptions::default();
                channel
                    .queue_bind(queue, exchange, "#".into(), options, none())
                    .await
            }
            Self::Unbind(queue, exchange) => channel.queue_unbind(queue, exchange, "#".into(), none()).await,
            Self::DeclareExchange(exchange) => {
                let options = ExchangeDeclareOptions::default();
                channel
                    .exchange_declare(exchange, ExchangeKind::Topic, options, none())
                    .await
            }
            Self::DeleteExchange(exchange) => {
                channel
                    .exchange_delete(exchange, ExchangeDeleteOptions::default())
                    .await
            }
            Self::Publish(exchange, key) => {
                channel.confirm_select(ConfirmSelectOptions::default()).await?;
                let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
                let body = encode(&recorded(1), SOURCE);
                let sent = channel.basic_publish(exchange, key, options, &body, properties);
                sent.await?.await.map(drop)
            }
        }
    }
}

/// Fails unless the broker denies a user each of these operations.
async fn assert_denied(scene: &Scene, user: User, operations: &[Operation]) {
    for operation in operations {
        let (_connection, channel) = scene.channel_of(user).await;
        let Err(error) = operation.attempt(&channel).await else {
            panic!("{user:?} may {operation:?}");
        };
        let ErrorKind::ProtocolError(why) = error.kind() else {
            panic!("{user:?}, {operation:?}: {error}");
        };
        let denied = AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED);
        assert_eq!(*why.kind(), denied, "{user:?}, {operation:?}: {error}");
    }
}

fn has_users() -> bool {
    let has = std::env::var_os("TEST_AMQP_ONE_USER").is_none();
    if !has {
        eprintln!("SKIPPED: TEST_AMQP_ONE_USER says that this broker has one user");
    }
    has
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_may_only_publish_to_one_exchange() {
    if !has_users() {
        return;
    }
    let scene = Scene::with_queues().await;
    let (events, aggregator) = (scene.name("events"), scene.name("aggregator"));
    let dead_letters = scene.name("dead-letters");
    let mut operations = vec![
        Operation::Declare("".into()),
        Operation::Declare(scene.name("other")),
        Operation::DeclareExchange(events.clone()),
        Operation::DeclareExchange(scene.name("other")),
        Operation::DeleteExchange(events.clone()),
        Operation::DeleteExchange(dead_letters.clone()),
        // Directly into a queue, bypassing the exchange.
        Operation::Publish("".into(), aggregator.clone()),
        Operation::Publish(dead_letters.clone(), "".into()),
        Operation::Publish("amq.topic".into(), "x".into()),
    ];
    for queue in [aggregator, dead_letters] {
        operations.extend([
            Operation::Declare(queue.clone()),
            Operation::Delete(queue.clone()),
            Operation::Purge(queue.clone()),
            Operation::Consume(queue.clone()),
            Operation::Get(queue.clone()),
            Operation::Bind(queue.clone(), events.clone()),
            Operation::Unbind(queue, events.clone()),
        ]);
    }
    assert_denied(&scene, User::Api, &operations).await;
    let (_connection, channel) = scene.channel_of(User::Api).await;
    let key = "vn.tonghop.submission.recorded.v1.87.ngay-30-7".into();
    Operation::Publish(events, key).attempt(&channel).await.unwrap();
    scene.wait_for_depth("aggregator", 1).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aggregator_may_not_use_other_queues_and_exchanges() {
    if !has_users() {
        return;
    }
    let scene = Scene::with_queues().await;
    let (_connection, channel) = scene.channel_of(User::Administrator).await;
    let other = scene.name("other");
    Operation::Declare(other.clone()).attempt(&channel).await.unwrap();
    let operations = [
        Operation::Declare("".into()),
        Operation::Declare(scene.name("new")),
        Operation::Delete(other.clone()),
        Operation::Purge(other.clone()),
        Operation::Consume(other.clone()),
        Operation::Get(other.clone()),
        Operation::Bind(other.clone(), scene.name("events")),
        Operation::Bind(scene.name("aggregator"), "amq.topic".into()),
        Operation::DeclareExchange(scene.name("new")),
        Operation::DeleteExchange("amq.topic".into()),
        Operation::Publish("".into(), other.clone()),
        Operation::Publish("amq.topic".into(), "x".into()),
    ];
    assert_denied(&scene, User::Aggregator, &operations).await;
    Operation::Delete(other).attempt(&channel).await.unwrap();
    scene.end().await;
}
