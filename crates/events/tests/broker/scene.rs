//! One test's namespace on the test broker.

use std::time::{Duration, Instant};

use chrono::Utc;
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicGetOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeleteOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tonghop_domain::{Announcement, Envelope, RecordedRevision, SubmissionId};
use tonghop_events::{AmqpSettings, Bus, decode};
use uuid::Uuid;

use crate::recorder::{Consumer, Recorder};

/// The deadline for recovering after a fault has ended.
pub(crate) const RECOVERY: Duration = Duration::from_secs(5);

/// The source of events that tests encode themselves.
pub(crate) const SOURCE: &str = "/tonghop";

/// The user that connects to the test broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// May only publish.
    Api,
    /// Declares the queues, consumes and publishes.
    Aggregator,
    /// May do everything.
    Administrator,
}

impl User {
    /// Returns the URL with this user and the same password. A broker that has only an administrator uses it for all.
    fn url(self, url: &str) -> String {
        let name = match self {
            Self::Administrator => return url.to_owned(),
            _ if std::env::var_os("TEST_AMQP_ONE_USER").is_some() => return url.to_owned(),
            Self::Api => "tonghop_api",
            Self::Aggregator => "tonghop_aggregator",
        };
        let (scheme, rest) = url.split_once("://").unwrap();
        let (_, password) = rest.split_once(':').unwrap();
        format!("{scheme}://{name}:{password}")
    }
}

pub(crate) struct Scene {
    url: String,
    namespace: String,
    channel: Channel,
    _connection: Connection,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let Ok(url) = std::env::var("TEST_AMQP_URL") else {
            panic!(
                "TEST_AMQP_URL is not set: run the tests through tests/run, which starts a broker for them"
            )
        };
        let connection = Connection::connect(&url, ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        let namespace = format!("test-{}", Uuid::now_v7());
        Self {
            url,
            namespace,
            channel,
            _connection: connection,
        }
    }

    /// Starts a scene in which an aggregator has declared the queues.
    pub(crate) async fn with_queues() -> Self {
        let scene = Self::start().await;
        scene.declare_queues().await;
        scene
    }

    /// Runs a consumer, which declares the queues.
    pub(crate) async fn declare_queues(&self) {
        let consumer = Consumer::start(&Recorder::returning([]), self.bus(User::Aggregator)).await;
        consumer.stop().await;
    }

    pub(crate) fn settings(&self, user: User) -> AmqpSettings {
        AmqpSettings::parse(&user.url(&self.url), &self.namespace).unwrap()
    }

    pub(crate) fn bus(&self, user: User) -> Bus {
        Bus::Amqp(self.settings(user))
    }

    /// Returns a bus with the same namespace through a local port.
    pub(crate) fn bus_through(&self, port: u16, user: User) -> Bus {
        let (before, _, after) = self.split_url();
        let url = format!("{before}127.0.0.1:{port}{after}");
        Bus::Amqp(AmqpSettings::parse(&user.url(&url), &self.namespace).unwrap())
    }

    /// Opens a channel as a user, on a separate connection.
    pub(crate) async fn channel_of(&self, user: User) -> (Connection, Channel) {
        let (url, properties) = (user.url(&self.url), ConnectionProperties::default());
        let connection = Connection::connect(&url, properties).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }

    /// The `host:port` of the broker.
    pub(crate) fn broker_address(&self) -> String {
        self.split_url().1.to_owned()
    }

    pub(crate) fn name(&self, suffix: &str) -> ShortString {
        format!("{}.{suffix}", self.namespace).into()
    }

    /// Waits until this number of messages is ready in a queue.
    pub(crate) async fn wait_for_depth(&self, queue: &str, count: u32) {
        let begin = Instant::now();
        loop {
            let options = QueueDeclareOptions {
                passive: true,
                ..QueueDeclareOptions::default()
            };
            let declared = self
                .channel
                .queue_declare(self.name(queue), options, FieldTable::default())
                .await;
            let found = declared.unwrap().message_count();
            if found == count {
                return;
            }
            assert!(
                begin.elapsed() < RECOVERY,
                "{found} messages in {queue}, expected {count}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Removes the next message from a queue.
    pub(crate) async fn take(&self, queue: &str) -> Option<BasicGetMessage> {
        let options = BasicGetOptions { no_ack: true };
        self.channel.basic_get(self.name(queue), options).await.unwrap()
    }

    /// Gets and requeues the only message of a queue until the broker delivers it no more. Returns the number of
    /// deliveries.
    pub(crate) async fn requeue_until_gone(&self, queue: &str) -> usize {
        let requeue = BasicNackOptions {
            multiple: false,
            requeue: true,
        };
        let mut deliveries = 0;
        loop {
            let options = BasicGetOptions::default();
            let Some(message) = self.channel.basic_get(self.name(queue), options).await.unwrap() else {
                return deliveries;
            };
            deliveries += 1;
            assert!(message.acker.nack(requeue).await.unwrap());
        }
    }

    pub(crate) async fn delete_queue(&self, queue: &str) {
        let options = QueueDeleteOptions::default();
        self.channel
            .queue_delete(self.name(queue), options)
            .await
            .unwrap();
    }

    pub(crate) async fn delete_exchange(&self, exchange: &str) {
        let options = ExchangeDeleteOptions::default();
        self.channel
            .exchange_delete(self.name(exchange), options)
            .await
            .unwrap();
    }

    /// Publishes messages directly to the aggregator's queue and waits for the confirms.
    pub(crate) async fn put(&self, bodies: impl IntoIterator<Item = Vec<u8>>) {
        self.channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        let mut confirms = Vec::new();
        for body in bodies {
            let (queue, options) = (self.name("aggregator"), BasicPublishOptions::default());
            let mut properties = BasicProperties::default().with_delivery_mode(2);
            if let Ok(envelope) = decode(&body) {
                properties = properties.with_message_id(envelope.id.to_string().into());
            }
            confirms.push(
                self.channel
                    .basic_publish("".into(), queue, options, &body, properties)
                    .await
                    .unwrap(),
            );
        }
        for confirm in confirms {
            assert!(confirm.await.unwrap().is_ack());
        }
    }

    pub(crate) async fn end(self) {
        for queue in ["aggregator", "dead-letters"] {
            self.delete_queue(queue).await;
        }
        for exchange in ["events", "dead-letters"] {
            self.delete_exchange(exchange).await;
        }
    }

    fn split_url(&self) -> (&str, &str, &str) {
        let start = self.url.find("://").unwrap() + 3;
        let start = self.url.rfind('@').map_or(start, |at| at + 1);
        let end = self.url[start..]
            .find('/')
            .map_or(self.url.len(), |slash| start + slash);
        (&self.url[..start], &self.url[start..end], &self.url[end..])
    }
}

/// Announces a revision of Hồng Ngự's report; the number identifies it.
pub(crate) fn recorded(revision: i32) -> Envelope {
    let submission = RecordedRevision {
        id: SubmissionId(Uuid::now_v7()),
        unit: "866".parse().unwrap(),
        revision,
    };
    envelope(Announcement::SubmissionsRecorded {
        form: "ngay-30-7".parse().unwrap(),
        period: "2021-07".parse().unwrap(),
        province: "87".parse().unwrap(),
        submissions: vec![submission],
    })
}

pub(crate) fn total_changed(version: i64) -> Envelope {
    envelope(Announcement::TotalChanged {
        form: "ngay-30-7".parse().unwrap(),
        period: "2021-07".parse().unwrap(),
        province: "87".parse().unwrap(),
        unit: "87".parse().unwrap(),
        version,
    })
}

/// The revision numbers given to [`recorded`].
pub(crate) fn revisions(announcements: &[Announcement]) -> Vec<i32> {
    let of = |announcement: &Announcement| match announcement {
        Announcement::SubmissionsRecorded { submissions, .. } => {
            submissions.iter().map(|one| one.revision).collect()
        }
        Announcement::TotalChanged { .. } => Vec::new(),
    };
    announcements.iter().flat_map(of).collect()
}

/// Polls a condition, and fails if it does not hold within `limit`.
pub(crate) async fn eventually(what: &str, limit: Duration, condition: impl AsyncFn() -> bool) {
    let begin = Instant::now();
    while !condition().await {
        assert!(begin.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn envelope(announcement: Announcement) -> Envelope {
    Envelope {
        id: Uuid::now_v7(),
        at: Utc::now(),
        announcement,
    }
}
