//! The exchanges and queues, declared alike by whoever connects first.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use crate::cloud_event::SUBMISSION_RECORDED;

/// How often a message is handed out again before it is put aside. It must be positive: RabbitMQ 3.10 drops a
/// message at its first requeue when the limit says "none".
const DELIVERY_LIMIT: i32 = 50;
/// The same for the messages put aside. Each look at them is one delivery more, and RabbitMQ 4.0 to 4.2 would drop
/// them for good after the 20th.
const DEAD_LETTERS_DELIVERY_LIMIT: i32 = 1_000_000;

/// The names of everything in one namespace.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    /// The exchange to which all announcements go.
    pub(crate) events: ShortString,
    /// The queue of those that make totals stale.
    pub(crate) aggregator: ShortString,
    /// The exchange and the queue of those that nobody could act upon.
    pub(crate) dead_letters: ShortString,
}

impl Topology {
    pub(crate) fn new(namespace: &str) -> Self {
        let name = |suffix: &str| ShortString::from(format!("{namespace}.{suffix}"));
        Self {
            events: name("events"),
            aggregator: name("aggregator"),
            dead_letters: name("dead-letters"),
        }
    }

    /// Makes what is not there yet. Publishers do so too: what is published before the first consumer ever ran
    /// must find its queue.
    pub(crate) async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        self.exchange(channel, &self.events, ExchangeKind::Topic).await?;
        self.exchange(channel, &self.dead_letters, ExchangeKind::Fanout)
            .await?;
        self.queue(channel, &self.dead_letters, quorum(DEAD_LETTERS_DELIVERY_LIMIT))
            .await?;
        self.bind(channel, &self.dead_letters, &self.dead_letters, "")
            .await?;
        self.queue(channel, &self.aggregator, self.aggregator_arguments())
            .await?;
        self.bind(
            channel,
            &self.aggregator,
            &self.events,
            &format!("{SUBMISSION_RECORDED}.#"),
        )
        .await
    }

    fn aggregator_arguments(&self) -> FieldTable {
        let mut arguments = quorum(DELIVERY_LIMIT);
        arguments.insert("x-dead-letter-exchange".into(), text(self.dead_letters.as_str()));
        // A message leaves the queue only once the dead-letter queue has it; that needs this overflow.
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        arguments
    }

    async fn exchange(&self, channel: &Channel, name: &ShortString, kind: ExchangeKind) -> lapin::Result<()> {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        channel
            .exchange_declare(name.clone(), kind, options, FieldTable::default())
            .await
    }

    async fn queue(&self, channel: &Channel, name: &ShortString, arguments: FieldTable) -> lapin::Result<()> {
        channel
            .queue_declare(name.clone(), QueueDeclareOptions::durable(), arguments)
            .await
            .map(drop)
    }

    async fn bind(
        &self,
        channel: &Channel,
        queue: &ShortString,
        exchange: &ShortString,
        key: &str,
    ) -> lapin::Result<()> {
        let options = QueueBindOptions::default();
        channel
            .queue_bind(
                queue.clone(),
                exchange.clone(),
                key.into(),
                options,
                FieldTable::default(),
            )
            .await
    }
}

fn quorum(delivery_limit: i32) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(delivery_limit));
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
