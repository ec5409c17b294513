//! How the programs start, fail and react to signals: exit codes, messages, settings, logs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tonghop_testkit::{free_port, postgres_database, sqlite_database};
use tonghop_tests::{Authority, Ended, Process, TestApp, Way, broadcasts, http_client, program, run_to_end};

/// Every program, with a command that would serve.
const SERVERS: [&[&str]; 4] = [
    &["tonghop", "serve"],
    &["tonghop", "demo"],
    &["tonghop-api"],
    &["tonghop-aggregator"],
];

/// Commands that read the configured database.
const DATABASE_COMMANDS: [&[&str]; 6] = [
    &["tonghop", "verify"],
    &["tonghop", "rebuild"],
    &["tonghop", "key", "list"],
    &["tonghop", "key", "create", "--role", "admin"],
    &["tonghop", "audit", "list"],
    &["tonghop", "audit", "verify"],
];

/// A database and a broker that are unreachable.
const UNREACHABLE: [(&str, &str); 2] = [
    ("TONGHOP_DATABASE_URL", "postgres://u:secret@127.0.0.1:1/x"),
    ("TONGHOP_AMQP_URL", "amqp://u:secret@127.0.0.1:1"),
];

/// Runs a command to its end, on a port of its own and in a folder of its own.
fn run(command: &[&str], settings: &[(&str, &str)]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let ended = run_to_end(
        Command::new(program(command[0]))
            .args(&command[1..])
            .current_dir(folder.path())
            .env("TONGHOP_LISTEN", format!("127.0.0.1:{}", free_port()))
            .envs(settings.iter().copied()),
    );
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "{command:?} leaves files: {ended:?}");
    ended
}

/// Checks the exit code, and that standard error is one sentence of the program with these words.
fn assert_fails(command: &[&str], ended: &Ended, code: i32, words: &str) {
    assert_eq!(ended.code, Some(code), "{command:?}: {ended:?}");
    let last = ended.error.lines().last().unwrap_or_default();
    assert!(
        last.starts_with(&format!("{}: ", command[0])) && last.contains(words),
        "{command:?}: {ended:?}"
    );
    assert!(!ended.error.contains("secret"), "{command:?}: {ended:?}");
}

fn with<'a>(settings: &[(&'a str, &'a str)], more: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    settings.iter().copied().chain([more]).collect()
}

#[test]
fn an_unknown_variable_ends_every_program_with_exit_code_2() {
    let words = "the environment variable TONGHOP_DATABSE_URL is unknown; did you mean TONGHOP_DATABASE_URL?";
    let migrate: &[&str] = &["tonghop", "migrate"];
    let commands = SERVERS.iter().chain(&DATABASE_COMMANDS).chain([&migrate]);
    for command in commands.copied() {
        let ended = run(command, &[("TONGHOP_DATABSE_URL", "postgres://u:secret@db/x")]);
        assert_fails(command, &ended, 2, words);
        assert_eq!(ended.error.lines().count(), 1, "{ended:?}");
    }
}

#[test]
fn help_and_version_ignore_unknown_variables() {
    for arguments in [["--help"], ["--version"]] {
        for name in ["tonghop", "tonghop-api", "tonghop-aggregator"] {
            let ended = run(&[name, arguments[0]], &[("TONGHOP_DATABSE_URL", "x")]);
            assert_eq!((ended.code, ended.error.as_str()), (Some(0), ""), "{ended:?}");
            assert!(!ended.output.is_empty());
        }
    }
}

#[test]
fn an_invalid_log_filter_or_format_is_rejected() {
    for command in SERVERS {
        let settings = with(&UNREACHABLE, ("TONGHOP_LOG", "json"));
        let ended = run(command, &settings);
        assert_fails(command, &ended, 2, "--log (TONGHOP_LOG) cannot be \"json\": ");
        assert!(
            ended.error.contains("off, error, warn, info, debug, trace"),
            "{ended:?}"
        );
        let settings = with(&UNREACHABLE, ("TONGHOP_LOG_FORMAT", "xml"));
        let ended = run(command, &settings);
        assert_fails(command, &ended, 2, "the formats of the log are text and json");
    }
}

#[test]
fn a_password_with_a_special_character_is_never_shown() {
    for password in ["pa@secret", "pa/secret", "pa?secret", "pa#secret", "100%secret"] {
        let (database, broker) = (
            format!("postgres://u:{password}@127.0.0.1:1/x"),
            format!("amqp://u:{password}@127.0.0.1:1/"),
        );
        for command in SERVERS.iter().chain(&DATABASE_COMMANDS).copied() {
            let settings = with(&UNREACHABLE, ("TONGHOP_DATABASE_URL", &database));
            assert_fails(command, &run(command, &settings), 2, "percent-encode");
        }
        for command in SERVERS
            .into_iter()
            .chain([&["tonghop", "dead-letters", "list"][..]])
        {
            let settings = with(&UNREACHABLE, ("TONGHOP_AMQP_URL", &broker));
            assert_fails(command, &run(command, &settings), 2, "percent-encode");
        }
    }
    let ended = run(&["tonghop", "serve", "postgres://u:pa@secret@db/x"], &[]);
    assert_eq!(ended.code, Some(2));
    assert!(!ended.error.contains("pa@"), "{ended:?}");
}

#[test]
fn an_unreachable_database_or_broker_gives_exit_code_1() {
    for command in SERVERS.iter().chain(&DATABASE_COMMANDS).copied() {
        assert_fails(command, &run(command, &UNREACHABLE), 1, "127.0.0.1:1");
    }
    let migrate = ["tonghop", "migrate"];
    assert_fails(&migrate, &run(&migrate, &UNREACHABLE), 1, "127.0.0.1:1");
    let letters = ["tonghop", "dead-letters", "list"];
    assert_fails(&letters, &run(&letters, &UNREACHABLE), 1, "");
    let health = ["tonghop", "healthcheck", "http://127.0.0.1:1/readyz"];
    assert_fails(&health, &run(&health, &[]), 1, "does not answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_migrated_gives_exit_code_2() {
    let database = postgres_database().await;
    let settings = with(&UNREACHABLE, ("TONGHOP_DATABASE_URL", database.url()));
    for command in SERVERS.iter().chain(&DATABASE_COMMANDS).copied() {
        assert_fails(command, &run(command, &settings), 2, "run `tonghop migrate`");
    }
}

#[test]
fn a_file_that_does_not_exist_gives_exit_code_2() {
    let database = sqlite_database();
    let settings = [("TONGHOP_DATABASE_URL", database.url())];
    assert_eq!(run(&["tonghop", "migrate"], &settings).code, Some(0));
    let created = run(&["tonghop", "key", "create", "--role", "admin"], &settings);
    let key = created.output.lines().last().unwrap();
    let submit = ["tonghop", "submit", "no-such-file.json"];
    let ended = run(&submit, &[("TONGHOP_KEY", key)]);
    assert_fails(&submit, &ended, 2, "no-such-file.json: ");
    for command in DATABASE_COMMANDS {
        let settings = [("TONGHOP_DATABASE_URL", "sqlite:no-such-file.db")];
        assert_fails(
            command,
            &run(command, &settings),
            2,
            "there is no database at no-such-file.db",
        );
    }
}

#[test]
fn a_port_in_use_gives_exit_code_1() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for command in SERVERS {
        let ended = run(command, &with(&UNREACHABLE, ("TONGHOP_LISTEN", &address)));
        assert_fails(command, &ended, 1, &format!("cannot listen on {address}: "));
    }
}

#[test]
fn an_invalid_address_gives_exit_code_2() {
    for (address, words) in [
        ("8080", "HOST:PORT"),
        (
            "no-such-host.invalid:8080",
            "cannot listen on no-such-host.invalid:8080",
        ),
        ("192.0.2.1:8080", "cannot listen on 192.0.2.1:8080"),
    ] {
        for command in SERVERS {
            let ended = run(command, &with(&UNREACHABLE, ("TONGHOP_LISTEN", address)));
            assert_fails(command, &ended, 2, words);
        }
    }
}

/// A service with a SQLite file, and its log.
struct Service {
    process: Process,
    log: tempfile::NamedTempFile,
    url: String,
}

impl Service {
    async fn start(database_url: &str, listen: &str, scheme: &str, settings: &[(&str, String)]) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let process = Process::start(
            Command::new(program("tonghop"))
                .args(["serve", "--database-url", database_url, "--listen", listen])
                .envs(settings.iter().cloned())
                .stdout(Stdio::null())
                .stderr(Stdio::from(log.reopen().unwrap())),
        );
        let service = Self {
            process,
            log,
            url: format!("{scheme}://{listen}"),
        };
        service.wait_until_ready().await;
        service
    }

    async fn wait_until_ready(&self) {
        let (client, start) = (http_client().build().unwrap(), Instant::now());
        while client.get(format!("{}/readyz", self.url)).send().await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(30), "{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    async fn wait_for_log(&self, words: &str) {
        let start = Instant::now();
        while !self.log().contains(words) {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{words}: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn localhost_is_an_address_to_listen_on() {
    let (database, port) = (sqlite_database(), free_port());
    let service = Service::start(database.url(), &format!("localhost:{port}"), "http", &[]).await;
    let client = http_client().build().unwrap();
    let answer = client.get(format!("http://127.0.0.1:{port}/livez")).send().await;
    assert!(answer.unwrap().status().is_success(), "{}", service.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_leaves_a_program_without_a_certificate_running() {
    let mut app = TestApp::start(Way::Servers).await;
    let embedded = TestApp::start(Way::Embedded).await;
    app.apis.extend(embedded.apis.into_iter());
    for process in app.apis.iter().chain(&app.aggregators) {
        process.signal("HUP");
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    for process in app.apis.iter_mut().chain(&mut app.aggregators) {
        assert!(process.is_running());
    }
    assert_eq!(app.post(&broadcasts("866", 1)).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_during_the_start_leaves_the_program_running() {
    // Listens and never answers, as a database that hangs.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u@{}/x", silent.local_addr().unwrap());
    for command in [
        &["tonghop-api"][..],
        &["tonghop-aggregator"],
        &["tonghop", "serve"],
    ] {
        let mut process = Process::start(
            Command::new(program(command[0]))
                .args(&command[1..])
                .env("TONGHOP_LISTEN", format!("127.0.0.1:{}", free_port()))
                .env("TONGHOP_DATABASE_URL", &url)
                .env("TONGHOP_AMQP_URL", "amqp://127.0.0.1:1"),
        );
        let _connection = silent.accept().unwrap();
        process.signal("HUP");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(process.is_running(), "{command:?}");
        process.terminate();
        assert_eq!(process.wait().code(), Some(0), "{command:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reloads_a_certificate() {
    let (authority, folder, database) = (Authority::new(), tempfile::tempdir().unwrap(), sqlite_database());
    let settings = authority.sign(&["127.0.0.1"]).write(folder.path());
    let listen = format!("127.0.0.1:{}", free_port());
    let mut service = Service::start(database.url(), &listen, "https", &settings).await;
    service.process.signal("HUP");
    service
        .wait_for_log("SIGHUP: new connections get the new certificate")
        .await;
    std::fs::write(folder.path().join("cert.pem"), "").unwrap();
    service.process.signal("HUP");
    service
        .wait_for_log("SIGHUP: the old certificate stays in use")
        .await;
    assert!(service.process.is_running());
    service.wait_until_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_log_is_one_object_per_line() {
    let (database, listen) = (sqlite_database(), format!("127.0.0.1:{}", free_port()));
    let settings = [("TONGHOP_LOG_FORMAT", "json".to_owned())];
    let mut service = Service::start(database.url(), &listen, "http", &settings).await;
    service.process.terminate();
    assert_eq!(service.process.wait().code(), Some(0));
    let log = service.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let serving = lines.iter().find(|line| line["message"] == "serving");
    let serving = serving.unwrap_or_else(|| panic!("{log}"));
    assert_eq!(serving["listen"], listen);
    assert_eq!(serving["level"], "INFO");
    assert!(serving["target"].is_string() && serving["timestamp"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_modes_of_tls_are_disable_prefer_require_and_verify_full() {
    let database = postgres_database().await;
    for mode in ["require", "verify-full"] {
        let url = format!("{}?sslmode={mode}", database.url());
        // The server of the tests has no TLS, or the system no authorities: both refuse to connect.
        let ended = run(&["tonghop", "migrate"], &[("TONGHOP_DATABASE_URL", &url)]);
        assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
        assert!(!ended.error.contains("sslmode in the database URL"), "{ended:?}");
    }
    let url = format!("{}?sslmode=verify-none", database.url());
    let migrate = ["tonghop", "migrate"];
    let ended = run(&migrate, &[("TONGHOP_DATABASE_URL", &url)]);
    assert_fails(&migrate, &ended, 2, "disable, prefer, require or verify-full");
}

#[test]
fn containers_and_documents_name_no_variable_that_programs_reject() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files: Vec<_> = ["docker-compose.yml", ".env.example", "README.md"]
        .map(|name| root.join(name))
        .into();
    let documents = std::fs::read_dir(root.join("docs")).unwrap();
    files.extend(
        documents
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file()),
    );
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        let variables = words.filter(|word| word.starts_with("TONGHOP_") && *word != "TONGHOP_");
        for variable in variables.filter(|variable| *variable != "TONGHOP_CRASH_AT") {
            let known = tonghop_process::VARIABLES.contains(&variable);
            assert!(known, "{} names {variable}", file.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_key_and_client_of_a_request_and_omits_health_probes() {
    let (database, listen) = (sqlite_database(), format!("127.0.0.1:{}", free_port()));
    let settings = [("TONGHOP_LOG_FORMAT", "json".to_owned())];
    let service = Service::start(database.url(), &listen, "http", &settings).await;
    let path = database.url().strip_prefix("sqlite:").unwrap();
    let key = std::fs::read_to_string(format!("{path}.admin-key")).unwrap();
    let client = http_client().build().unwrap();
    let request = client
        .get(format!("{}/v1/forms", service.url))
        .bearer_auth(key.trim());
    assert!(request.send().await.unwrap().status().is_success());
    service.wait_for_log("/v1/forms").await;
    let log = service.log();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let requests: Vec<Value> = lines.filter(|line| line["message"] == "answered").collect();
    // Its start asked for /readyz.
    assert_eq!(requests.len(), 1, "{log}");
    assert_eq!(requests[0]["key"], key["th_".len()..][..8]);
    assert_eq!(requests[0]["client"], "127.0.0.1");
    assert!(!log.contains(key.trim()), "{log}");
}
