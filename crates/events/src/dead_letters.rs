//! Messages that nobody could act upon, for people to look at.

use chrono::{DateTime, Utc};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde_json::Value;
use tokio::time::timeout;

use crate::AmqpSettings;
use crate::cloud_event::decode;
use crate::consumer::sent;
use crate::link::{Fault, Link, OPEN_LIMIT};
use crate::topology::{Topology, is_not_found};

/// A message that was put aside, as far as it can be read. The texts come from whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message's id.
    pub id: Option<String>,
    /// How it came to be put aside; none for a message that was sent to the dead letters straight away.
    pub death: Option<Death>,
    /// The type of event.
    pub kind: Option<String>,
    /// The form it announces.
    pub form: Option<String>,
    /// The period it announces.
    pub period: Option<String>,
    /// The province it announces.
    pub province: Option<String>,
    /// Why it is no announcement; none when it can be read.
    pub unreadable: Option<String>,
    /// The length of its body in bytes.
    pub size: usize,
}

/// How a message came to be put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The broker's word: `rejected` when a consumer put it aside, `delivery_limit` when it was handed out too often.
    pub reason: String,
    /// The queue in which that happened.
    pub queue: String,
    /// How often that happened.
    pub count: i64,
    /// When that happened first, in seconds.
    pub at: Option<DateTime<Utc>>,
}

/// Why the dead letters cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum DeadLettersError {
    /// No service was ever connected there.
    #[error("the broker has no queue {0}: no service has run there with this namespace")]
    NoQueue(String),
    /// The broker cannot be reached, or failed.
    #[error("the broker: {0}")]
    Broker(String),
}

impl From<Fault> for DeadLettersError {
    fn from(fault: Fault) -> Self {
        Self::Broker(fault.to_string())
    }
}

/// The queue of dead letters of one namespace, over a connection of its own.
pub struct DeadLetters {
    link: Link,
    channel: Channel,
    queue: ShortString,
}

impl DeadLetters {
    /// Connects to the broker.
    ///
    /// # Errors
    /// `NoQueue`, `Broker`; for the other calls too.
    pub async fn open(settings: &AmqpSettings) -> Result<Self, DeadLettersError> {
        let link = Link::open(settings, "dead letters").await?;
        let channel = in_time(link.channel()).await?;
        let queue = Topology::new(settings.namespace()).dead_letters;
        let letters = Self { link, channel, queue };
        match letters.exists().await {
            Err(Fault::Broker(error)) if is_not_found(&error) => {
                Err(DeadLettersError::NoQueue(letters.queue.to_string()))
            }
            Err(fault) => Err(fault.into()),
            Ok(()) => Ok(letters),
        }
    }

    /// Looks at all of them and leaves them where they are. While it looks, nobody else sees them.
    ///
    /// # Errors
    /// As for [`DeadLetters::open`].
    pub async fn list(&self) -> Result<Vec<DeadLetter>, DeadLettersError> {
        let taken = self.take().await?;
        give_back(&taken).await?;
        Ok(taken.iter().map(DeadLetter::of).collect())
    }

    /// Removes all of them and answers how many there were.
    ///
    /// # Errors
    /// As for [`DeadLetters::open`].
    pub async fn drop_all(&self) -> Result<u32, DeadLettersError> {
        let purging = self
            .channel
            .queue_purge(self.queue.clone(), QueuePurgeOptions::default());
        Ok(in_time(purging).await?)
    }

    /// Removes those with an id, which are several when a message was sent more than once, and answers how many.
    ///
    /// # Errors
    /// As for [`DeadLetters::open`].
    pub async fn drop_those_with(&self, id: &str) -> Result<u32, DeadLettersError> {
        let (those, others): (Vec<_>, Vec<_>) = self
            .take()
            .await?
            .into_iter()
            .partition(|delivery| id_of(delivery) == Some(id));
        for delivery in &those {
            sent(delivery.acker.ack(BasicAckOptions::default()).await)?;
        }
        give_back(&others).await?;
        Ok(those.len() as u32)
    }

    /// Takes leave of the broker, which by then has done all it was asked for.
    pub async fn close(self) {
        self.link.close().await;
    }

    async fn exists(&self) -> Result<(), Fault> {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let asking = self
            .channel
            .queue_declare(self.queue.clone(), options, FieldTable::default());
        in_time(asking).await.map(drop)
    }

    /// Takes all that lie ready, without settling them: whatever becomes of this process, the broker keeps them.
    async fn take(&self) -> Result<Vec<Delivery>, Fault> {
        let mut taken = Vec::new();
        // As many as the first one leaves behind, so that this ends where more keep coming.
        let mut remaining = 1;
        while remaining > 0 {
            let getting = self
                .channel
                .basic_get(self.queue.clone(), BasicGetOptions::default());
            let Some(message) = in_time(getting).await? else {
                break;
            };
            remaining = match taken.len() {
                0 => message.message_count,
                _ => remaining - 1,
            };
            taken.push(message.delivery);
        }
        Ok(taken)
    }
}

impl DeadLetter {
    fn of(delivery: &Delivery) -> Self {
        let event: Value = serde_json::from_slice(&delivery.data).unwrap_or_default();
        let text = |pointer| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Self {
            id: id_of(delivery).map(str::to_owned),
            death: Death::last_of(delivery),
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
    /// The broker notes each way to die in the header `x-death`, the last one first.
    fn last_of(delivery: &Delivery) -> Option<Self> {
        let headers = delivery.properties.headers().as_ref()?;
        let AMQPValue::FieldArray(deaths) = headers.inner().get("x-death")? else {
            return None;
        };
        let AMQPValue::FieldTable(last) = deaths.as_slice().first()? else {
            return None;
        };
        let field = |name: &str| last.inner().get(name);
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

fn id_of(delivery: &Delivery) -> Option<&str> {
    delivery.properties.message_id().as_ref().map(ShortString::as_str)
}

/// Hands messages back. By "nack": from RabbitMQ 4.3 on, a "reject" would count as a failed delivery.
async fn give_back(taken: &[Delivery]) -> Result<(), Fault> {
    let options = BasicNackOptions {
        multiple: true,
        requeue: true,
    };
    match taken.last() {
        Some(last) => sent(last.acker.nack(options).await),
        None => Ok(()),
    }
}

async fn in_time<T>(asking: impl Future<Output = lapin::Result<T>>) -> Result<T, Fault> {
    Ok(timeout(OPEN_LIMIT, asking).await??)
}
