//! Takes announcements out of the aggregator's queue and settles them as the judge says.

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

use crate::back_off::BackOff;
use crate::cloud_event::decode;
use crate::health::Queued;
use crate::line::Line;
use crate::link::{Fault, Link, OPEN_LIMIT};
use crate::topology::Topology;
use crate::{AmqpSettings, Health, Judge, Verdict};

/// How many messages the broker hands out before some are settled, and so the size of the largest batch.
const PREFETCH: u16 = 200;

/// How often the queues are looked after: whatever of them somebody has deleted is made again, unless the broker has told.
const TEND_INTERVAL: Duration = Duration::from_secs(5);

/// The pause before a batch that must wait is given back. It grows, for the broker puts a message aside after
/// 50 tries, and a database may take longer than a moment to come back.
pub(crate) fn retry_pauses() -> BackOff {
    BackOff::new(Duration::from_millis(200), Duration::from_secs(2))
}

pub(crate) async fn over_amqp<J: Judge>(
    settings: &AmqpSettings,
    judge: &J,
    health: &Health,
    stop: &CancellationToken,
) {
    let mut line = Line::new(settings, "consumer", health, stop);
    let topology = Topology::new(settings.namespace());
    while let Some(link) = line.open().await {
        if let Err(fault) = take_batches(&link, &topology, judge, &mut line, health, stop).await {
            line.down(&fault);
        }
        link.close().await;
    }
}

/// Over one connection, until it fails or it is time to stop.
async fn take_batches<J: Judge>(
    link: &Link,
    topology: &Topology,
    judge: &J,
    line: &mut Line<'_>,
    health: &Health,
    stop: &CancellationToken,
) -> Result<(), Fault> {
    // The channel closes when it is dropped, and the consumer with it.
    let (channel, mut consumer, queued) = timeout(OPEN_LIMIT, subscribe(link, topology)).await??;
    line.up();
    health.note_queued(queued);
    let mut pauses = retry_pauses();
    let mut next_look = Instant::now() + TEND_INTERVAL;
    loop {
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = sleep_until(next_look) => {
                health.note_queued(timeout(OPEN_LIMIT, topology.declare(&channel)).await??);
                next_look = Instant::now() + TEND_INTERVAL;
                continue;
            }
            first = consumer.next() => first,
        };
        let batch = gather(first, &mut consumer)?;
        let Some(batch) = set_unreadable_aside(batch).await? else {
            continue;
        };
        tracing::trace!(target: "tonghop::step", step = "delivered");
        let verdict = judge.judge(&batch.news).await;
        tracing::trace!(target: "tonghop::step", step = "judged");
        match verdict {
            Verdict::Done => {
                pauses.reset();
                sent(batch.last.ack(BasicAckOptions { multiple: true }).await)?;
                tracing::trace!(target: "tonghop::step", step = "acknowledged");
            }
            Verdict::Retry => {
                let _ = stop.run_until_cancelled(sleep(pauses.pause())).await;
                sent(
                    batch
                        .last
                        .nack(BasicNackOptions {
                            multiple: true,
                            requeue: true,
                        })
                        .await,
                )?;
            }
            Verdict::Poison => {
                tracing::warn!(
                    announcements = batch.news.len(),
                    "announcements put aside as poison"
                );
                sent(
                    batch
                        .last
                        .nack(BasicNackOptions {
                            multiple: true,
                            requeue: false,
                        })
                        .await,
                )?;
            }
        }
    }
}

async fn subscribe(link: &Link, topology: &Topology) -> lapin::Result<(Channel, Consumer, Queued)> {
    let channel = link.channel().await?;
    let queued = topology.declare(&channel).await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let (queue, options) = (topology.aggregator.clone(), BasicConsumeOptions::default());
    let consumer = channel
        .basic_consume(queue, "".into(), options, FieldTable::default())
        .await?;
    Ok((channel, consumer, queued))
}

/// The first delivery and all that lie ready behind it. While the judge is busy the next ones gather, so waiting
/// for more would only delay them.
fn gather(first: Option<lapin::Result<Delivery>>, consumer: &mut Consumer) -> Result<Vec<Delivery>, Fault> {
    let mut batch = vec![first.ok_or(Fault::ConsumerEnded)??];
    while batch.len() < usize::from(PREFETCH) {
        match consumer.next().now_or_never() {
            None => break,
            Some(next) => batch.push(next.ok_or(Fault::ConsumerEnded)??),
        }
    }
    Ok(batch)
}

/// What can be read of a batch.
struct Readable {
    news: Vec<Announcement>,
    /// Of the last message. Settling "all up to this one" settles exactly the news: every message before was
    /// either settled with an earlier batch or rejected as unreadable.
    last: Acker,
}

async fn set_unreadable_aside(batch: Vec<Delivery>) -> Result<Option<Readable>, Fault> {
    let mut news = Vec::with_capacity(batch.len());
    let mut last = None;
    for delivery in batch {
        match decode(&delivery.data) {
            Ok(envelope) => {
                news.push(envelope.announcement);
                last = Some(delivery.acker);
            }
            Err(error) => {
                let id = delivery
                    .properties
                    .message_id()
                    .as_ref()
                    .map(|id| id.as_str().to_owned());
                tracing::warn!(%error, message_id = id, "unreadable message put aside");
                sent(delivery.acker.reject(BasicRejectOptions { requeue: false }).await)?;
            }
        }
    }
    Ok(last.map(|last| Readable { news, last }))
}

/// lapin answers "not sent" without an error once the channel is broken.
pub(crate) fn sent(settled: lapin::Result<bool>) -> Result<(), Fault> {
    if settled? { Ok(()) } else { Err(Fault::Gone) }
}
