//! The exchanges and queues.
//!
//! Consumers declare them. Publishers only check that the exchange exists, so that a process that does nothing but publish
//! needs permission for one exchange only.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ErrorKind, ExchangeKind};

use crate::cloud_event::SUBMISSION_RECORDED;
use crate::health::QueueDepths;

/// How often a message is redelivered before it is dead-lettered. It must be positive: -1 means no limit on
/// RabbitMQ 4, but makes RabbitMQ 3.10 drop a message at its first requeue.
const DELIVERY_LIMIT: i32 = 50;
/// The same for dead letters. Each listing redelivers them once, and RabbitMQ 4.0 to 4.2 would delete them after 20.
const DEAD_LETTERS_DELIVERY_LIMIT: i32 = 1_000_000;

/// The names of everything in one namespace.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    /// The exchange of all announcements.
    pub(crate) events: ShortString,
    /// The queue of announcements that make totals stale.
    pub(crate) aggregator: ShortString,
    /// The exchange and the queue of messages that no aggregator could act on.
    pub(crate) dead_letters: ShortString,
    /// The source of all events: the name of the installation, after a slash.
    pub(crate) source: String,
}

impl Topology {
    pub(crate) fn new(namespace: &str) -> Self {
        let name = |suffix: &str| ShortString::from(format!("{namespace}.{suffix}"));
        Self {
            events: name("events"),
            aggregator: name("aggregator"),
            dead_letters: name("dead-letters"),
            source: format!("/{namespace}"),
        }
    }

    /// Declares all exchanges and queues, which creates the missing ones, and returns the depths of the queues.
    pub(crate) async fn declare(&self, channel: &Channel) -> lapin::Result<QueueDepths> {
        self.declare_exchange(channel, &self.events, ExchangeKind::Topic)
            .await?;
        self.declare_exchange(channel, &self.dead_letters, ExchangeKind::Fanout)
            .await?;
        let dead_letters = self
            .declare_queue(channel, &self.dead_letters, quorum(DEAD_LETTERS_DELIVERY_LIMIT))
            .await?;
        self.bind_queue(channel, &self.dead_letters, &self.dead_letters, "")
            .await?;
        let aggregator = self
            .declare_queue(channel, &self.aggregator, self.aggregator_arguments())
            .await?;
        self.bind_queue(
            channel,
            &self.aggregator,
            &self.events,
            &format!("{SUBMISSION_RECORDED}.#"),
        )
        .await?;
        Ok(QueueDepths {
            aggregator,
            dead_letters,
        })
    }

    /// Whether the exchange of announcements exists. If not, the broker has closed the channel.
    pub(crate) async fn events_exchange_exists(&self, channel: &Channel) -> lapin::Result<bool> {
        let options = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        let found = channel
            .exchange_declare(
                self.events.clone(),
                ExchangeKind::Topic,
                options,
                FieldTable::default(),
            )
            .await;
        match found {
            Err(error) if is_not_found(&error) => Ok(false),
            found => found.map(|()| true),
        }
    }

    fn aggregator_arguments(&self) -> FieldTable {
        let mut arguments = quorum(DELIVERY_LIMIT);
        arguments.insert("x-dead-letter-exchange".into(), text(self.dead_letters.as_str()));
        // A dead letter leaves the queue only once the dead-letter queue has confirmed it; that requires this overflow.
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        arguments
    }

    async fn declare_exchange(
        &self,
        channel: &Channel,
        name: &ShortString,
        kind: ExchangeKind,
    ) -> lapin::Result<()> {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        channel
            .exchange_declare(name.clone(), kind, options, FieldTable::default())
            .await
    }

    async fn declare_queue(
        &self,
        channel: &Channel,
        name: &ShortString,
        arguments: FieldTable,
    ) -> lapin::Result<u32> {
        let declared = channel
            .queue_declare(name.clone(), QueueDeclareOptions::durable(), arguments)
            .await?;
        Ok(declared.message_count())
    }

    async fn bind_queue(
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

/// Whether the broker has no exchange or queue of that name. It has also closed the channel.
pub(crate) fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error)
        if *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
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
