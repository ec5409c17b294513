//! The system under test: two api and two aggregator processes, each with its own connections to a database and a
//! broker that no other test uses.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tonghop_storage::{AGGREGATOR_ROLE, API_ROLE};
use tonghop_testkit::{FaultProxy, PrivateBroker, PrivatePostgres, amqp_member, free_port, postgres_member};
use tonghop_tests::{Process, command, program, run_to_end};

use super::faults::PARTS;

/// The pause of the supervisor before it restarts a process.
const SUPERVISOR_PAUSE: Duration = Duration::from_millis(200);
/// RabbitMQ 3.10 keeps the declaration of a quorum queue in memory for about three seconds. A broker that is killed
/// earlier loses the queue for good, and only deleting it helps (docs/troubleshoot.md); so faults begin later.
const BROKER_REMEMBERS: Duration = Duration::from_secs(4);
/// A wait that takes longer has hung.
const START_LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Site {
    pub(crate) database: PrivatePostgres,
    pub(crate) broker: PrivateBroker,
    /// The api processes are 0 and 1, the aggregators 2 and 3.
    pub(crate) parts: Vec<Part>,
}

/// A process with its proxies to the servers.
pub(crate) struct Part {
    name: String,
    /// Its address for HTTP.
    pub(crate) base: String,
    pub(crate) to_database: FaultProxy,
    pub(crate) to_broker: FaultProxy,
    program: &'static str,
    settings: Vec<(&'static str, String)>,
    process: Mutex<Option<Process>>,
    http: reqwest::Client,
}

impl Site {
    /// Starts servers and processes, and waits until the processes are live.
    pub(crate) async fn start() -> Self {
        let (database, broker) = tokio::join!(PrivatePostgres::start(), PrivateBroker::start());
        slow_commits(&database.url()).await;
        let mut migrate = command("tonghop");
        let migrated = run_to_end(migrate.arg("migrate").env("TONGHOP_DATABASE_URL", database.url()));
        assert_eq!(migrated.code, Some(0), "{}", migrated.error);
        let api = postgres_member(&database.url(), API_ROLE).await;
        let aggregator = postgres_member(&database.url(), AGGREGATOR_ROLE).await;
        let parts: Vec<Part> = (0..PARTS)
            .map(|at| {
                let (user, role) = if at < 2 {
                    (&api, API_ROLE)
                } else {
                    (&aggregator, AGGREGATOR_ROLE)
                };
                Part::new(at, user, &amqp_member(&broker.url(), role))
            })
            .collect();
        for part in &parts {
            part.run().await;
        }
        sleep(BROKER_REMEMBERS).await;
        Self {
            database,
            broker,
            parts,
        }
    }

    /// The addresses of the api processes.
    pub(crate) fn apis(&self) -> Vec<String> {
        self.parts[..2].iter().map(|part| part.base.clone()).collect()
    }

    /// The token of an administrator.
    pub(crate) fn create_key(&self) -> String {
        let mut create = command("tonghop");
        create.args(["key", "create", "--role", "admin"]);
        let made = run_to_end(create.env("TONGHOP_DATABASE_URL", self.database.url()));
        assert_eq!(made.code, Some(0), "{}", made.error);
        made.output.lines().last().expect("a token").to_owned()
    }

    /// Fails the test if a process ended that no fault killed.
    pub(crate) fn assert_all_run(&self) {
        for part in &self.parts {
            assert!(part.is_running(), "{} ended by itself", part.name);
        }
    }
}

/// Slows commits down as a slow disk does, so that crashes often interrupt one.
async fn slow_commits(url: &str) {
    let connected = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
    let (client, connection) = connected.expect("the database answers");
    let connection = tokio::spawn(connection);
    let settings =
        "ALTER DATABASE postgres SET commit_delay = 10000; ALTER DATABASE postgres SET commit_siblings = 0";
    client
        .batch_execute(settings)
        .await
        .expect("the settings are taken");
    connection.abort();
}

impl Part {
    fn new(at: usize, database_url: &str, amqp_url: &str) -> Self {
        let (program, name) = match at {
            0 | 1 => ("tonghop-api", format!("api {at}")),
            _ => ("tonghop-aggregator", format!("aggregator {}", at - 2)),
        };
        let listen = format!("127.0.0.1:{}", free_port());
        let to_database = FaultProxy::in_front_of(database_url);
        let to_broker = FaultProxy::in_front_of(amqp_url);
        let log = std::env::var("CHAOS_LOG").unwrap_or_else(|_| "warn".into());
        let settings = vec![
            ("TONGHOP_DATABASE_URL", to_database.url_through(database_url)),
            ("TONGHOP_AMQP_URL", to_broker.url_through(amqp_url)),
            ("TONGHOP_LISTEN", listen.clone()),
            ("TONGHOP_LOG", log),
            ("TONGHOP_KEY_RATE", "0".into()),
        ];
        let http = tonghop_tests::http_client().timeout(Duration::from_secs(1));
        Self {
            name,
            base: format!("http://{listen}"),
            to_database,
            to_broker,
            program,
            settings,
            process: Mutex::new(None),
            http: http.build().expect("a client"),
        }
    }

    /// Starts the process, waits until it is live and returns when it was started. Restarts a process that ends because
    /// it finds no database, as a supervisor would.
    pub(crate) async fn run(&self) -> Instant {
        let begun = Instant::now();
        loop {
            let started = Instant::now();
            let mut command = Command::new(program(self.program));
            *self.process() = Some(Process::start(command.envs(self.settings.iter().cloned())));
            while self.is_running() {
                if self.lives().await {
                    return started;
                }
                assert!(begun.elapsed() < START_LIMIT, "{} does not start", self.name);
                sleep(Duration::from_millis(20)).await;
            }
            sleep(SUPERVISOR_PAUSE).await;
        }
    }

    async fn lives(&self) -> bool {
        let asked = self.http.get(format!("{}/livez", self.base)).send().await;
        asked.is_ok_and(|answer| answer.status().is_success())
    }

    fn is_running(&self) -> bool {
        self.process().as_mut().is_some_and(Process::is_running)
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(&self) {
        drop(self.process().take());
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        if let Some(process) = self.process().as_ref() {
            process.signal(name);
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
