//! The exchanges and queues. Consumers make them; publishers only look whether they are there, so that a process
//! which does nothing but publish needs the right to write to one exchange and no other.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ErrorKind, ExchangeKind};

use crate::cloud_event::SUBMISSION_RECORDED;
use crate::health::Queued;

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

    /// Makes what is not there yet, and answers how many messages lie in the queues.
    pub(crate) async fn declare(&self, channel: &Channel) -> lapin::Result<Queued> {
        self.exchange(channel, &self.events, ExchangeKind::Topic).await?;
        self.exchange(channel, &self.dead_letters, ExchangeKind::Fanout)
            .await?;
        let dead_letters = self
            .queue(channel, &self.dead_letters, quorum(DEAD_LETTERS_DELIVERY_LIMIT))
            .await?;
        self.bind(channel, &self.dead_letters, &self.dead_letters, "")
            .await?;
        let aggregator = self
            .queue(channel, &self.aggregator, self.aggregator_arguments())
            .await?;
        self.bind(
            channel,
            &self.aggregator,
            &self.events,
            &format!("{SUBMISSION_RECORDED}.#"),
        )
        .await?;
        Ok(Queued {
            aggregator,
            dead_letters,
        })
    }

    /// Whether the exchange of announcements has been made. The channel is of no more use when it has not.
    pub(crate) async fn is_there(&self, channel: &Channel) -> lapin::Result<bool> {
        let options = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        let looked = channel
            .exchange_declare(
                self.events.clone(),
                ExchangeKind::Topic,
                options,
                FieldTable::default(),
            )
            .await;
        match looked {
            Err(error) if is_not_found(&error) => Ok(false),
            looked => looked.map(|()| true),
        }
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

    async fn queue(
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

/// Whether the broker has nothing of that name. It has closed the channel, too.
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
