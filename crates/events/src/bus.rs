//! The two ways to carry announcements, behind one pair of functions.

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonghop_domain::Outbox;

use crate::amqp;
use crate::amqp::settings::AmqpSettings;
use crate::handler::Handler;
use crate::health::Health;
use crate::in_process::{self, InProcess};

/// What carries announcements.
#[derive(Clone, Debug)]
pub enum Bus {
    /// RabbitMQ, between any number of processes.
    Amqp(AmqpSettings),
    /// A channel inside this process. Clones share the channel.
    InProcess(InProcess),
}

impl Bus {
    /// Creates a channel inside this process.
    pub fn in_process() -> Self {
        Self::InProcess(InProcess::default())
    }
}

/// Moves announcements from the outbox to the bus until `stop`.
///
/// Reads the outbox whenever `wake` is notified, and every half second besides. `health` describes the connection of this
/// relay only: give each relay and each consumer its own.
pub async fn relay<O: Outbox>(
    outbox: &O,
    bus: &Bus,
    wake: &Notify,
    health: &Health,
    stop: &CancellationToken,
) {
    match bus {
        Bus::Amqp(settings) => amqp::relay::run(outbox, settings, wake, health, stop).await,
        Bus::InProcess(channel) => in_process::relay(outbox, channel, wake, health, stop).await,
    }
}

/// Passes batches of announcements to the handler until `stop`. A batch that is being handled at that moment is finished.
///
/// `health` describes the connection of this consumer only: give each relay and each consumer its own.
pub async fn consume<H: Handler>(bus: &Bus, handler: &H, health: &Health, stop: &CancellationToken) {
    match bus {
        Bus::Amqp(settings) => amqp::consumer::run(settings, handler, health, stop).await,
        Bus::InProcess(channel) => in_process::consume(channel, handler, health, stop).await,
    }
}
