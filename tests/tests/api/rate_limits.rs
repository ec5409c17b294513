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
    for path in ["/openapi.json", "/docs/index.html", "/guide/en/"].repeat(20) {
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
        key_rate: 20,
        ..Options::default()
    };
    let app = TestApp::start_with(Way::InProcess, options).await;
    let key = |role: &str| format!("Bearer {}", app.create_key(&["--role", role, "--unit", "866"]));
    let report = |value: i64| {
        let figures = json!([{"indicator": "TT.PT", "value": value}, {"indicator": "NN.TN", "value": 1}]);
        submission("866", figures).to_string() + "\n"
    };
    let lines: String = (0..200).map(report).collect();
    let submitter = key("submitter");
    let headers = [
        ("Authorization", submitter.as_str()),
        ("Content-Type", "application/x-ndjson"),
    ];
    let recorded = app
        .ask(Method::POST, "/v1/submissions/batch", &headers, Some(lines))
        .await;
    let first: Value = serde_json::from_str(recorded.text.lines().next().unwrap()).unwrap();
    let id = first["submission"]["id"].as_str().unwrap();
    let path = format!("/v1/submissions/{id}/revisions?limit=200");
    let read = async |key: &str| app.ask(Method::GET, &path, &[("Authorization", key)], None).await;
    let (greedy, other) = (key("reader"), key("reader"));
    let start = Instant::now();
    // 2,000 reports at once, and 200 per second.
    for _ in 0..12 {
        let page = read(&greedy).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert_eq!(page.json()["revisions"].as_array().unwrap().len(), 200);
    }
    assert!(
        start.elapsed() > Duration::from_millis(1900),
        "{:?}",
        start.elapsed()
    );
    let together = futures_util::future::join_all((0..12).map(|_| read(&greedy)));
    let (together, another) = tokio::join!(together, read(&other));
    assert_eq!(another.status, 200, "another key");
    let refused: Vec<_> = together.iter().filter(|page| page.status != 200).collect();
    assert!(
        (1..12).contains(&refused.len()),
        "{} of 12 refused",
        refused.len()
    );
    for page in refused {
        assert_eq!((page.status, page.header("retry-after")), (429, "1"), "{page:?}");
    }
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
