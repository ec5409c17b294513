//! `POST /v1/submissions/batch`.

use serde_json::json;
use tonghop_tests::{PROVINCE, TestApp, Way, broadcasts, on_every_way, submission};

on_every_way!(a_batch_answers_line_by_line_and_applies_lines_in_order);

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
