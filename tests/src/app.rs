//! The service, run in either way, as its users see it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::Value;
use tonghop_storage::{AGGREGATOR_ROLE, API_ROLE};
use tonghop_testkit::{
    TestDatabase, amqp_member, amqp_url, free_port, namespace, postgres_database, postgres_member,
    sqlite_database,
};

use crate::process::{Process, run_to_end};
use crate::{FORM, PERIOD, http_client, program};

/// How the service is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One process with a SQLite file.
    Embedded,
    /// PostgreSQL, RabbitMQ, api and aggregator processes.
    Servers,
}

/// What differs from the defaults.
#[derive(Clone, Debug)]
pub struct Options {
    /// Milliseconds between sweeps.
    pub sweep_interval_ms: u64,
    /// How many requests a second a key may make; 0 for any number, since one key stands for many clients here.
    pub key_rate: u32,
    /// A catalogue folder.
    pub catalogue: Option<PathBuf>,
    /// Another broker than the one all tests share.
    pub amqp_url: Option<String>,
    /// As whom api and aggregators connect to the broker; none: both as the user of the URL.
    pub amqp_users: Option<[&'static str; 2]>,
    /// Another PostgreSQL database than a fresh one on the server all tests share.
    pub database_url: Option<String>,
    /// How many api and how many aggregator processes, with servers.
    pub processes: (usize, usize),
    /// More settings, by their variables.
    pub settings: Vec<(&'static str, String)>,
    /// A program, with its first arguments, that runs the service's programs.
    pub under: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sweep_interval_ms: 1000,
            key_rate: 0,
            catalogue: None,
            amqp_url: None,
            amqp_users: Some([API_ROLE, AGGREGATOR_ROLE]),
            database_url: None,
            processes: (2, 2),
            settings: Vec::new(),
            under: Vec::new(),
        }
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The body as JSON; null when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// A header field; empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// The numbers of a submission's revisions, each with a figure.
pub type Revisions = BTreeMap<i64, i64>;

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
    /// The token of an administrator, with which everything is asked that brings no key of its own.
    pub admin_key: String,
    settings: Vec<(&'static str, String)>,
    /// The settings of programs that connect to the database and the broker as users of their own.
    users: Vec<(&'static str, [(&'static str, String); 2])>,
    client: Client,
    turn: AtomicUsize,
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
            (Way::Embedded, None) => Some(sqlite_database()),
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
        app.run(way);
        app.wait_until_ready().await;
        app.admin_key = app.create_key(&["--role", "admin"]);
        app
    }

    /// Makes a key by the administrator's command, and answers its token.
    ///
    /// # Panics
    /// When that fails.
    pub fn create_key(&self, arguments: &[&str]) -> String {
        let made = run_to_end(self.command("tonghop").args(["key", "create"]).args(arguments));
        assert_eq!(made.code, Some(0), "{}", made.error);
        made.output.lines().last().expect("a token").to_owned()
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
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// One of this service's settings, by its variable.
    ///
    /// # Panics
    /// When this way of running has none.
    pub fn setting(&self, variable: &str) -> &str {
        let found = self.settings.iter().find(|(name, _)| *name == variable);
        &found.expect("the setting is made").1
    }

    /// A program with this service's settings.
    pub fn command(&self, name: &str) -> Command {
        let mut command = match self.under.as_slice() {
            [] => Command::new(program(name)),
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

    /// Waits until an aggregator has made its queue: before that nobody hears what is announced, and a sweep finds it.
    ///
    /// # Panics
    /// When that takes more than 30 seconds.
    pub async fn wait_for_queues(&self) {
        for base in &self.aggregator_bases {
            let start = Instant::now();
            loop {
                let asked = self.client.get(format!("{base}/readyz")).send().await;
                if let Ok(answer) = asked
                    && answer
                        .text()
                        .await
                        .is_ok_and(|text| text.contains("\"connected\""))
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

    /// Whether a process says that it is ready.
    pub async fn is_ready(&self, base: &str) -> bool {
        self.client
            .get(format!("{base}/readyz"))
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
    }

    /// Asks one of the api processes, in turn.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        self.try_ask(method, path, headers, body)
            .await
            .expect("the service answers")
    }

    /// Asks one of the api processes, in turn.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn try_ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, reqwest::Error> {
        let base = &self.bases[self.turn.fetch_add(1, Ordering::Relaxed) % self.bases.len()];
        self.try_ask_at(base, method, path, headers, body).await
    }

    /// Asks one process.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn try_ask_at(
        &self,
        base: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method, format!("{base}{path}"));
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        {
            request = request.bearer_auth(&self.admin_key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer {
            status,
            headers,
            text: response.text().await?,
        })
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], None).await
    }

    /// Submits.
    pub async fn post(&self, body: &Value) -> Answer {
        self.post_with(body, &[]).await
    }

    /// Submits with header fields.
    pub async fn post_with(&self, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(headers);
        self.ask(Method::POST, "/v1/submissions", &all, Some(body.to_string()))
            .await
    }

    /// The totals of a unit for the source report's form and period.
    pub async fn totals(&self, unit: &str) -> Value {
        self.get(&format!("/v1/totals?form={FORM}&period={PERIOD}&unit={unit}"))
            .await
            .json()
    }

    /// The totals of a unit as soon as nothing is pending.
    ///
    /// # Panics
    /// When something stays pending for longer than `limit`.
    pub async fn settled_totals_within(&self, unit: &str, limit: Duration) -> Value {
        let start = Instant::now();
        loop {
            let totals = self.totals(unit).await;
            if totals["freshness"]["pending"] == 0 {
                return totals;
            }
            assert!(
                start.elapsed() < limit,
                "still pending after {limit:?}: {}",
                totals["freshness"]
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The totals of a unit as soon as nothing is pending, within 20 seconds.
    pub async fn settled_totals(&self, unit: &str) -> Value {
        self.settled_totals_within(unit, Duration::from_secs(20)).await
    }

    /// Every revision of a submission, page by page, with the figure of its first indicator.
    ///
    /// # Panics
    /// When a revision comes twice or has no such figure.
    pub async fn history(&self, id: &str) -> Revisions {
        let path = format!("/v1/submissions/{id}/revisions?limit=200");
        let mut revisions = Revisions::new();
        let mut page = self.get(&path).await.json();
        loop {
            for revision in page["revisions"].as_array().expect("a page of revisions") {
                let number = revision["revision"].as_i64().expect("a number");
                let figure = revision["figures"][0]["value"].as_i64().expect("a figure");
                assert_eq!(revisions.insert(number, figure), None, "revision {number} twice");
            }
            let Some(cursor) = page["next_cursor"].as_str() else {
                return revisions;
            };
            page = self.get(&format!("{path}&cursor={cursor}")).await.json();
        }
    }

    /// Fails the test unless every total at or below a unit is what the submissions add up to.
    ///
    /// # Panics
    /// When one differs, one was skipped, or none was compared.
    pub async fn assert_verified(&self, unit: &str) {
        let path = format!("/v1/verification?form={FORM}&period={PERIOD}&unit={unit}");
        let proof = self.get(&path).await.json();
        assert_eq!(proof["differing"], serde_json::json!([]), "{proof}");
        assert_eq!(proof["skipped"], 0, "{proof}");
        assert!(proof["checked"].as_u64() > Some(10), "{proof}");
    }
}

/// One indicator of totals.
impl TestApp {
    /// The line of an indicator in totals; null when there is none.
    pub fn line(totals: &Value, indicator: &str) -> Value {
        let lines = totals["totals"].as_array().into_iter().flatten();
        lines
            .into_iter()
            .find(|line| line["indicator"] == indicator)
            .cloned()
            .unwrap_or_default()
    }

    /// The value of an indicator in totals; null when nobody reports it.
    pub fn value(totals: &Value, indicator: &str) -> Value {
        Self::line(totals, indicator)["value"].clone()
    }
}
