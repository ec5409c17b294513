//! The OpenAPI document.

use serde_json::Value;
use tonghop_tests::{TestApp, Way};

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_and_its_answers_are_documented() {
    let app = TestApp::start(Way::InProcess).await;
    let document = app.get("/openapi.json").await.json();
    for (name, pointer) in [
        ("get_total", "/paths/~1v1~1totals/get"),
        ("create_submission", "/paths/~1v1~1submissions/post"),
        ("problem", "/components/schemas/Problem"),
    ] {
        let fragment: &Value = document
            .pointer(pointer)
            .unwrap_or_else(|| panic!("no {pointer}"));
        let text = serde_json::to_string_pretty(fragment).unwrap();
        insta::assert_snapshot!(format!("openapi_{name}"), text);
    }
}
