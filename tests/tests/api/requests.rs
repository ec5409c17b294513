//! Requests as the holder of a key sends them.

use reqwest::Method;
use tonghop_tests::{Answer, TestApp};

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
