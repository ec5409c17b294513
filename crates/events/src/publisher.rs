//! Publishes announcements and knows which of them the broker has taken.

use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, PublisherConfirm};
use tokio::time::{Instant, timeout, timeout_at};
use tonghop_domain::{Announcement, Envelope};
use uuid::Uuid;

use crate::Health;
use crate::cloud_event::{self, CONTENT_TYPE, routing_key};
use crate::link::{Fault, Link, OPEN_LIMIT};
use crate::relay::Publish;
use crate::topology::Topology;

/// How long a whole window may take from its first publish to its last confirm.
const WINDOW_LIMIT: Duration = Duration::from_secs(5);

/// Delivery mode of messages that survive a restart of the broker.
const PERSISTENT: u8 = 2;

/// A channel in confirm mode.
pub(crate) struct Publisher {
    channel: Channel,
    topology: Topology,
    health: Health,
}

impl Publisher {
    /// Fails while there is no exchange to publish to.
    pub(crate) async fn open(link: &Link, topology: &Topology, health: &Health) -> Result<Self, Fault> {
        let opening = async {
            let channel = link.channel().await?;
            if !topology.is_there(&channel).await? {
                return Err(Fault::NoExchange(topology.events.clone()));
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
        // Nobody need listen for changed totals; for recorded submissions there should be the aggregator's queue.
        let mandatory = matches!(envelope.announcement, Announcement::SubmissionsRecorded { .. });
        let options = BasicPublishOptions {
            mandatory,
            ..BasicPublishOptions::default()
        };
        let exchange = self.topology.events.clone();
        let key = routing_key(&envelope.announcement).into();
        self.channel
            .basic_publish(exchange, key, options, &cloud_event::encode(envelope), properties)
            .await
    }
}

impl Publish for Publisher {
    /// Publishes all at once and then awaits confirm after confirm.
    ///
    /// The broker also acknowledges what it returns because no queue takes it. That is let go, too: consumers make the
    /// queue again, and by then the sweep has found what it announced.
    async fn publish(&self, window: &[Envelope]) -> Vec<Uuid> {
        let deadline = Instant::now() + WINDOW_LIMIT;
        let sent = join_all(
            window
                .iter()
                .map(|envelope| timeout_at(deadline, self.send(envelope))),
        )
        .await;
        tracing::trace!(target: "tonghop::step", step = "published");
        let mut taken = Vec::with_capacity(window.len());
        let mut unheard = 0;
        for (envelope, sent) in window.iter().zip(sent) {
            let Ok(Ok(confirm)) = sent else { continue };
            // Past the deadline this still sees confirms that have come by then, so none is missed.
            let Ok(Ok(confirmation)) = timeout_at(deadline, confirm).await else {
                continue;
            };
            if confirmation.is_ack() {
                taken.push(envelope.id);
            }
            // lapin hangs what was returned on whichever confirm comes next, so that only their number can be told.
            unheard += usize::from(confirmation.take_message().is_some());
        }
        if unheard > 0 && self.health.note_unheard(unheard) {
            tracing::warn!(
                unheard,
                "no aggregator's queue takes announcements: the sweep does their work"
            );
        }
        taken
    }

    fn usable(&self) -> bool {
        self.channel.status().connected()
    }
}
