//! Publishes announcements and knows which of them the broker has taken.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use tokio::time::{Instant, timeout, timeout_at};
use tonghop_domain::{Announcement, Envelope};
use uuid::Uuid;

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
}

impl Publisher {
    pub(crate) async fn open(link: &Link, topology: &Topology) -> Result<Self, Fault> {
        let opening = async {
            let channel = link.channel().await?;
            topology.declare(&channel).await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(Self {
                channel,
                topology: topology.clone(),
            })
        };
        timeout(OPEN_LIMIT, opening).await?
    }

    async fn send(&self, envelope: &Envelope) -> lapin::Result<PublisherConfirm> {
        let properties = BasicProperties::default()
            .with_content_type(CONTENT_TYPE.into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(envelope.id.to_string().into());
        // Nobody need listen for changed totals; for recorded submissions there is always the aggregator's queue.
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
    async fn publish(&self, window: &[Envelope]) -> Vec<Uuid> {
        let deadline = Instant::now() + WINDOW_LIMIT;
        let sent = join_all(
            window
                .iter()
                .map(|envelope| timeout_at(deadline, self.send(envelope))),
        )
        .await;
        tracing::trace!(target: "tonghop::step", step = "published");
        let mut answers = Vec::with_capacity(window.len());
        for (envelope, sent) in window.iter().zip(sent) {
            let Ok(Ok(confirm)) = sent else { continue };
            // Past the deadline this still sees confirms that have come by then, so none is missed.
            if let Ok(Ok(confirmation)) = timeout_at(deadline, confirm).await {
                answers.push(Answer::new(envelope.id, confirmation));
            }
        }
        taken(&answers)
    }

    fn usable(&self) -> bool {
        self.channel.status().connected()
    }
}

/// What a confirm said.
struct Answer {
    id: Uuid,
    acknowledged: bool,
    /// A message that the broker had no queue for, not necessarily the one confirmed.
    returned: Option<Uuid>,
}

impl Answer {
    fn new(id: Uuid, confirmation: Confirmation) -> Self {
        let acknowledged = confirmation.is_ack();
        let message = confirmation.take_message();
        let message_id = message
            .as_ref()
            .and_then(|message| message.properties.message_id().as_ref());
        Self {
            id,
            acknowledged,
            returned: message_id.and_then(|id| id.as_str().parse().ok()),
        }
    }
}

/// The messages that lie in a queue, or need none.
///
/// The broker acknowledges what it returns, too, and lapin hangs a returned message on whichever confirm comes next,
/// so only the message's own id tells which one it was.
fn taken(answers: &[Answer]) -> Vec<Uuid> {
    let returned: HashSet<Uuid> = answers.iter().filter_map(|answer| answer.returned).collect();
    let kept = |answer: &&Answer| answer.acknowledged && !returned.contains(&answer.id);
    answers.iter().filter(kept).map(|answer| answer.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_message_is_not_taken_whichever_confirm_it_hangs_on() {
        let ids: Vec<Uuid> = (0..4).map(|_| Uuid::now_v7()).collect();
        let answer = |index: usize, acknowledged: bool, returned: Option<usize>| Answer {
            id: ids[index],
            acknowledged,
            returned: returned.map(|index| ids[index]),
        };
        let answers = [
            answer(0, true, Some(2)),
            answer(1, false, None),
            answer(2, true, None),
            answer(3, true, Some(3)),
        ];
        assert_eq!(taken(&answers), [ids[0]]);
    }
}
