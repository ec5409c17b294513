//! `POST /v1/submissions/batch`.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonghop_tests::{Answer, PROVINCE, TestApp, Way, broadcasts, on_every_way, submission};

use crate::problems::assert_problem;

on_every_way!(
    a_batch_answers_line_by_line_and_applies_lines_in_order,
    a_client_that_sends_everything_before_it_reads_gets_every_result,
    a_batch_in_json_is_a_list_of_results,
);

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

/// The body of an answer in chunks, which must be complete.
fn dechunked(answer: &[u8]) -> String {
    let end = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|part| part == what).unwrap();
    let mut rest = &answer[end(answer, b"\r\n\r\n") + 4..];
    let mut body = Vec::new();
    loop {
        let line = end(rest, b"\r\n");
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return String::from_utf8(body).unwrap();
        }
        body.extend(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + 2 + size + 2..];
    }
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
        assert_eq!(answer.header("x-accel-buffering"), "no");
    }
    let headers = [
        ("Content-Type", "application/jsonl"),
        ("Accept", "application/jsonl"),
    ];
    for path in ["/v1/submissions/batch", "/v1/submissions/batch.ndjson"] {
        let answer = app.ask(Method::POST, path, &headers, Some("x".into())).await;
        assert_eq!(answer.header("content-type"), "application/jsonl");
        assert_eq!(results(&answer.text), [(1, 400)]);
    }
    let headers = [("Content-Type", "application/json")];
    let body = Some(r#"{"submissions":[]}"#.into());
    let path = "/v1/submissions/batch.ndjson";
    assert_problem(
        &app.ask(Method::POST, path, &headers, body).await,
        415,
        "unsupported-media-type",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_in_json_has_a_limit_and_a_shape() {
    let app = TestApp::start(Way::InProcess).await;
    let send = async |body: String| send(&app, &app.admin_key, "application/json", body).await;
    for (body, code, pointer) in [
        ("{}".to_owned(), "missing-field", "/submissions"),
        ("[]".to_owned(), "wrong-type", ""),
        (
            r#"{"submissions":[],"reports":[]}"#.to_owned(),
            "unknown-field",
            "/reports",
        ),
        (
            format!(r#"{{"submissions":[{}]}}"#, vec!["0"; 1_001].join(",")),
            "too-many",
            "/submissions",
        ),
    ] {
        let problem = assert_problem(&send(body).await, 422, "invalid-submission");
        assert_eq!(problem["errors"][0]["code"], code, "{problem}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    assert_problem(&send(r#"{"submissions":["#.into()).await, 400, "invalid-json");
    let large = format!(r#"{{"submissions":["{}"]}}"#, "x".repeat(8 << 20));
    assert_problem(&send(large).await, 413, "body-too-large");
    let reader = app.create_key(&["--role", "reader", "--unit", "87"]);
    let answer = crate::batch::send(&app, &reader, "application/json", r#"{"submissions":[]}"#.into()).await;
    assert_problem(&answer, 403, "forbidden");
    let not_acceptable = [
        ("Content-Type", "application/json"),
        ("Accept", "application/x-ndjson"),
    ];
    let path = "/v1/submissions/batch";
    let answer = app
        .ask(
            Method::POST,
            path,
            &not_acceptable,
            Some(r#"{"submissions":[]}"#.into()),
        )
        .await;
    assert_problem(&answer, 406, "not-acceptable");
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

    /// As most HTTP libraries do: the whole request, then the response. The results are larger than any buffer between.
    pub(super) async fn a_client_that_sends_everything_before_it_reads_gets_every_result(way: Way) {
        const LINES: usize = 400;
        let app = TestApp::start(way).await;
        let note = "ệ".repeat(10_000);
        let line = |number: usize| {
            let mut report = broadcasts(&(866 + number % 12).to_string(), number as i64);
            report["note"] = note.clone().into();
            format!("{report}\n")
        };
        let body: String = (0..LINES).map(line).collect();
        let head = format!(
            "POST /v1/submissions/batch?dry_run=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/x-ndjson\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            app.admin_key,
            body.len()
        );
        let mut stream = TcpStream::connect(address(&app)).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // Slowly enough that an answer that nobody reads would be given up.
        for part in body.as_bytes().chunks(body.len() / 13) {
            stream.write_all(part).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = dechunked(&answer);
        assert_eq!(answer.matches("\"line\":").count(), LINES);
        assert_eq!(answer.matches("\"dry_run\":true").count(), LINES);
    }

    pub(super) async fn a_batch_in_json_is_a_list_of_results(way: Way) {
        let app = TestApp::start(way).await;
        let send = async |body: &Value| {
            let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "batch")];
            let path = "/v1/submissions/batch";
            app.ask(Method::POST, path, &headers, Some(body.to_string()))
                .await
        };
        let body = json!({ "submissions": [
            broadcasts("866", 1), broadcasts("867", 2), broadcasts("999", 3), 7, broadcasts("866", 4),
        ] });
        for replayed in [false, true] {
            let answer = send(&body).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert_eq!(answer.header("content-type"), "application/json");
            let results = answer.json()["results"].as_array().unwrap().clone();
            let told: Vec<(u64, u64)> = results
                .iter()
                .map(|one| (one["line"].as_u64().unwrap(), one["status"].as_u64().unwrap()))
                .collect();
            assert_eq!(
                told,
                [(1, 201), (2, 201), (3, 422), (4, 422), (5, 201)],
                "{replayed}"
            );
            assert_eq!(results[0]["submission"]["revision"], 1);
            assert_eq!(results[2]["problem"]["errors"][0]["pointer"], "/unit");
            assert_eq!(results[4]["submission"]["revision"], 2);
        }
        assert_eq!(TestApp::value(&app.settled_totals(PROVINCE).await, "TT.PT"), 6);
        let empty = send(&json!({ "submissions": [] })).await;
        assert_eq!((empty.status, empty.json()), (200, json!({ "results": [] })));
    }

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
