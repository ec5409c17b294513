//! Messages that no aggregator could act on, for operators to list and drop.

use chrono::{DateTime, Utc};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde_json::Value;

use crate::amqp::connection::{Connection, ConnectionError, ensure_sent, within_limit};
use crate::amqp::settings::AmqpSettings;
use crate::amqp::topology::{Topology, is_not_found};
use crate::cloud_event::decode;

/// A dead-lettered message, as far as it can be read. The texts come from its sender and cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message's id.
    pub id: Option<String>,
    /// How it became a dead letter; none for a message that was published to the dead letters directly.
    pub death: Option<Death>,
    /// The type of event.
    pub kind: Option<String>,
    /// The form that it announces.
    pub form: Option<String>,
    /// The period that it announces.
    pub period: Option<String>,
    /// The province that it announces.
    pub province: Option<String>,
    /// Why it cannot be read as an announcement; none if it can.
    pub unreadable: Option<String>,
    /// The length of the body in bytes.
    pub size: usize,
}

/// How a message became a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The reason that the broker gives: `rejected` by a consumer, or `delivery_limit` after too many redeliveries.
    pub reason: String,
    /// The queue in which this happened.
    pub queue: String,
    /// How often this happened.
    pub count: i64,
    /// When this happened first, to the second.
    pub at: Option<DateTime<Utc>>,
}

/// Why the dead letters cannot be listed or dropped.
#[derive(Debug, thiserror::Error)]
pub enum DeadLettersError {
    /// The queue was never declared.
    #[error("the broker has no queue {0}: no aggregator has run there with this namespace")]
    NoQueue(String),
    /// The broker is unreachable or failed.
    #[error("the broker: {0}")]
    Broker(String),
}

impl From<ConnectionError> for DeadLettersError {
    fn from(error: ConnectionError) -> Self {
        Self::Broker(error.to_string())
    }
}

/// The queue of dead letters of one namespace, with a separate connection.
pub struct DeadLetters {
    connection: Connection,
    channel: Channel,
    queue: ShortString,
}

impl DeadLetters {
    /// Connects to the broker.
    ///
    /// # Errors
    /// Returns `NoQueue` or `Broker`, as do the other calls.
    pub async fn open(settings: &AmqpSettings) -> Result<Self, DeadLettersError> {
        let connection = Connection::open(settings, "dead letters").await?;
        let channel = within_limit(connection.channel()).await?;
        let queue = Topology::new(settings.namespace()).dead_letters;
        let letters = Self {
            connection,
            channel,
            queue,
        };
        match letters.check_queue().await {
            Err(ConnectionError::Broker(error)) if is_not_found(&error) => {
                Err(DeadLettersError::NoQueue(letters.queue.to_string()))
            }
            Err(error) => Err(error.into()),
            Ok(()) => Ok(letters),
        }
    }

    /// Lists all dead letters and leaves them in the queue. Meanwhile no other client can see them.
    ///
    /// # Errors
    /// As for [`DeadLetters::open`].
    pub async fn list(&self) -> Result<Vec<DeadLetter>, DeadLettersError> {
        let deliveries = self.get_all().await?;
        requeue(&deliveries).await?;
        Ok(deliveries.iter().map(DeadLetter::new).collect())
    }

    /// Removes all dead letters and returns their number.
    ///
    /// # Errors
    /// As for [`DeadLetters::open`].
    pub async fn drop_all(&self) -> Result<u32, DeadLettersError> {
        let purging = self
            .channel
            .queue_purge(self.queue.clone(), QueuePurgeOptions::default());
        Ok(within_limit(purging).await?)
    }

    /// Removes the dead letters with an id and returns their number; it exceeds one if a message was published repeatedly.
    ///
    /// # Errors
    /// As for [`DeadLetters::open`].
    pub async fn drop_by_id(&self, id: &str) -> Result<u32, DeadLettersError> {
        let (matching, others): (Vec<_>, Vec<_>) = self
            .get_all()
            .await?
            .into_iter()
            .partition(|delivery| message_id(delivery) == Some(id));
        for delivery in &matching {
            ensure_sent(delivery.acker.ack(BasicAckOptions::default()).await)?;
        }
        requeue(&others).await?;
        Ok(matching.len() as u32)
    }

    /// Closes the connection, after the broker has done everything that was requested.
    pub async fn close(self) {
        self.connection.close().await;
    }

    /// Fails if the queue does not exist.
    async fn check_queue(&self) -> Result<(), ConnectionError> {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let declaring = self
            .channel
            .queue_declare(self.queue.clone(), options, FieldTable::default());
        within_limit(declaring).await.map(drop)
    }

    /// Gets all messages that are ready without acknowledging them, so that the broker keeps them if this process ends.
    async fn get_all(&self) -> Result<Vec<Delivery>, ConnectionError> {
        let mut deliveries = Vec::new();
        // Only as many as were ready at first, so that this ends even if more keep arriving.
        let mut remaining = 1;
        while remaining > 0 {
            let getting = self
                .channel
                .basic_get(self.queue.clone(), BasicGetOptions::default());
            let Some(message) = within_limit(getting).await? else {
                break;
            };
            remaining = match deliveries.len() {
                0 => message.message_count,
                _ => remaining - 1,
            };
            deliveries.push(message.delivery);
        }
        Ok(deliveries)
    }
}

impl DeadLetter {
    fn new(delivery: &Delivery) -> Self {
        let event: Value = serde_json::from_slice(&delivery.data).unwrap_or_default();
        let text = |pointer| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Self {
            id: message_id(delivery).map(str::to_owned),
            death: Death::latest(delivery),
            kind: text("/type"),
            form: text("/data/form"),
            period: text("/data/period"),
            province: text("/data/province"),
            unreadable: decode(&delivery.data).err().map(|error| error.to_string()),
            size: delivery.data.len(),
        }
    }
}

impl Death {
    /// Reads the header `x-death`, in which the broker lists each reason and queue, the latest first.
    fn latest(delivery: &Delivery) -> Option<Self> {
        let headers = delivery.properties.headers().as_ref()?;
        let AMQPValue::FieldArray(deaths) = headers.inner().get("x-death")? else {
            return None;
        };
        let AMQPValue::FieldTable(latest) = deaths.as_slice().first()? else {
            return None;
        };
        let field = |name: &str| latest.inner().get(name);
        let text = |name| match field(name) {
            Some(AMQPValue::LongString(text)) => text.to_string(),
            _ => String::new(),
        };
        Some(Self {
            reason: text("reason"),
            queue: text("queue"),
            count: match field("count") {
                Some(AMQPValue::LongLongInt(count)) => *count,
                _ => 1,
            },
            at: match field("time") {
                Some(AMQPValue::Timestamp(seconds)) => i64::try_from(*seconds)
                    .ok()
                    .and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
                _ => None,
            },
        })
    }
}

fn message_id(delivery: &Delivery) -> Option<&str> {
    delivery.properties.message_id().as_ref().map(ShortString::as_str)
}

/// Returns messages to the queue, by "nack": from RabbitMQ 4.3 on, a "reject" counts as a failed delivery.
async fn requeue(deliveries: &[Delivery]) -> Result<(), ConnectionError> {
    let options = BasicNackOptions {
        multiple: true,
        requeue: true,
    };
    match deliveries.last() {
        Some(last) => ensure_sent(last.acker.nack(options).await),
        None => Ok(()),
    }
}
