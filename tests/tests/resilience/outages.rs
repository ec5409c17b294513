//! Outages: what happens when a part of the system is down.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tonghop_testkit::{FaultProxy, PrivateBroker, PrivatePostgres, amqp_url};
use tonghop_tests::{Options, PROVINCE, Process, TestApp, Way, broadcasts, command, run_to_end};

const AN_HOUR_MS: u64 = 3_600_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_report_reaches_the_province_at_once_without_the_sweep() {
    let options = Options {
        sweep_interval_ms: AN_HOUR_MS,
        ..Options::default()
    };
    for way in [Way::Servers, Way::Embedded] {
        let app = TestApp::start_with(way, options.clone()).await;
        app.wait_for_queues().await;
        // The sweep at the start is over by now, and the next one is an hour away.
        for number in 1..=20 {
            app.post(&broadcasts("866", number)).await;
            let totals = app.settled_totals_within(PROVINCE, Duration::from_secs(5)).await;
            assert_eq!(TestApp::value(&totals, "TT.PT"), number, "{way:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_reports_are_accepted_and_swept_into_totals() {
    let proxy = FaultProxy::in_front_of(&amqp_url());
    proxy.cut();
    let amqp_url = Some(proxy.url_through(&amqp_url()));
    let options = Options {
        sweep_interval_ms: 200,
        amqp_url,
        ..Options::default()
    };
    let app = TestApp::start_with(Way::Servers, options).await;
    for (unit, number) in [("866", 63), ("867", 7)] {
        let answer = app.post(&broadcasts(unit, number)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    let totals = app.settled_totals_within(PROVINCE, Duration::from_secs(10)).await;
    assert_eq!(TestApp::value(&totals, "TT.PT"), 70);
    proxy.restore();
    app.post(&broadcasts("866", 60)).await;
    assert_eq!(TestApp::value(&app.settled_totals(PROVINCE).await, "TT.PT"), 67);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_stopped_under_load_rejects_and_loses_nothing() {
    let broker = PrivateBroker::start().await;
    let options = Options {
        amqp_url: Some(broker.url()),
        ..Options::default()
    };
    let app = Arc::new(TestApp::start_with(Way::Servers, options).await);
    let ends = Arc::new(AtomicBool::new(false));
    let accepted = Arc::new(AtomicI64::new(0));
    let clients: Vec<_> = (866..878)
        .map(|unit: i64| {
            let (app, ends, accepted) = (app.clone(), ends.clone(), accepted.clone());
            tokio::spawn(async move {
                let mut number = 0;
                while !ends.load(Ordering::Relaxed) {
                    number += 1;
                    let answer = app.post(&broadcasts(&unit.to_string(), number)).await;
                    assert_eq!(answer.status, 201, "{}", answer.text);
                    accepted.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                number
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    broker.stop().await;
    let before = accepted.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let during = accepted.load(Ordering::Relaxed) - before;
    assert!(
        during > 1000,
        "only {during} reports were accepted while the broker was down"
    );
    broker.restart().await;
    let back = Instant::now();
    ends.store(true, Ordering::Relaxed);
    let mut sum = 0;
    for client in clients {
        sum += client.await.expect("no client was refused");
    }
    let totals = app.settled_totals_within("VN", Duration::from_secs(5)).await;
    assert!(back.elapsed() < Duration::from_secs(8), "{:?}", back.elapsed());
    assert_eq!(TestApp::value(&totals, "TT.PT"), sum);
    app.assert_verified("VN").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_every_request_gets_503_with_retry_after() {
    let postgres = PrivatePostgres::start().await;
    let options = Options {
        database_url: Some(postgres.url()),
        ..Options::default()
    };
    let app = TestApp::start_with(Way::Servers, options).await;
    assert_eq!(app.post(&broadcasts("866", 1)).await.status, 201);
    postgres.kill().await;
    for _ in 0..4 {
        let refused = app.post(&broadcasts("866", 2)).await;
        assert_eq!(refused.status, 503, "{}", refused.text);
        assert!(!refused.header("retry-after").is_empty());
        assert_eq!(refused.json()["code"], "unavailable", "{}", refused.text);
        let read = app.get("/v1/totals?form=ngay-30-7&period=2021-07&unit=87").await;
        assert_eq!(read.status, 503, "{}", read.text);
        assert_eq!(app.get("/readyz").await.status, 503);
        assert_eq!(app.get("/livez").await.status, 200);
    }
    for base in &app.aggregator_bases {
        let unready = app
            .try_ask_at(base, Method::GET, "/readyz", &[], None)
            .await
            .unwrap();
        assert_eq!(unready.status, 503, "{}", unready.text);
        assert!(!unready.header("retry-after").is_empty());
        assert_eq!(unready.header("content-type"), "application/problem+json");
        assert_eq!(unready.json()["status"], 503, "{}", unready.text);
    }
    postgres.restart().await;
    let back = Instant::now();
    while app.post(&broadcasts("866", 2)).await.status != 201 {
        assert!(
            back.elapsed() < Duration::from_secs(5),
            "the service does not recover"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(TestApp::value(&app.settled_totals(PROVINCE).await, "TT.PT"), 2);
    app.assert_verified(PROVINCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_service_on_one_sqlite_file_reports_that_and_stops() {
    let app = TestApp::start(Way::Embedded).await;
    let second = run_to_end(
        app.command("tonghop")
            .arg("serve")
            .args(["--listen", "127.0.0.1:0"]),
    );
    assert_eq!(second.code, Some(1));
    assert!(
        second.error.contains("in use by another tonghop process"),
        "{}",
        second.error
    );
    assert_eq!(app.post(&broadcasts("866", 1)).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_requests_in_flight_and_exits_with_0() {
    for way in [Way::Embedded, Way::Servers] {
        let mut app = TestApp::start_with(
            way,
            Options {
                sweep_interval_ms: AN_HOUR_MS,
                ..Options::default()
            },
        )
        .await;
        app.wait_for_queues().await;
        let accepted = Arc::new(AtomicI64::new(0));
        {
            let app = &app;
            let accepted = accepted.clone();
            let reports = (1..=200).map(|number| {
                let accepted = accepted.clone();
                async move {
                    // Requests after the listener closed get no answer, as they should.
                    let body = broadcasts(&(866 + number % 12).to_string(), number).to_string();
                    let headers = [("Content-Type", "application/json")];
                    match app
                        .try_ask(Method::POST, "/v1/submissions", &headers, Some(body))
                        .await
                    {
                        Ok(answer) => {
                            assert!(matches!(answer.status, 201 | 503), "{}", answer.text);
                            accepted.fetch_add(i64::from(answer.status == 201), Ordering::Relaxed);
                        }
                        Err(error) => assert!(!error.is_timeout(), "{error}"),
                    }
                }
            });
            let stop = async {
                while accepted.load(Ordering::Relaxed) == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                app.apis.iter().for_each(Process::terminate);
            };
            tokio::join!(futures_util::future::join_all(reports), stop);
        }
        for process in app.apis.iter_mut().chain(&mut app.aggregators) {
            process.terminate_if_running();
            assert_eq!(process.wait().code(), Some(0), "{way:?}");
        }
        app.restart(way).await;
        let list = app.get("/v1/submissions?limit=200").await.json();
        let revisions: i64 = list["submissions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["revision"].as_i64().unwrap())
            .sum();
        assert!(
            revisions >= accepted.load(Ordering::Relaxed),
            "{way:?}: an accepted report is gone"
        );
        app.settled_totals("VN").await;
        app.assert_verified("VN").await;
    }
}

#[test]
fn a_wrong_setting_ends_the_start_with_one_sentence_and_code_2() {
    let tonghop = |arguments: &[&str]| run_to_end(command("tonghop").args(arguments));
    for (arguments, word) in [
        (
            &["serve", "--database-url", "mysql://x"][..],
            "a database URL is sqlite:PATH",
        ),
        (
            &["serve", "--database-url", "sqlite:"],
            "a database URL is sqlite:PATH",
        ),
        (&["serve", "--amqp-url", "http://x"], "amqp"),
        (&["serve", "--catalogue", "/nowhere"], "units.csv"),
        (
            &["verify", "--database-url", "sqlite:/nowhere/x.db"],
            "there is no database",
        ),
        (&["serve", "--log", "a=b=c"], "--log"),
    ] {
        let ended = tonghop(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.error);
        assert!(
            ended.error.starts_with("tonghop: ") && ended.error.contains(word),
            "{arguments:?}: {}",
            ended.error
        );
    }
    let unreachable = tonghop(&[
        "serve",
        "--database-url",
        "postgres://u:secret@127.0.0.1:1/x",
        "--listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(unreachable.code, Some(1));
    assert!(unreachable.error.contains("127.0.0.1:1"), "{}", unreachable.error);
    assert!(!unreachable.error.contains("secret"), "{}", unreachable.error);
    for name in ["tonghop-api", "tonghop-aggregator"] {
        let mut command = command(name);
        let ended =
            run_to_end(command.args(["--database-url", "sqlite:x.db", "--amqp-url", "amqp://127.0.0.1"]));
        assert_eq!(ended.code, Some(2), "{}", ended.error);
        assert!(
            ended.error.contains("PostgreSQL") && !Path::new("x.db").exists(),
            "{}",
            ended.error
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_with_another_catalogue_does_not_start() {
    let app = TestApp::start(Way::Servers).await;
    let folder = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/catalogue/data");
    for name in ["units.csv", "dimensions.csv", "indicators.csv", "forms.toml"] {
        std::fs::copy(data.join(name), folder.path().join(name)).unwrap();
    }
    let units = std::fs::read_to_string(data.join("units.csv")).unwrap();
    let renamed = units.replace("Thành phố Sa Đéc", "Thành phố Sa Đéc mới");
    assert_ne!(units, renamed);
    std::fs::write(folder.path().join("units.csv"), renamed).unwrap();
    let run = |name: &str, arguments: &[&str]| {
        let mut command = app.command(name);
        run_to_end(
            command
                .args(arguments)
                .env("TONGHOP_LISTEN", "127.0.0.1:0")
                .env("TONGHOP_CATALOGUE", folder.path()),
        )
    };
    let refused = run("tonghop-api", &[]);
    assert_eq!(refused.code, Some(2), "{}", refused.error);
    assert!(refused.error.contains("another catalogue"), "{}", refused.error);
    let path = "/v1/changes/stream?after=latest";
    let mut stream = app.follow(&app.bases[0], path, &app.admin_key, &[]).await;
    assert_eq!(run("tonghop", &["migrate"]).code, Some(0));
    // Now the running processes have another catalogue than the database: they accept nothing by outdated rules.
    let answer = app.post(&broadcasts("866", 1)).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert_eq!(json!(app.get("/readyz").await.status), 503);
    // Nor do they say what has changed: they do not know every form and unit.
    assert!(stream.ends(Duration::from_secs(5)).await, "it goes on");
    for path in [
        "/v1/changes",
        "/v1/changes/stream",
        "/v1/submissions?updated_since=2021-01-01T00:00:00Z",
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text);
        assert_eq!(answer.json()["code"], "catalogue-mismatch");
        assert!(answer.header("retry-after").parse::<u32>().is_ok());
    }
}
