//! The environment of a run: servers, programs, and a fresh service for each run.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use hyper::StatusCode;
use lapin::ConnectionProperties;
use lapin::options::{ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, NoTls};
use tonghop_testkit::{PrivateBroker, PrivatePostgres, TestDatabase, postgres_database_at};
use tonghop_tests::{FORM, Options, TestApp, Way, run_to_end};

use crate::client::{Tally, Target};
use crate::country::Country;
use crate::usage::{CLIENT, Meter, Watched, listening_on};

/// How long marks may remain after the last request.
const SETTLED_WITHIN: Duration = Duration::from_secs(600);

/// The servers shared by all runs.
pub(crate) struct Ground {
    pub(crate) postgres_url: String,
    pub(crate) amqp_url: String,
    _postgres: Option<PrivatePostgres>,
    _broker: Option<PrivateBroker>,
}

/// A running service with its own database.
pub(crate) struct Service {
    pub(crate) app: TestApp,
    way: Way,
    watched: Vec<Watched>,
    database: Option<TestDatabase>,
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

impl Ground {
    /// Uses the servers named in the environment, as the tests do, or starts its own.
    pub(crate) async fn prepare() -> Self {
        let mut ground = Self {
            postgres_url: std::env::var("TEST_POSTGRES_URL").unwrap_or_default(),
            amqp_url: std::env::var("TEST_AMQP_URL").unwrap_or_default(),
            _postgres: None,
            _broker: None,
        };
        if ground.postgres_url.is_empty() {
            let server = PrivatePostgres::start().await;
            ground.postgres_url = server.url();
            ground._postgres = Some(server);
        }
        if ground.amqp_url.is_empty() {
            let broker = PrivateBroker::start().await;
            ground.amqp_url = broker.url();
            ground._broker = Some(broker);
        }
        ground.assert_durable().await;
        ground
    }

    /// Fails unless the server writes durably: otherwise the measurements mean nothing.
    async fn assert_durable(&self) {
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value = self.postgres_setting(setting).await;
            assert_eq!(value, "on", "PostgreSQL's {setting}");
        }
    }

    /// A setting of the PostgreSQL server.
    pub(crate) async fn postgres_setting(&self, name: &str) -> String {
        let client = connect(&self.postgres_url).await;
        let row = client.query_one(&format!("SHOW {name}"), &[]).await;
        row.expect("PostgreSQL has the setting").get(0)
    }

    /// The version that RabbitMQ reports when a client connects.
    pub(crate) async fn broker_version(&self) -> String {
        const FIELD: &[u8] = b"\x07versionS";
        let host = self.amqp_url.rsplit('@').next().unwrap_or_default();
        let host = host.split('/').next().unwrap_or_default();
        let mut stream = TcpStream::connect(host).await.expect("the broker listens");
        stream
            .write_all(b"AMQP\0\0\x09\x01")
            .await
            .expect("a header is sent");
        let mut told = vec![0; 4096];
        let size = stream.read(&mut told).await.expect("the broker answers");
        let found = told[..size]
            .windows(FIELD.len())
            .position(|window| window == FIELD);
        let text = found
            .map(|at| &told[at + FIELD.len() + 4..size])
            .unwrap_or_default();
        let version = text
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || **byte == b'.');
        version.map(|byte| char::from(*byte)).collect()
    }

    /// A fresh service with this catalogue and number of aggregators.
    pub(crate) async fn service(&self, country: &Country, aggregators: usize) -> Service {
        let database = postgres_database_at(&self.postgres_url).await;
        let options = Options {
            database_url: Some(database.url().to_owned()),
            amqp_url: Some(self.amqp_url.clone()),
            catalogue: Some(country.folder().to_owned()),
            processes: (1, aggregators),
            ..Options::default()
        };
        let app = TestApp::start_with(Way::Servers, options).await;
        let mut service = Service {
            watched: own_processes(&app),
            app,
            way: Way::Servers,
            database: Some(database),
        };
        service.wait_for_aggregators().await;
        service.watched.extend(self.servers());
        service
    }

    /// A fresh service in one process, with a SQLite file.
    pub(crate) async fn embedded(country: &Country) -> Service {
        let options = Options {
            catalogue: Some(country.folder().to_owned()),
            ..Options::default()
        };
        let app = TestApp::start_with(Way::Embedded, options).await;
        Service {
            watched: own_processes(&app),
            app,
            way: Way::Embedded,
            database: None,
        }
    }

    /// The two servers, if they run on this machine and their processes can be inspected.
    pub(crate) fn servers(&self) -> Vec<Watched> {
        let server = |(name, url): (&str, &str)| {
            let host = url.rsplit('@').next()?.split('/').next()?;
            let port = host.rsplit(':').next()?.parse().ok()?;
            Some(Watched {
                name: name.to_owned(),
                pid: listening_on(port)?,
                with_children: true,
            })
        };
        [
            ("postgres", self.postgres_url.as_str()),
            ("rabbitmq", &self.amqp_url),
        ]
        .into_iter()
        .filter_map(server)
        .collect()
    }
}

impl Service {
    /// The address, with an administrator's key.
    pub(crate) fn target(&self) -> Target {
        let address = self.app.bases[0].trim_start_matches("http://");
        Target {
            address: address.parse::<SocketAddr>().expect("an address"),
            token: self.app.admin_key.clone(),
        }
    }

    /// Starts to measure the processes.
    pub(crate) fn meter(&self) -> Meter {
        Meter::start(self.watched.clone())
    }

    /// A connection to the database as its owner.
    pub(crate) async fn database(&self) -> Client {
        connect(&self.app.database_url).await
    }

    /// The size of the database on disk, in bytes.
    pub(crate) async fn bytes(&self) -> u64 {
        bytes_of(&self.app).await
    }

    /// Waits until nothing is pending, then compares every total with a recount and the number of revisions with the number of
    /// acknowledgements. Returns how many numbers the recount compared.
    ///
    /// # Panics
    /// If any of these differs.
    pub(crate) async fn settle(&self, periods: &[String], acknowledged: u64) -> u64 {
        self.wait_for_totals(periods).await;
        assert_eq!(
            self.revisions().await,
            acknowledged,
            "revisions stored, and answers with 201"
        );
        let verified = run_to_end(self.app.command("tonghop").arg("verify"));
        assert_eq!(verified.code, Some(0), "{}{}", verified.output, verified.error);
        let last = verified.output.lines().last().unwrap_or_default();
        assert!(
            last.contains(", 0 totals skipped ") && last.ends_with(" 0 differ"),
            "{last}"
        );
        let words = last.strip_prefix("altogether: ").unwrap_or_default();
        let checked = words.split(' ').next().and_then(|number| number.parse().ok());
        let checked = checked.expect("the verification says what it has compared");
        assert!(checked > 0, "the verification compared nothing");
        checked
    }

    /// Waits until nothing is pending, and returns how long that took.
    pub(crate) async fn wait_for_totals(&self, periods: &[String]) -> Duration {
        let start = Instant::now();
        for period in periods {
            let path = format!("/v1/totals?form={FORM}&period={period}&unit=VN&indicator=TT.PT");
            while self.app.get(&path).await.json()["freshness"]["pending"] != 0 {
                assert!(
                    start.elapsed() < SETTLED_WITHIN,
                    "totals of {period} stay pending"
                );
                sleep(Duration::from_millis(10)).await;
            }
        }
        start.elapsed()
    }

    async fn revisions(&self) -> u64 {
        let sql = "SELECT count(*) AS number FROM revisions";
        let number: i64 = if self.way == Way::Embedded {
            let mut file = SqliteConnection::establish(self.sqlite_path()).expect("the file is there");
            let counted = sql_query(sql).get_result::<Counted>(&mut file);
            counted.expect("revisions can be counted").number
        } else {
            let row = self.database().await.query_one(sql, &[]).await;
            row.expect("revisions can be counted").get(0)
        };
        number.unsigned_abs()
    }

    fn sqlite_path(&self) -> &str {
        self.app.database_url.trim_start_matches("sqlite:")
    }

    async fn wait_for_aggregators(&self) {
        for base in &self.app.aggregator_bases {
            let start = Instant::now();
            while !self.app.is_ready(base).await {
                assert!(
                    start.elapsed() < Duration::from_secs(30),
                    "{base} does not become ready"
                );
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Stops the processes gracefully, then removes their database, queues and exchanges.
    pub(crate) async fn end(mut self) {
        for process in self.app.apis.iter_mut().chain(&mut self.app.aggregators) {
            process.terminate_if_running();
            let status = process.wait();
            assert!(status.success(), "a process ended with {status}");
        }
        if self.way == Way::Servers {
            let setting = |name| self.app.setting(name);
            clear_broker(setting("TONGHOP_AMQP_URL"), setting("TONGHOP_AMQP_NAMESPACE")).await;
        }
        drop(self.app);
        drop(self.database);
    }
}

/// Removes the queues and exchanges of a service, which would slow later runs down.
///
/// # Panics
/// If there is a dead letter.
async fn clear_broker(url: &str, namespace: &str) {
    let connection = lapin::Connection::connect(url, ConnectionProperties::default()).await;
    let connection = connection.expect("the broker can be reached");
    let channel = connection.create_channel().await.expect("a channel");
    for queue in ["aggregator", "dead-letters"] {
        let name = format!("{namespace}.{queue}");
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let found = channel.queue_declare(name.as_str().into(), passive, FieldTable::default());
        let messages = found.await.expect("the service has the queue").message_count();
        assert!(
            queue != "dead-letters" || messages == 0,
            "{messages} announcements were put aside"
        );
        let deleted = channel
            .queue_delete(name.as_str().into(), QueueDeleteOptions::default())
            .await;
        deleted.expect("a queue can be deleted");
    }
    for exchange in ["events", "dead-letters"] {
        let name = format!("{namespace}.{exchange}");
        let deleted = channel.exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default());
        deleted.await.expect("an exchange can be deleted");
    }
    connection
        .close(200, "OK".into())
        .await
        .expect("the broker lets go");
}

/// The number of responses that stand for a new revision.
pub(crate) fn created(tally: &Tally) -> u64 {
    tally.count(StatusCode::CREATED)
}

/// Builds the three programs in release mode.
pub(crate) fn build_programs() {
    let this = std::env::current_exe().expect("a program knows where it is");
    let profile = this.parent().expect("it lies in target/PROFILE");
    let target = profile.parent().expect("it lies in target/PROFILE");
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    cargo
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .args(["build", "--locked", "--bins", "--target-dir"])
        .arg(target)
        .args(["-p", "tonghop", "-p", "tonghop-api", "-p", "tonghop-aggregator"]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let built = cargo.status().expect("cargo runs");
    assert!(built.success(), "the programs were not built");
}

/// A connection that stays open as long as its client exists.
pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("PostgreSQL can be reached");
    tokio::spawn(connection);
    client
}

fn own_processes(app: &TestApp) -> Vec<Watched> {
    let name = |kind: &str, at: usize, of: usize| match of {
        1 => kind.to_owned(),
        _ => format!("{kind} {}", at + 1),
    };
    let (apis, aggregators) = (&app.apis, &app.aggregators);
    let apis = apis.iter().enumerate().map(|(at, process)| {
        let kind = if aggregators.is_empty() {
            "tonghop serve"
        } else {
            "tonghop-api"
        };
        (name(kind, at, apis.len()), process.id())
    });
    let aggregators = aggregators
        .iter()
        .enumerate()
        .map(|(at, process)| (name("tonghop-aggregator", at, aggregators.len()), process.id()));
    let this = (CLIENT.to_owned(), std::process::id());
    apis.chain(aggregators)
        .chain([this])
        .map(|(name, pid)| Watched {
            name,
            pid: i32::try_from(pid).expect("a pid"),
            with_children: false,
        })
        .collect()
}

/// The size of an application's database on disk, in bytes.
pub(crate) async fn bytes_of(app: &TestApp) -> u64 {
    if let Some(path) = app.database_url.strip_prefix("sqlite:") {
        let files = ["", "-wal"].map(|ending| std::fs::metadata(format!("{path}{ending}")));
        return files.into_iter().flatten().map(|file| file.len()).sum();
    }
    let sql = "SELECT pg_database_size(current_database())";
    let row = connect(&app.database_url).await.query_one(sql, &[]).await;
    let bytes: i64 = row.expect("a size").get(0);
    bytes.unsigned_abs()
}
