//! `POST /v1/submissions/batch`.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonghop_tests::{Answer, PROVINCE, TestApp, Way, broadcasts, on_every_way, submission};

use crate::problems::assert_problem;

on_every_way!(a_batch_answers_line_by_line_and_applies_lines_in_order);

async fn send(app: &TestApp, key: &str, media_type: &str, body: String) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers = [("Content-Type", media_type), ("Authorization", &bearer)];
    app.ask(Method::POST, "/v1/submissions/batch", &headers, Some(body))
        .await
}

/// Where the service listens.
fn address(app: &TestApp) -> &str {
    app.bases[0].strip_prefix("http://").unwrap()
}

/// The line numbers and statuses of the results.
fn results(text: &str) -> Vec<(u64, u64)> {
    let lines = text.lines().map(|line| {
        let result: Value = serde_json::from_str(line).unwrap();
        (
            result["line"].as_u64().unwrap(),
            result["status"].as_u64().unwrap(),
        )
    });
    lines.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_accepted_under_each_name_of_its_media_type_and_with_byte_order_marks() {
    let app = TestApp::start(Way::InProcess).await;
    let media_types = [
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl; charset=utf-8",
    ];
    for (number, media_type) in (1..).zip(media_types) {
        let line = broadcasts("866", number);
        let body = format!("\u{feff}{line}\r\n\u{feff}{line}\r\n");
        let answer = send(&app, &app.admin_key, media_type, body).await;
        assert_eq!(answer.status, 200, "{media_type}: {}", answer.text);
        assert_eq!(results(&answer.text), [(1, 201), (2, 200)], "{media_type}");
        assert_eq!(answer.header("content-type"), "application/x-ndjson");
    }
    let headers = [
        ("Content-Type", "application/jsonl"),
        ("Accept", "application/jsonl"),
    ];
    let path = "/v1/submissions/batch";
    let answer = app.ask(Method::POST, path, &headers, Some("x".into())).await;
    assert_eq!(answer.header("content-type"), "application/jsonl");
}

/// Whoever may not submit gets one answer, whatever the batch holds, and leaves one entry in the audit trail.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_a_key_that_may_not_submit_is_one_refusal() {
    let app = TestApp::start(Way::InProcess).await;
    let reader = app.create_key(&["--role", "reader", "--unit", "87"]);
    let answer = send(&app, &reader, "application/x-ndjson", "0\n".repeat(100_000)).await;
    assert_problem(&answer, 403, "forbidden");
}

/// Half of a line, then the end of the connection's sending side.
#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_batch_is_not_answered_as_if_it_were_whole() {
    let app = TestApp::start(Way::InProcess).await;
    let line = broadcasts("866", 1).to_string();
    let head = format!(
        "POST /v1/submissions/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: 100000\r\n\r\n{line}\n{}",
        app.admin_key,
        &line[..20]
    );
    let mut stream = TcpStream::connect(address(&app)).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    drop(stream.read_to_string(&mut answer).await);
    let is_whole = answer.ends_with("0\r\n\r\n");
    let says_so = answer.contains(r#"{"line":2,"status":400"#);
    assert!(answer.contains(r#"{"line":1,"status":201"#), "{answer}");
    assert!(says_so || !is_whole, "{answer}");
}

mod stories {
    use super::*;

    pub(super) async fn a_batch_answers_line_by_line_and_applies_lines_in_order(way: Way) {
        let app = TestApp::start(way).await;
        let mut lines: Vec<String> = (1..=200).map(|n| broadcasts("866", n).to_string()).collect();
        lines.insert(100, "{not json".into());
        lines.push(submission("999", json!([])).to_string());
        let headers = [
            ("Content-Type", "application/x-ndjson"),
            ("Idempotency-Key", "file"),
        ];
        let send = || {
            app.ask(
                reqwest::Method::POST,
                "/v1/submissions/batch",
                &headers,
                Some(lines.join("\n")),
            )
        };
        for _ in 0..2 {
            let answer = send().await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let results: Vec<serde_json::Value> = answer
                .text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(results.len(), 202);
            for (at, result) in results.iter().enumerate() {
                let status = match at {
                    100 => 400,
                    201 => 422,
                    _ => 201,
                };
                assert_eq!(
                    (&result["line"], &result["status"]),
                    (&json!(at + 1), &json!(status)),
                    "{result}"
                );
            }
            assert_eq!(results[200]["submission"]["revision"], 200);
        }
        assert_eq!(TestApp::value(&app.settled_totals(PROVINCE).await, "TT.PT"), 200);
    }
}
