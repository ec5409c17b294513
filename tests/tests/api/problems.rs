//! Problems (RFC 9457): the body of every refusal.

use reqwest::Method;
use serde_json::{Value, json};
use tonghop_tests::{Answer, TestApp, Way};

/// Fails the test unless the answer is this problem, complete and with the id of its request.
pub(crate) fn assert_problem(answer: &Answer, status: u16, code: &str) -> Value {
    let problem = answer.json();
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{}",
        answer.text
    );
    assert_eq!(
        (&problem["status"], &problem["code"]),
        (&json!(status), &json!(code)),
        "{problem}"
    );
    assert_eq!(problem["type"], format!("/problems/{code}"));
    for field in ["title", "detail", "instance", "request_id"] {
        assert!(
            problem[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field}: {problem}"
        );
    }
    assert_eq!(
        answer.header("x-request-id"),
        problem["request_id"].as_str().unwrap()
    );
    problem
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_address_and_an_unknown_method_get_a_problem() {
    let app = TestApp::start(Way::InProcess).await;
    assert_problem(&app.get("/v1/nowhere").await, 404, "not-found");
    assert_problem(&app.get("/v1/submissions/not-an-id").await, 404, "not-found");
    let json_type = [("Content-Type", "application/json")];
    let put = app
        .ask(Method::PUT, "/v1/submissions", &json_type, Some("{}".into()))
        .await;
    assert_problem(&put, 405, "method-not-allowed");
    assert!(put.header("allow").contains("POST"), "{:?}", put.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_has_a_page_that_explains_it() {
    let app = TestApp::start(Way::InProcess).await;
    for code in ["invalid-submission", "revision-conflict", "unavailable"] {
        let page = app.get(&format!("/problems/{code}")).await;
        assert_eq!(page.status, 200, "{code}");
        assert!(page.header("content-type").starts_with("text/html"));
    }
}
