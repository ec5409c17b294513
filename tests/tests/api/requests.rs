//! Requests as callers with and without a key send them.

use reqwest::Method;
use tonghop_tests::{Answer, TestApp, Way, broadcasts, check_answer, http_client};

/// Sends a request with an access key; an empty key sends an empty `Authorization` header.
pub(crate) async fn ask_with(
    app: &TestApp,
    key: &str,
    method: Method,
    path: &str,
    body: Option<String>,
) -> Answer {
    let authorization = format!("Bearer {key}");
    let media = if path.starts_with("/v1/submissions/batch") {
        "application/x-ndjson"
    } else {
        "application/json"
    };
    let mut headers = vec![("Content-Type", media), ("If-Match", "\"7\"")];
    if method == Method::POST {
        headers.pop();
    }
    if !key.is_empty() {
        headers.push(("Authorization", &authorization));
    } else {
        headers.push(("Authorization", ""));
    }
    app.ask(method, path, &headers, body).await
}

/// Sends a request without an `Authorization` header.
pub(crate) async fn without_key(app: &TestApp, method: &Method, path: &str, body: Option<String>) -> Answer {
    let client = http_client().build().unwrap();
    let request = client.request(method.clone(), format!("{}{path}", app.bases[0]));
    let response = request.body(body.unwrap_or_default()).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let answer = Answer {
        status,
        headers,
        text: response.text().await.unwrap(),
    };
    check_answer(method, path, &answer);
    answer
}

/// A service in which the districts 866 and 867 have reported, with the id of each submission.
pub(crate) async fn app_with_reports(way: Way) -> (TestApp, String, String) {
    let app = TestApp::start(way).await;
    let mut ids = Vec::new();
    for unit in ["866", "867"] {
        let answer = app.post(&broadcasts(unit, 1)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        ids.push(answer.json()["id"].as_str().unwrap().to_owned());
    }
    app.settled_totals("VN").await;
    let other = ids.pop().unwrap();
    (app, ids.pop().unwrap(), other)
}
