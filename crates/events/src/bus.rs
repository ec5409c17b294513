//! The two ways to carry announcements, behind one pair of functions.

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Announcement, Outbox};

use crate::{AmqpSettings, Health, InProcess, consumer, in_process};

/// Where announcements go.
#[derive(Clone, Debug)]
pub enum Bus {
    /// Through RabbitMQ, between any number of processes.
    Amqp(AmqpSettings),
    /// Through a channel inside this process. Clones share the channel.
    InProcess(InProcess),
}

impl Bus {
    /// A new channel inside this process.
    pub fn in_process() -> Self {
        Self::InProcess(InProcess::default())
    }
}

/// What became of a batch of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was acted upon: forget it.
    Done,
    /// Something else stood in the way: hand it over again, a little later.
    Retry,
    /// It can never be acted upon: put it aside where people can look at it.
    Poison,
}

/// Acts upon news. It never sees the broker, so tests call it directly.
pub trait Judge: Send + Sync {
    /// Acts upon a batch, which is never empty and may repeat what earlier batches said.
    fn judge(&self, news: &[Announcement]) -> impl Future<Output = Verdict> + Send;
}

/// Moves announcements from the outbox to the bus until `stop`.
///
/// Looks into the outbox when `wake` is notified, and every half second besides. `health` tells of this relay's
/// connection alone: give every relay and every consumer its own.
pub async fn relay<O: Outbox>(
    outbox: &O,
    bus: &Bus,
    wake: &Notify,
    health: &Health,
    stop: &CancellationToken,
) {
    match bus {
        Bus::Amqp(settings) => crate::relay::over_amqp(outbox, settings, wake, health, stop).await,
        Bus::InProcess(channel) => crate::relay::in_process(outbox, channel, wake, health, stop).await,
    }
}

/// Hands batches of news to the judge until `stop`. A batch being judged at that moment is finished first.
///
/// `health` tells of this consumer's connection alone: give every relay and every consumer its own.
pub async fn consume<J: Judge>(bus: &Bus, judge: &J, health: &Health, stop: &CancellationToken) {
    match bus {
        Bus::Amqp(settings) => consumer::over_amqp(settings, judge, health, stop).await,
        Bus::InProcess(channel) => in_process::consume(channel, judge, health, stop).await,
    }
}
