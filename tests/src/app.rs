//! A running service.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;
use tonghop_storage::{AGGREGATOR_ROLE, API_ROLE};
use tonghop_testkit::{
    TestDatabase, amqp_member, amqp_url, free_port, namespace, postgres_database, postgres_member,
    sqlite_database,
};

use crate::client::http_client;
use crate::in_process::InProcess;
use crate::options::{Options, Way};
use crate::process::{Process, command, program, run_to_end};

/// A running service.
#[derive(Debug)]
pub struct TestApp {
    /// The api processes' addresses.
    pub bases: Vec<String>,
    /// The api processes, or the one process.
    pub apis: Vec<Process>,
    /// The aggregator processes.
    pub aggregators: Vec<Process>,
    /// The aggregator processes' addresses.
    pub aggregator_bases: Vec<String>,
    under: Vec<String>,
    processes: (usize, usize),
    /// The database's URL.
    pub database_url: String,
    /// The token of an administrator, which authorizes every request that names no key of its own.
    pub admin_key: String,
    settings: Vec<(&'static str, String)>,
    /// The settings of programs that connect to the database and the broker as their own users.
    users: Vec<(&'static str, [(&'static str, String); 2])>,
    pub(crate) client: Client,
    /// Counts requests, to distribute them over the api processes.
    pub(crate) turn: AtomicUsize,
    in_process: Option<InProcess>,
    _database: Option<TestDatabase>,
    /// What the processes write beside the database.
    folder: tempfile::TempDir,
}

impl TestApp {
    /// Runs the service with defaults.
    pub async fn start(way: Way) -> Self {
        Self::start_with(way, Options::default()).await
    }

    /// Runs the service and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn start_with(way: Way, options: Options) -> Self {
        let database = match (way, &options.database_url) {
            (_, Some(_)) => None,
            (Way::InProcess | Way::Embedded, None) => Some(sqlite_database()),
            (Way::Servers, None) => Some(postgres_database().await),
        };
        let database_url = options.database_url.clone().unwrap_or_else(|| {
            database
                .as_ref()
                .map(|database| database.url().to_owned())
                .expect("there is a database")
        });
        let mut settings = vec![
            ("TONGHOP_DATABASE_URL", database_url.clone()),
            ("TONGHOP_SWEEP_INTERVAL_MS", options.sweep_interval_ms.to_string()),
            ("TONGHOP_LOG", "warn".to_owned()),
            ("TONGHOP_KEY_RATE", options.key_rate.to_string()),
        ];
        if let Some(folder) = &options.catalogue {
            settings.push(("TONGHOP_CATALOGUE", folder.display().to_string()));
        }
        settings.extend(options.settings.iter().cloned());
        if way == Way::Servers {
            settings.push((
                "TONGHOP_AMQP_URL",
                options.amqp_url.clone().unwrap_or_else(amqp_url),
            ));
            let has_namespace = settings.iter().any(|(name, _)| *name == "TONGHOP_AMQP_NAMESPACE");
            if !has_namespace {
                settings.push(("TONGHOP_AMQP_NAMESPACE", namespace()));
            }
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let heads = folder.path().join("audit-heads").display().to_string();
        settings.push(("TONGHOP_AUDIT_HEADS", heads));
        let client = http_client()
            .timeout(Duration::from_secs(40))
            .build()
            .expect("a client");
        let mut app = Self {
            bases: Vec::new(),
            apis: Vec::new(),
            aggregators: Vec::new(),
            aggregator_bases: Vec::new(),
            under: options.under.clone(),
            processes: options.processes,
            database_url,
            admin_key: String::new(),
            settings,
            users: Vec::new(),
            client,
            turn: AtomicUsize::new(0),
            in_process: None,
            _database: database,
            folder,
        };
        if way == Way::Servers {
            let migrated = run_to_end(app.command("tonghop").arg("migrate"));
            assert_eq!(migrated.code, Some(0), "{}", migrated.error);
            let programs = [("tonghop-api", API_ROLE), ("tonghop-aggregator", AGGREGATOR_ROLE)];
            for (at, (program, role)) in programs.into_iter().enumerate() {
                let database = postgres_member(&app.database_url, role).await;
                let broker = app.setting("TONGHOP_AMQP_URL");
                let broker = match options.amqp_users {
                    Some(users) => amqp_member(broker, users[at]),
                    None => broker.to_owned(),
                };
                let settings = [("TONGHOP_DATABASE_URL", database), ("TONGHOP_AMQP_URL", broker)];
                app.users.push((program, settings));
            }
        }
        if way == Way::InProcess {
            let (service, address) = InProcess::start(&app.database_url, &options).await;
            app.bases.push(format!("http://{address}"));
            app.in_process = Some(service);
        }
        app.run(way);
        app.wait_until_ready().await;
        app.admin_key = app.create_key(&["--role", "admin"]);
        app
    }

    /// Creates an access key from the arguments of `tonghop key create` and returns its token.
    ///
    /// # Panics
    /// When that fails.
    pub fn create_key(&self, arguments: &[&str]) -> String {
        if let Some(service) = &self.in_process {
            return service.create_key(arguments);
        }
        let created = run_to_end(self.command("tonghop").args(["key", "create"]).args(arguments));
        assert_eq!(created.code, Some(0), "{}", created.error);
        created.output.lines().last().expect("a token").to_owned()
    }

    /// Runs the same service again after its processes ended, and waits until it is ready.
    pub async fn restart(&mut self, way: Way) {
        self.bases.clear();
        self.apis.clear();
        self.aggregators.clear();
        self.aggregator_bases.clear();
        self.run(way);
        self.wait_until_ready().await;
    }

    fn run(&mut self, way: Way) {
        match way {
            Way::InProcess => {}
            Way::Embedded => self.start_api("tonghop", &["serve"]),
            Way::Servers => {
                let (apis, aggregators) = self.processes;
                for _ in 0..apis {
                    self.start_api("tonghop-api", &[]);
                }
                for _ in 0..aggregators {
                    self.start_aggregator();
                }
            }
        }
    }

    /// A folder of the service's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One of this service's settings, by its variable.
    ///
    /// # Panics
    /// When this way of running does not set it.
    pub fn setting(&self, variable: &str) -> &str {
        let found = self.settings.iter().find(|(name, _)| *name == variable);
        &found.expect("the setting exists").1
    }

    /// A program with this service's settings.
    pub fn command(&self, name: &str) -> Command {
        let mut command = match self.under.as_slice() {
            [] => command(name),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(program(name));
                command
            }
        };
        command.envs(self.settings.iter().cloned());
        if let Some((_, settings)) = self.users.iter().find(|(program, _)| *program == name) {
            command.envs(settings.iter().cloned());
        }
        command
    }

    /// Starts one more api process.
    pub fn start_api(&mut self, name: &str, arguments: &[&str]) {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let is_tls = self.settings.iter().any(|(name, _)| *name == "TONGHOP_TLS_CERT");
        let scheme = if is_tls { "https" } else { "http" };
        self.bases.push(format!("{scheme}://{listen}"));
        let mut command = self.command(name);
        self.apis.push(Process::start(
            command.args(arguments).env("TONGHOP_LISTEN", listen),
        ));
    }

    /// Starts one more aggregator process.
    pub fn start_aggregator(&mut self) {
        let listen = format!("127.0.0.1:{}", free_port());
        self.aggregator_bases.push(format!("http://{listen}"));
        let mut command = self.command("tonghop-aggregator");
        self.aggregators
            .push(Process::start(command.env("TONGHOP_LISTEN", listen)));
    }

    /// Waits until every api process is ready.
    ///
    /// # Panics
    /// When that takes more than 30 seconds.
    pub async fn wait_until_ready(&self) {
        for base in &self.bases {
            let start = Instant::now();
            while !self.is_ready(base).await {
                assert!(
                    start.elapsed() < Duration::from_secs(30),
                    "{base} does not become ready"
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Waits until each aggregator consumes from its queue; an announcement before that reaches nobody and leaves the
    /// total to the sweep.
    ///
    /// # Panics
    /// When that takes more than 30 seconds.
    pub async fn wait_for_queues(&self) {
        for base in &self.aggregator_bases {
            let start = Instant::now();
            loop {
                let response = self.client.get(format!("{base}/metrics")).send().await;
                if let Ok(response) = response
                    && response
                        .text()
                        .await
                        .is_ok_and(|text| text.contains("tonghop_broker_connected{role=\"consumer\"} 1\n"))
                {
                    break;
                }
                assert!(
                    start.elapsed() < Duration::from_secs(30),
                    "{base} does not consume"
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Whether a process reports that it is ready.
    pub async fn is_ready(&self, base: &str) -> bool {
        self.client
            .get(format!("{base}/readyz"))
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
    }

    /// The entries of the audit trail, as `tonghop audit export` prints them.
    ///
    /// # Panics
    /// When the command fails.
    pub fn audit_entries(&self) -> Vec<Value> {
        let exported = run_to_end(self.command("tonghop").args(["audit", "export"]));
        assert_eq!(exported.code, Some(0), "{}", exported.error);
        let lines = exported.output.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("each line is an entry"))
            .collect()
    }
}
