//! The users that docker-compose.yml creates, created by its commands, and its programs with its settings.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tonghop_testkit::{PrivateBroker, PrivatePostgres, free_port};
use tonghop_tests::{Process, broadcasts, http_client, program, run_to_end};

use super::{entries, services, texts};

const GUIDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/secure.md"));

/// Replaces each variable of `.env` in a text: by its default, or by a unique value.
fn filled_in(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else {
        return text.to_owned();
    };
    let (variable, after) = rest.split_once('}').unwrap();
    let value = match variable.split_once(":-") {
        Some((_, default)) => default.to_owned(),
        None => variable.split(':').next().unwrap().to_lowercase(),
    };
    format!("{before}{value}{}", filled_in(after))
}

/// Paths and addresses in containers, with their replacements here.
struct Places(Vec<(&'static str, String)>);

impl Places {
    fn of(&self, text: &str) -> String {
        let replaced = |text: String, (inside, here): &(&str, String)| text.replace(inside, here);
        self.0.iter().fold(filled_in(text), replaced)
    }

    /// A command with the environment of a service.
    fn command(&self, service: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, value) in entries(&services()[service]["environment"]) {
            command.env(name, self.of(value.as_str().unwrap()));
        }
        command
    }

    /// One of our programs, as a service runs it.
    fn ours(&self, service: &str) -> Command {
        let services = services();
        let words = texts(services[service].get("command"));
        let mut command = self.command(service, program(words[0]));
        command.args(&words[1..]);
        command
    }

    /// The shell script of a service, up to the start of the server.
    fn shell(&self, service: &str) -> Command {
        let services = services();
        let [shell, option, script] = texts(services[service].get("command"))[..] else {
            panic!("{service} runs a script");
        };
        let script = self.of(&script.replace("$$", "$"));
        let mut command = self.command(service, shell);
        command
            .arg(option)
            .arg(script.split("exec docker-entrypoint.sh").next().unwrap());
        command
    }
}

fn succeeds(command: &mut Command) -> String {
    let ended = run_to_end(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.output
}

async fn owner(database: &PrivatePostgres, name: &str) -> tokio_postgres::Client {
    let url = database.url().replace("/postgres", &format!("/{name}"));
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

async fn answers(client: &reqwest::Client, url: &str, text: &str) {
    let start = Instant::now();
    loop {
        if let Ok(answer) = client.get(url).send().await
            && answer.status() == 200
            && answer.text().await.unwrap().contains(text)
        {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{url}: no {text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Fails the test unless the broker's users get the documented permissions.
fn assert_documented(definitions: &Path) {
    let text = std::fs::read_to_string(definitions).unwrap();
    let definitions: Value = serde_json::from_str(&text).unwrap();
    for permission in definitions["permissions"].as_array().unwrap() {
        let user = permission["user"].as_str().unwrap();
        let rights = ["configure", "write", "read"].map(|right| permission[right].as_str().unwrap());
        let documented = GUIDE.replace("\\\n    ", "");
        let wanted = format!(
            "--vhost / {user}1 '{}' '{}' '{}'",
            rights[0], rights[1], rights[2]
        );
        assert!(documented.contains(&wanted), "{wanted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_run_as_the_users_that_the_file_creates() {
    let (database, broker) = tokio::join!(PrivatePostgres::start(), PrivateBroker::start());
    let folder = tempfile::tempdir().unwrap();
    let port = |url: String| {
        url.rsplit(':')
            .next()
            .unwrap()
            .split('/')
            .next()
            .unwrap()
            .to_owned()
    };
    let (api, aggregator) = (free_port(), free_port());
    let places = Places(vec![
        ("@postgres:5432", format!("@127.0.0.1:{}", port(database.url()))),
        ("@rabbitmq:5672", format!("@127.0.0.1:{}", port(broker.url()))),
        // First, because the folder itself may be in there.
        ("/tmp/", format!("{}/", folder.path().display())),
        ("/var/lib/tonghop", folder.path().display().to_string()),
        ("0.0.0.0:8080", format!("127.0.0.1:{api}")),
        ("127.0.0.1:8081", format!("127.0.0.1:{aggregator}")),
    ]);

    // As in the images, the owner is a superuser.
    let server = owner(&database, "postgres").await;
    server
        .batch_execute("CREATE ROLE tonghop LOGIN SUPERUSER")
        .await
        .unwrap();
    server
        .batch_execute("CREATE DATABASE tonghop OWNER tonghop")
        .await
        .unwrap();
    succeeds(&mut places.ours("migrate"));
    for _ in 0..2 {
        let mut users = places.shell("database-users");
        succeeds(
            users
                .env("PGHOST", "127.0.0.1")
                .env("PGPORT", port(database.url())),
        );
    }
    succeeds(&mut places.shell("rabbitmq"));
    let definitions = folder.path().join("definitions.json");
    assert_documented(&definitions);
    broker
        .run_shell(&format!(
            "rabbitmqctl import_definitions {}",
            definitions.display()
        ))
        .await;

    let _api = Process::start(&mut places.ours("api"));
    // Without a sweep, totals need announcements.
    let _aggregator = Process::start(
        places
            .ours("aggregator")
            .env("TONGHOP_SWEEP_INTERVAL_MS", "3600000"),
    );
    let client = http_client().build().unwrap();
    answers(
        &client,
        &format!("http://127.0.0.1:{aggregator}/metrics"),
        "tonghop_broker_connected{role=\"consumer\"} 1",
    )
    .await;
    answers(&client, &format!("http://127.0.0.1:{api}/readyz"), "ok").await;
    let made = succeeds(
        places
            .command("migrate", program("tonghop"))
            .args(["key", "create", "--role", "admin"]),
    );
    let posted = client
        .post(format!("http://127.0.0.1:{api}/v1/submissions"))
        .bearer_auth(made.lines().last().unwrap())
        .header("Prefer", "wait=20")
        .json(&broadcasts("866", 63))
        .send()
        .await
        .unwrap();
    let posted: Value = posted.json().await.unwrap();
    assert!(posted["aggregated_at"].is_string(), "{posted}");

    let expected = BTreeSet::from(["aggregator".to_owned(), "api".to_owned()]);
    let asked = owner(&database, "tonghop").await;
    let sql = "SELECT DISTINCT usename::text FROM pg_stat_activity \
               WHERE datname = 'tonghop' AND pid <> pg_backend_pid()";
    let connected = asked.query(sql, &[]).await.unwrap();
    assert_eq!(
        connected
            .iter()
            .map(|row| row.get(0))
            .collect::<BTreeSet<String>>(),
        expected
    );
    let sql = "SELECT rolname::text FROM pg_authid WHERE rolpassword IS NOT NULL AND NOT rolsuper";
    let with_password = asked.query(sql, &[]).await.unwrap();
    assert_eq!(
        with_password
            .iter()
            .map(|row| row.get(0))
            .collect::<BTreeSet<String>>(),
        expected
    );
    let connected = broker
        .run_shell("rabbitmqctl --quiet list_connections --no-table-headers user")
        .await;
    assert_eq!(
        connected.lines().map(str::to_owned).collect::<BTreeSet<_>>(),
        expected
    );

    let heads = folder.path().join("audit-heads");
    let start = Instant::now();
    while !std::fs::read_to_string(&heads).is_ok_and(|heads| !heads.is_empty()) {
        assert!(start.elapsed() < Duration::from_secs(10), "no head is noted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    succeeds(
        places
            .command("migrate", program("tonghop"))
            .args(["audit", "verify"]),
    );
}
