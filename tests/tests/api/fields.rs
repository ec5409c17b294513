//! `fields=` on lists.

use serde_json::{Value, json};
use tonghop_tests::{TestApp, Way, broadcasts, submission};

use crate::paging::{assert_pages, twelve_districts_report};

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_lists_have_the_chosen_fields_only() {
    let app = TestApp::start(Way::InProcess).await;
    twelve_districts_report(&app).await;
    let id = app.post(&broadcasts("866", 11)).await.json()["id"].clone();
    let total = "form=ngay-30-7&period=2021-07&unit=87";
    for (path, list, fields) in [
        ("/v1/submissions?", "submissions", ["id", "revision"]),
        ("/v1/submissions?names=vi&", "submissions", ["unit", "unit_name"]),
        (
            &format!("/v1/submissions/{}/revisions?", id.as_str().unwrap()),
            "revisions",
            ["revision", "received_at"],
        ),
        ("/v1/units?date=2021-07-31&", "units", ["code", "name_vi"]),
        ("/v1/indicators?", "indicators", ["code", "kind"]),
        ("/v1/forms?", "forms", ["code", "version"]),
        ("/v1/keys?", "keys", ["id", "role"]),
        (&format!("/v1/completeness?{total}&"), "units", ["unit", "status"]),
        (
            &format!("/v1/totals/contributions?{total}&indicator=TT.PT&"),
            "contributions",
            ["unit", "value"],
        ),
    ] {
        let whole = entries(&app, path, list).await;
        let chosen = entries(&app, &format!("{path}fields={}&", fields.join(",")), list).await;
        let expected: Vec<Value> = whole.iter().map(|entry| only(entry, &fields)).collect();
        assert!(!expected.is_empty(), "{path}");
        assert_eq!(chosen, expected, "{path}");
    }
}

/// The entries on the first page of a list.
async fn entries(app: &TestApp, path: &str, list: &str) -> Vec<Value> {
    let answer = app.get(&format!("{path}limit=5")).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()[list].as_array().unwrap().clone()
}

fn only(entry: &Value, fields: &[&str]) -> Value {
    let members = entry.as_object().unwrap().iter();
    let chosen = members.filter(|(name, _)| fields.contains(&name.as_str()));
    chosen
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_continue_with_the_same_fields() {
    let app = TestApp::start(Way::InProcess).await;
    twelve_districts_report(&app).await;
    assert_pages(&app, "/v1/submissions?fields=id&limit=5", "submissions", 12).await;
    let page = app.get("/v1/submissions?fields=id&limit=5").await;
    assert!(
        page.header("link").contains("fields=id"),
        "{}",
        page.header("link")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_field_is_an_error_that_names_the_known_ones() {
    let app = TestApp::start(Way::InProcess).await;
    for wrong in ["figure", "id,", "", "ID", "id;unit", "links.self", "dry_run"] {
        let answer = app.get(&format!("/v1/submissions?fields={wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text);
        let error = &answer.json()["errors"][0];
        assert_eq!(error["parameter"], "fields");
        assert_eq!(error["code"], "malformed-parameter");
        assert!(
            error["detail"].as_str().unwrap().contains("unit_name, revision"),
            "{error}"
        );
    }
    let answer = app
        .get("/v1/submissions/00000000-0000-7000-8000-000000000000?fields=id")
        .await;
    assert_eq!(answer.status, 400, "a submission is no list");
}

/// A key that asks again and again would be slowed down if its reads were recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_figures_is_not_recorded_as_a_read_of_them() {
    let app = TestApp::start(Way::Embedded).await;
    let figures = json!([{"indicator": "NN.TN", "value": 1}]);
    let recorded = app.post(&submission("866", figures)).await.json();
    let history = format!("/v1/submissions/{}/revisions", recorded["id"].as_str().unwrap());
    for (fields, are_recorded) in [("id,revision", false), ("id,note", true), ("figures", true)] {
        for path in ["/v1/submissions", history.as_str()] {
            let before = reads(&app);
            let answer = app.get(&format!("{path}?fields={fields}")).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
            assert_eq!(reads(&app) - before, usize::from(are_recorded), "{path} {fields}");
        }
    }
}

/// The reads of confidential figures in the audit trail.
fn reads(app: &TestApp) -> usize {
    let entries = app.audit_entries();
    entries.iter().filter(|entry| entry["outcome"] == "read").count()
}
