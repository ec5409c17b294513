//! Each step between a request and the acknowledgement of its announcement: the process aborts there and is restarted,
//! and nothing is lost or duplicated.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tonghop_tests::{FORM, PERIOD, PROVINCE, Process, TestApp, Way, broadcasts};

/// Steps from a request to the commit and the answer.
const RECORDING: &[&str] = &[
    "request_read",
    "batch_taken",
    "keys_reserved",
    "heads_locked",
    "changes_written",
    "keys_released",
    "committed",
    "answering",
];
/// Steps of an announcement from the outbox to the broker.
const RELAYING: &[&str] = &["claimed", "confirmed", "settled"];
/// Steps from an announcement to the totals.
const REFRESHING: &[&str] = &[
    "delivered",
    "total_locked",
    "marks_read",
    "parts_read",
    "total_written",
    "refresh_committed",
    "handled",
];
/// Only with a broker: published but not confirmed yet, and acknowledged.
const PUBLISHING: &str = "published";
const ACKNOWLEDGING: &str = "acknowledged";

/// The deadline for a process to reach a step.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program of the service and its address.
#[derive(Clone, Copy)]
struct Program<'a> {
    name: &'a str,
    arguments: &'a [&'a str],
    listen: &'a str,
}

impl Program<'_> {
    fn start(self, app: &TestApp, crash_at: Option<&str>) -> Process {
        let mut command = app.command(self.name);
        command.args(self.arguments).env("TONGHOP_LISTEN", self.listen);
        if let Some(step) = crash_at {
            command.env("TONGHOP_CRASH_AT", step);
        }
        Process::start(&mut command)
    }
}

/// The revisions that were acknowledged to one unit.
#[derive(Default)]
struct Acknowledged {
    revisions: i64,
    value: i64,
}

/// Sends one report and retries it with the same key until it is acknowledged.
async fn report(app: &TestApp, acknowledged: &mut Acknowledged) {
    let value = acknowledged.value + 1;
    let key = format!("crash-{value}");
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", &*key)];
    let body = broadcasts("866", value).to_string();
    let start = Instant::now();
    loop {
        let answer = app
            .try_ask(Method::POST, "/v1/submissions", &headers, Some(body.clone()))
            .await;
        match answer {
            Ok(answer) if answer.status == 201 => {
                acknowledged.revisions += 1;
                acknowledged.value = value;
                assert_eq!(
                    answer.json()["revision"],
                    acknowledged.revisions,
                    "{}",
                    answer.text
                );
                return;
            }
            Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text),
            // The process aborted before it answered.
            Err(_) => {}
        }
        assert!(start.elapsed() < PATIENCE, "the report is not taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Aborts the program at the step while reports arrive, and restarts it.
async fn dies_at(
    step: &str,
    app: &TestApp,
    program: Program<'_>,
    acknowledged: &mut Acknowledged,
) -> Process {
    let mut process = program.start(app, Some(step));
    let start = Instant::now();
    let revived = async {
        while process.is_running() {
            assert!(
                start.elapsed() < PATIENCE,
                "{} never comes to {step}",
                program.name
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(process.wait().code(), None, "{step}: it died of itself");
        program.start(app, None)
    };
    let reports = async {
        loop {
            report(app, acknowledged).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let revived = tokio::select! {
        revived = revived => revived,
        () = reports => unreachable!("reports come without end"),
    };
    app.wait_until_ready().await;
    // Perhaps the report in flight when it aborted; the same key decides.
    report(app, acknowledged).await;
    revived
}

async fn assert_nothing_lost_or_duplicated(step: &str, app: &TestApp, acknowledged: &Acknowledged) {
    for unit in [PROVINCE, "VN"] {
        let totals = app.settled_totals(unit).await;
        assert_eq!(
            TestApp::value(&totals, "TT.PT"),
            acknowledged.value,
            "{step}: {unit}"
        );
    }
    let list = format!("/v1/submissions?form={FORM}&period={PERIOD}&unit=866");
    let list = app.get(&list).await.json();
    let head = &list["submissions"][0];
    assert_eq!(head["revision"], acknowledged.revisions, "{step}: {list}");
    assert_eq!(list["submissions"].as_array().map(Vec::len), Some(1), "{step}");
    app.assert_verified("VN").await;
}

async fn assert_history_is_whole(app: &TestApp, acknowledged: &Acknowledged) {
    let list = app
        .get(&format!("/v1/submissions?form={FORM}&period={PERIOD}&unit=866"))
        .await
        .json();
    let id = list["submissions"][0]["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    for number in 1..=acknowledged.revisions {
        let revision = app.get(&format!("/v1/submissions/{id}/revisions/{number}")).await;
        let value: Value = revision.json()["figures"][0]["value"].clone();
        assert_eq!(value, number, "{}", revision.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_service_that_aborts_at_any_step_loses_nothing() {
    let mut app = TestApp::start(Way::Embedded).await;
    app.apis.clear();
    let listen = app.bases[0].trim_start_matches("http://").to_owned();
    let program = Program {
        name: "tonghop",
        arguments: &["serve"],
        listen: &listen,
    };
    let mut acknowledged = Acknowledged::default();
    for step in RECORDING.iter().chain(RELAYING).chain(REFRESHING) {
        let process = dies_at(step, &app, program, &mut acknowledged).await;
        assert_nothing_lost_or_duplicated(step, &app, &acknowledged).await;
        drop(process);
    }
    let _process = program.start(&app, None);
    app.wait_until_ready().await;
    assert_history_is_whole(&app, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_or_aggregator_that_aborts_at_any_step_loses_nothing() {
    let mut app = TestApp::start(Way::Servers).await;
    app.apis.clear();
    app.aggregators.clear();
    app.bases.truncate(1);
    let listen = app.bases[0].trim_start_matches("http://").to_owned();
    let api = Program {
        name: "tonghop-api",
        arguments: &[],
        listen: &listen,
    };
    let aggregator = Program {
        name: "tonghop-aggregator",
        arguments: &[],
        listen: "127.0.0.1:0",
    };
    let mut acknowledged = Acknowledged::default();
    let mut steady = aggregator.start(&app, None);
    for step in RECORDING.iter().chain(RELAYING).chain([&PUBLISHING]) {
        let process = dies_at(step, &app, api, &mut acknowledged).await;
        assert_nothing_lost_or_duplicated(step, &app, &acknowledged).await;
        drop(process);
    }
    drop(steady);
    steady = api.start(&app, None);
    app.wait_until_ready().await;
    for step in REFRESHING.iter().chain([&ACKNOWLEDGING]) {
        let process = dies_at(step, &app, aggregator, &mut acknowledged).await;
        assert_nothing_lost_or_duplicated(step, &app, &acknowledged).await;
        drop(process);
    }
    assert_history_is_whole(&app, &acknowledged).await;
    drop(steady);
}

#[test]
fn every_step_of_the_programs_is_tested() {
    let mut named = BTreeSet::new();
    for folder in ["crates", "services"] {
        collect_steps(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder),
            &mut named,
        )
        .unwrap();
    }
    let tested = RECORDING.iter().chain(RELAYING).chain(REFRESHING);
    let tested = tested.chain([&PUBLISHING, &ACKNOWLEDGING]);
    assert_eq!(named, tested.map(ToString::to_string).collect());
}

/// The names of the steps in the sources in a folder.
fn collect_steps(folder: &Path, named: &mut BTreeSet<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_steps(&path, named)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path)?;
            for rest in source.split("tonghop::step\", step = \"").skip(1) {
                named.extend(rest.split('"').next().map(str::to_owned));
            }
        }
    }
    Ok(())
}
