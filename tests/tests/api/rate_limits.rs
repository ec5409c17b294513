//! The rate limits of a key, and of documents without one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tonghop_tests::{FORM, Options, PERIOD, TestApp, Way, broadcasts, on_every_way, submission};

on_every_way!(a_key_over_its_rate_gets_429_while_others_are_served);

fn totals() -> String {
    format!("/v1/totals?form={FORM}&period={PERIOD}&unit=VN")
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_a_key_may_send_fifty_reports_per_second_at_once() {
    let options = Options {
        key_rate: 100,
        ..Options::default()
    };
    let app = Arc::new(TestApp::start_with(Way::InProcess, options).await);
    for second in 0..3 {
        let posts = (0..50).map(|at| {
            let app = app.clone();
            async move { app.post(&broadcasts("866", second * 100 + at)).await.status }
        });
        let start = Instant::now();
        for status in futures_util::future::join_all(posts).await {
            assert!(status < 300, "{status}");
        }
        tokio::time::sleep(Duration::from_secs(1).saturating_sub(start.elapsed())).await;
    }
}

/// An address that asks for many documents waits for them. Health checks are not limited.
#[tokio::test(flavor = "multi_thread")]
async fn documents_without_a_key_wait_for_their_turn() {
    let options = Options {
        key_rate: 10,
        ..Options::default()
    };
    let app = TestApp::start_with(Way::InProcess, options).await;
    let start = Instant::now();
    for path in ["/openapi.json", "/docs/index.html", "/problems"].repeat(20) {
        assert_eq!(app.ask(Method::GET, path, &[], None).await.status, 200, "{path}");
    }
    let took = start.elapsed();
    assert!(
        took > Duration::from_millis(600),
        "60 documents, 40 at once: {took:?}"
    );
    let asks = || (0..160).map(|_| app.ask(Method::GET, "/openapi.json", &[], None));
    let both = async {
        let documents = futures_util::future::join_all(asks());
        let health = async {
            let start = Instant::now();
            for _ in 0..40 {
                assert_eq!(app.ask(Method::GET, "/livez", &[], None).await.status, 200);
            }
            start.elapsed()
        };
        tokio::join!(documents, health)
    };
    let (documents, health) = both.await;
    assert!(health < Duration::from_secs(2), "{health:?}");
    let refused: Vec<_> = documents.iter().filter(|answer| answer.status != 200).collect();
    assert!(
        (80..=155).contains(&refused.len()),
        "{} of 160 refused",
        refused.len()
    );
    for answer in refused {
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (429, "1"),
            "{answer:?}"
        );
    }
}

/// Each report with confidential figures that a page shows is an entry of the audit trail, so a key that reads pages again
/// and again would let the trail grow by megabytes.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_confidential_reports_wait_for_their_turn() {
    let options = Options {
        key_rate: 5,
        ..Options::default()
    };
    let app = TestApp::start_with(Way::InProcess, options).await;
    let report = |value: i64| {
        let figures = json!([{"indicator": "TT.PT", "value": value}, {"indicator": "NN.TN", "value": 1}]);
        submission("866", figures).to_string() + "\n"
    };
    let lines: String = (0..60).map(report).collect();
    let submitter = format!(
        "Bearer {}",
        app.create_key(&["--role", "submitter", "--unit", "866"])
    );
    let headers = [
        ("Authorization", submitter.as_str()),
        ("Content-Type", "application/x-ndjson"),
    ];
    let recorded = app
        .ask(Method::POST, "/v1/submissions/batch", &headers, Some(lines))
        .await;
    let first: Value = serde_json::from_str(recorded.text.lines().next().unwrap()).unwrap();
    let path = format!(
        "/v1/submissions/{}/revisions?limit=200",
        first["submission"]["id"].as_str().unwrap()
    );
    let reader = || {
        format!(
            "Bearer {}",
            app.create_key(&["--role", "reader", "--unit", "866"])
        )
    };
    let read = async |key: &str| app.ask(Method::GET, &path, &[("Authorization", key)], None).await;
    let (greedy, other) = (reader(), reader());
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(read(&greedy).await.status, 200);
    }
    // 20 are left, and 10 more per second: the next page has to wait for longer than a request may.
    let refused = read(&greedy).await;
    assert_eq!(
        (refused.status, refused.json()["code"].clone()),
        (429, json!("rate-limited"))
    );
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=4).contains(&wait), "{wait}");
    assert_eq!(read(&other).await.status, 200, "another key");
    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(read(&greedy).await.status, 200, "after Retry-After");
    assert!(start.elapsed() > Duration::from_secs(2), "{:?}", start.elapsed());
}

mod stories {
    use super::*;

    pub(super) async fn a_key_over_its_rate_gets_429_while_others_are_served(way: Way) {
        let options = Options {
            key_rate: 10,
            ..Options::default()
        };
        let mut app = TestApp::start_with(way, options).await;
        // Each process has limits of its own.
        app.bases.truncate(1);
        let greedy = format!("Bearer {}", app.create_key(&["--role", "reader"]));
        let start = Instant::now();
        let (mut served, mut refused) = (0, 0);
        for _ in 0..150 {
            let answer = app
                .ask(Method::GET, &totals(), &[("Authorization", &greedy)], None)
                .await;
            assert_eq!(answer.header("ratelimit-policy").is_empty(), answer.status == 429);
            match answer.status {
                200 => {
                    assert_eq!(answer.header("ratelimit-policy"), r#""key";q=20;w=2"#);
                    assert!(
                        answer.header("ratelimit").starts_with(r#""key";r="#),
                        "{answer:?}"
                    );
                    served += 1;
                }
                429 => {
                    assert_eq!(answer.json()["code"], "rate-limited");
                    assert_eq!(answer.header("retry-after"), "1");
                    refused += 1;
                }
                other => panic!("{other}: {}", answer.text),
            }
        }
        let most = 20 + 10 * (start.elapsed().as_secs() + 1);
        assert!(
            (20..=most).contains(&served) && refused > 0,
            "{served} served, {refused} refused"
        );
        assert_eq!(app.get(&totals()).await.status, 200, "another key");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let again = app
            .ask(Method::GET, &totals(), &[("Authorization", &greedy)], None)
            .await;
        assert_eq!(again.status, 200, "after Retry-After");
    }
}
