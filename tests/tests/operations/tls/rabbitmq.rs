//! TLS to RabbitMQ (amqps).

use std::time::{Duration, Instant};

use reqwest::Method;
use tonghop_testkit::PrivateBroker;
use tonghop_tests::{Authority, Options, TestApp, Way, broadcasts, command, run_to_end};

fn options(url: String, authority: &Authority, sweep_interval_ms: u64) -> Options {
    Options {
        amqp_url: Some(url),
        sweep_interval_ms,
        settings: vec![("TONGHOP_AMQP_CA", authority.setting())],
        ..Options::default()
    }
}

async fn metrics(app: &TestApp) -> String {
    let base = &app.aggregator_bases[0];
    let answer = app.try_ask_at(base, Method::GET, "/metrics", &[], None).await;
    answer.unwrap().text
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_go_by_amqps_only_to_the_intended_broker() {
    let (authority, other_authority) = (Authority::new(), Authority::new());
    let pair = authority.sign(&["127.0.0.1"]);
    let broker = PrivateBroker::start_with_tls(&pair.certificate, &pair.key).await;

    // No sweep for a minute: totals need an announcement.
    let app = TestApp::start_with(Way::Servers, options(broker.tls_url(), &authority, 60_000)).await;
    let start = Instant::now();
    while !metrics(&app)
        .await
        .contains("tonghop_broker_connected{role=\"consumer\"} 1")
    {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "no aggregator connects"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(app.post(&broadcasts("866", 63)).await.status, 201);
    app.settled_totals("VN").await;
    let connections = broker.connections_with_tls().await;
    assert!(
        connections.len() >= 4 && connections.iter().all(|tls| *tls),
        "{connections:?}"
    );
    let listed = run_to_end(app.command("tonghop").args(["dead-letters", "list"]));
    assert_eq!(listed.code, Some(0), "{listed:?}");
    drop(app);

    // An untrusted broker has the same effect as an unreachable one.
    let app = TestApp::start_with(Way::Servers, options(broker.tls_url(), &other_authority, 1000)).await;
    assert_eq!(app.post(&broadcasts("866", 63)).await.status, 201);
    app.settled_totals("VN").await;
    let message = metrics(&app).await;
    assert!(
        message.contains("tonghop_broker_connected{role=\"consumer\"} 0"),
        "{message}"
    );
    let refused = run_to_end(app.command("tonghop").args(["dead-letters", "list"]));
    assert_eq!(
        (refused.code, refused.error.lines().count()),
        (Some(1), 1),
        "{refused:?}"
    );
    assert!(
        refused.error.contains("invalid peer certificate: UnknownIssuer"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_authority_ends_the_start_with_one_sentence() {
    let authority = Authority::new();
    for (url, file, message) in [
        (
            "amqps://127.0.0.1:1",
            "gone.pem".to_owned(),
            "gone.pem: No such file",
        ),
        (
            "amqp://127.0.0.1:1",
            authority.setting(),
            "must start with amqps://",
        ),
    ] {
        for (name, arguments) in [
            ("tonghop", ["dead-letters", "list"].as_slice()),
            ("tonghop-api", &[]),
            ("tonghop-aggregator", &[]),
        ] {
            let mut command = command(name);
            let ended = run_to_end(
                command
                    .args(arguments)
                    .env("TONGHOP_DATABASE_URL", "postgres://127.0.0.1:1/x")
                    .env("TONGHOP_AMQP_URL", url)
                    .env("TONGHOP_AMQP_CA", &file),
            );
            assert_eq!(ended.code, Some(2), "{name}: {ended:?}");
            assert!(
                ended.error.contains(message) && ended.error.lines().count() == 1,
                "{ended:?}"
            );
        }
    }
}
