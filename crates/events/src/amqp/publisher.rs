//! Publishes announcements and waits for the broker's confirms.

use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, PublisherConfirm};
use tokio::time::{Instant, timeout, timeout_at};
use tonghop_domain::{Announcement, Envelope};
use uuid::Uuid;

use crate::amqp::connection::{Connection, ConnectionError, OPEN_LIMIT};
use crate::amqp::topology::Topology;
use crate::cloud_event::{self, CONTENT_TYPE, routing_key};
use crate::health::Health;
use crate::publish::Publish;

/// The deadline of a window, from its first publish to its last confirm.
const WINDOW_LIMIT: Duration = Duration::from_secs(5);

/// The delivery mode of messages that survive a restart of the broker.
const PERSISTENT: u8 = 2;

/// A channel in confirm mode.
pub(crate) struct Publisher {
    channel: Channel,
    topology: Topology,
    health: Health,
}

impl Publisher {
    /// Opens a channel. Fails while the exchange of announcements does not exist.
    pub(crate) async fn open(
        connection: &Connection,
        topology: &Topology,
        health: &Health,
    ) -> Result<Self, ConnectionError> {
        let opening = async {
            let channel = connection.channel().await?;
            if !topology.events_exchange_exists(&channel).await? {
                return Err(ConnectionError::NoExchange(topology.events.clone()));
            }
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(Self {
                channel,
                topology: topology.clone(),
                health: health.clone(),
            })
        };
        timeout(OPEN_LIMIT, opening).await?
    }

    async fn send(&self, envelope: &Envelope) -> lapin::Result<PublisherConfirm> {
        let properties = BasicProperties::default()
            .with_content_type(CONTENT_TYPE.into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(envelope.id.to_string().into());
        // Changed totals need no subscriber; recorded submissions should reach the aggregator's queue.
        let mandatory = matches!(envelope.announcement, Announcement::SubmissionsRecorded { .. });
        let options = BasicPublishOptions {
            mandatory,
            ..BasicPublishOptions::default()
        };
        let exchange = self.topology.events.clone();
        let key = routing_key(&envelope.announcement).into();
        let body = cloud_event::encode(envelope, &self.topology.source);
        self.channel
            .basic_publish(exchange, key, options, &body, properties)
            .await
    }
}

impl Publish for Publisher {
    /// Publishes all announcements at once, then awaits each confirm.
    ///
    /// The broker also confirms unroutable messages, which it returns. They count as published: consumers declare the queue
    /// again, and until then the sweep refreshes those totals.
    async fn publish(&self, window: &[Envelope]) -> Vec<Uuid> {
        let deadline = Instant::now() + WINDOW_LIMIT;
        let sent = join_all(
            window
                .iter()
                .map(|envelope| timeout_at(deadline, self.send(envelope))),
        )
        .await;
        tracing::trace!(target: "tonghop::step", step = "published");
        let mut confirmed = Vec::with_capacity(window.len());
        let mut unroutable = 0;
        for (envelope, sent) in window.iter().zip(sent) {
            let Ok(Ok(confirm)) = sent else { continue };
            // Confirms that arrived before the deadline are still seen after it, so none is missed.
            let Ok(Ok(confirmation)) = timeout_at(deadline, confirm).await else {
                continue;
            };
            if confirmation.is_ack() {
                confirmed.push(envelope.id);
            }
            // lapin attaches a returned message to whichever confirm comes next, so only the count is reliable.
            unroutable += usize::from(confirmation.take_message().is_some());
        }
        if unroutable > 0 && self.health.add_unroutable(unroutable) {
            tracing::warn!(
                unroutable,
                "announcements reach no aggregator's queue; the sweep refreshes their totals"
            );
        }
        confirmed
    }

    fn is_usable(&self) -> bool {
        self.channel.status().connected()
    }
}
