//! The relay over RabbitMQ: from the outbox to the exchange of announcements.

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonghop_domain::Outbox;

use crate::amqp::connection::ConnectionError;
use crate::amqp::publisher::Publisher;
use crate::amqp::reconnecting::Reconnecting;
use crate::amqp::settings::AmqpSettings;
use crate::amqp::topology::Topology;
use crate::health::Health;
use crate::outbox_drain::OutboxDrain;

/// Publishes announcements until `stop`, over one connection after another.
pub(crate) async fn run<O: Outbox>(
    outbox: &O,
    settings: &AmqpSettings,
    wake: &Notify,
    health: &Health,
    stop: &CancellationToken,
) {
    let mut drain = OutboxDrain::new(outbox, wake, stop);
    let mut reconnecting = Reconnecting::new(settings, "relay", health, stop);
    let topology = Topology::new(settings.namespace());
    while let Some(connection) = reconnecting.connect().await {
        let publishing = async {
            let publisher = Publisher::open(&connection, &topology, health).await?;
            drain.drain_to(&publisher, || reconnecting.mark_up()).await?;
            Ok::<(), ConnectionError>(())
        };
        let published = publishing.await;
        if let Err(error) = published {
            if matches!(error, ConnectionError::NoExchange(_)) {
                drain.discard_all().await;
            }
            reconnecting.mark_down(&error);
        }
        connection.close().await;
    }
}
