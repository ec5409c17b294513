//! What the users that docs/secure.md makes may not do: everything that their programs do not. That they may do what
//! their programs do, all other tests here show.

use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, ErrorKind, ExchangeKind};
use tonghop_events::encode;

use crate::scene::{Scene, User, recorded};

/// Something that a right is needed for.
#[derive(Clone, Debug)]
enum Deed {
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

impl Deed {
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
                let body = encode(&recorded(1));
                let sent = channel.basic_publish(exchange, key, options, &body, properties);
                sent.await?.await.map(drop)
            }
        }
    }
}

/// Fails unless the broker refuses a user each of these for want of rights.
async fn are_refused(scene: &Scene, user: User, deeds: &[Deed]) {
    for deed in deeds {
        let (_connection, channel) = scene.channel_of(user).await;
        let Err(refused) = deed.attempt(&channel).await else {
            panic!("{user:?} may {deed:?}");
        };
        let ErrorKind::ProtocolError(why) = refused.kind() else {
            panic!("{user:?}, {deed:?}: {refused}");
        };
        let denied = AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED);
        assert_eq!(*why.kind(), denied, "{user:?}, {deed:?}: {refused}");
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
async fn the_api_may_publish_to_one_exchange_and_do_nothing_else() {
    if !has_users() {
        return;
    }
    let scene = Scene::with_queues().await;
    let (events, aggregator) = (scene.name("events"), scene.name("aggregator"));
    let dead_letters = scene.name("dead-letters");
    let mut deeds = vec![
        Deed::Declare("".into()),
        Deed::Declare(scene.name("other")),
        Deed::DeclareExchange(events.clone()),
        Deed::DeclareExchange(scene.name("other")),
        Deed::DeleteExchange(events.clone()),
        Deed::DeleteExchange(dead_letters.clone()),
        // Past the exchange, straight into a queue.
        Deed::Publish("".into(), aggregator.clone()),
        Deed::Publish(dead_letters.clone(), "".into()),
        Deed::Publish("amq.topic".into(), "x".into()),
    ];
    for queue in [aggregator, dead_letters] {
        deeds.extend([
            Deed::Declare(queue.clone()),
            Deed::Delete(queue.clone()),
            Deed::Purge(queue.clone()),
            Deed::Consume(queue.clone()),
            Deed::Get(queue.clone()),
            Deed::Bind(queue.clone(), events.clone()),
            Deed::Unbind(queue, events.clone()),
        ]);
    }
    are_refused(&scene, User::Api, &deeds).await;
    let (_connection, channel) = scene.channel_of(User::Api).await;
    let key = "vn.tonghop.submission.recorded.v1.87.ngay-30-7".into();
    Deed::Publish(events, key).attempt(&channel).await.unwrap();
    scene.holds("aggregator", 1).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aggregator_may_touch_no_queue_or_exchange_of_others() {
    if !has_users() {
        return;
    }
    let scene = Scene::with_queues().await;
    let (_connection, channel) = scene.channel_of(User::Administrator).await;
    let other = scene.name("other");
    Deed::Declare(other.clone()).attempt(&channel).await.unwrap();
    let deeds = [
        Deed::Declare("".into()),
        Deed::Declare(scene.name("new")),
        Deed::Delete(other.clone()),
        Deed::Purge(other.clone()),
        Deed::Consume(other.clone()),
        Deed::Get(other.clone()),
        Deed::Bind(other.clone(), scene.name("events")),
        Deed::Bind(scene.name("aggregator"), "amq.topic".into()),
        Deed::DeclareExchange(scene.name("new")),
        Deed::DeleteExchange("amq.topic".into()),
        Deed::Publish("".into(), other.clone()),
        Deed::Publish("amq.topic".into(), "x".into()),
    ];
    are_refused(&scene, User::Aggregator, &deeds).await;
    Deed::Delete(other).attempt(&channel).await.unwrap();
    scene.end().await;
}
