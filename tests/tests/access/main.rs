//! Nobody where they do not belong: who may call, and on whose figures.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first surprise, and says where"
)]

mod keys;
mod origins;
mod reach;

use reqwest::Method;
use tonghop_tests::{Answer, TestApp};

async fn ask_with(app: &TestApp, key: &str, method: Method, path: &str, body: Option<String>) -> Answer {
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
