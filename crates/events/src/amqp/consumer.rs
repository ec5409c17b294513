//! The consumer over RabbitMQ: takes announcements from the aggregator's queue and settles them as the handler decides.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions,
};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonghop_domain::Announcement;

use crate::amqp::connection::{Connection, ConnectionError, OPEN_LIMIT, ensure_sent, within_limit};
use crate::amqp::reconnecting::Reconnecting;
use crate::amqp::settings::AmqpSettings;
use crate::amqp::topology::Topology;
use crate::back_off::BackOff;
use crate::cloud_event::decode;
use crate::handler::{Disposition, Handler};
use crate::health::{Health, QueueDepths};

/// How many unsettled messages the broker delivers, and so the size of the largest batch.
const PREFETCH: u16 = 200;

/// How often the exchanges and queues are declared again, which restores what was deleted without the broker reporting it
/// and returns the depths of the queues.
const REDECLARE_INTERVAL: Duration = Duration::from_secs(5);

/// Passes batches to the handler until `stop`, over one connection after another.
pub(crate) async fn run<H: Handler>(
    settings: &AmqpSettings,
    handler: &H,
    health: &Health,
    stop: &CancellationToken,
) {
    let mut reconnecting = Reconnecting::new(settings, "consumer", health, stop);
    let topology = Topology::new(settings.namespace());
    while let Some(connection) = reconnecting.connect().await {
        let consumed =
            consume_batches(&connection, &topology, handler, &mut reconnecting, health, stop).await;
        if let Err(error) = consumed {
            reconnecting.mark_down(&error);
        }
        connection.close().await;
    }
}

/// Consumes over one connection until it fails or `stop` is cancelled.
async fn consume_batches<H: Handler>(
    connection: &Connection,
    topology: &Topology,
    handler: &H,
    reconnecting: &mut Reconnecting<'_>,
    health: &Health,
    stop: &CancellationToken,
) -> Result<(), ConnectionError> {
    // The channel closes when it is dropped, and the consumer with it.
    let (channel, mut consumer, depths) = timeout(OPEN_LIMIT, subscribe(connection, topology)).await??;
    reconnecting.mark_up();
    health.set_queue_depths(depths);
    let mut back_off = BackOff::before_redelivery();
    let mut next_declare = Instant::now() + REDECLARE_INTERVAL;
    loop {
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = sleep_until(next_declare) => {
                health.set_queue_depths(within_limit(topology.declare(&channel)).await?);
                next_declare = Instant::now() + REDECLARE_INTERVAL;
                continue;
            }
            first = consumer.next() => first,
        };
        let deliveries = collect_ready(first, &mut consumer)?;
        let Some(batch) = reject_unreadable(deliveries).await? else {
            continue;
        };
        tracing::trace!(target: "tonghop::step", step = "delivered");
        let disposition = handler.handle(&batch.announcements).await;
        tracing::trace!(target: "tonghop::step", step = "handled");
        settle(&batch, disposition, &mut back_off, stop).await?;
    }
}

async fn subscribe(
    connection: &Connection,
    topology: &Topology,
) -> lapin::Result<(Channel, Consumer, QueueDepths)> {
    let channel = connection.channel().await?;
    let depths = topology.declare(&channel).await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let (queue, options) = (topology.aggregator.clone(), BasicConsumeOptions::default());
    let consumer = channel
        .basic_consume(queue, "".into(), options, FieldTable::default())
        .await?;
    Ok((channel, consumer, depths))
}

/// Returns the first delivery and all that are ready behind it. More gather while the handler works, so waiting for them
/// here would only delay these.
fn collect_ready(
    first: Option<lapin::Result<Delivery>>,
    consumer: &mut Consumer,
) -> Result<Vec<Delivery>, ConnectionError> {
    let mut deliveries = vec![first.ok_or(ConnectionError::ConsumerCancelled)??];
    while deliveries.len() < usize::from(PREFETCH) {
        match consumer.next().now_or_never() {
            None => break,
            Some(next) => deliveries.push(next.ok_or(ConnectionError::ConsumerCancelled)??),
        }
    }
    Ok(deliveries)
}

/// The readable part of some deliveries.
struct Batch {
    announcements: Vec<Announcement>,
    /// Acknowledges the last message. "All up to this one" is exactly the batch: every message before it was either settled
    /// with an earlier batch or rejected as unreadable.
    last: Acker,
}

/// Dead-letters the messages that cannot be read. Returns `None` if none is left.
async fn reject_unreadable(deliveries: Vec<Delivery>) -> Result<Option<Batch>, ConnectionError> {
    let mut announcements = Vec::with_capacity(deliveries.len());
    let mut last = None;
    for delivery in deliveries {
        match decode(&delivery.data) {
            Ok(envelope) => {
                announcements.push(envelope.announcement);
                last = Some(delivery.acker);
            }
            Err(error) => {
                let id = delivery
                    .properties
                    .message_id()
                    .as_ref()
                    .map(|id| id.as_str().to_owned());
                tracing::warn!(%error, message_id = id, "unreadable message dead-lettered");
                ensure_sent(delivery.acker.reject(BasicRejectOptions { requeue: false }).await)?;
            }
        }
    }
    Ok(last.map(|last| Batch { announcements, last }))
}

/// Does with a batch what the handler decided.
async fn settle(
    batch: &Batch,
    disposition: Disposition,
    back_off: &mut BackOff,
    stop: &CancellationToken,
) -> Result<(), ConnectionError> {
    match disposition {
        Disposition::Ack => {
            back_off.reset();
            ensure_sent(batch.last.ack(BasicAckOptions { multiple: true }).await)?;
            tracing::trace!(target: "tonghop::step", step = "acknowledged");
            Ok(())
        }
        Disposition::Requeue => {
            let _ = stop.run_until_cancelled(sleep(back_off.next_pause())).await;
            nack(batch, true).await
        }
        Disposition::DeadLetter => {
            tracing::warn!(
                announcements = batch.announcements.len(),
                "dead-lettered announcements that cannot be acted on"
            );
            nack(batch, false).await
        }
    }
}

async fn nack(batch: &Batch, requeue: bool) -> Result<(), ConnectionError> {
    let options = BasicNackOptions {
        multiple: true,
        requeue,
    };
    ensure_sent(batch.last.nack(options).await)
}
