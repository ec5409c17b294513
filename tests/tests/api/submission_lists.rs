//! `GET /v1/submissions`: which reports a list contains, and that pages miss none.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use tonghop_tests::{FORM, TestApp, Way, broadcasts};

use crate::paging::{assert_pages, twelve_districts_report};

/// Unit 87 was a province until 2025. Its reports are found without a period, and only those of its own time.
#[tokio::test(flavor = "multi_thread")]
async fn the_reports_of_a_unit_that_no_longer_exists_are_listed() {
    let app = TestApp::start(Way::InProcess).await;
    for unit in ["866", "867"] {
        assert_eq!(app.post(&broadcasts(unit, 1)).await.status, 201);
    }
    let units = async |path: &str, key: &str| -> Vec<String> {
        let bearer = format!("Bearer {key}");
        let answer = app
            .ask(Method::GET, path, &[("Authorization", &bearer)], None)
            .await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let list = answer.json()["submissions"].clone();
        let unit = |one: &Value| one["unit"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(unit).collect()
    };
    let admin = app.admin_key.clone();
    for path in [
        format!("/v1/submissions?form={FORM}&unit=87"),
        "/v1/submissions?unit=87".to_owned(),
    ] {
        assert_eq!(units(&path, &admin).await, ["867", "866"], "{path}");
    }
    let district = app.create_key(&["--role", "reader", "--unit", "867"]);
    assert_eq!(units("/v1/submissions?unit=867", &district).await, ["867"]);
    let bearer = format!("Bearer {district}");
    for (unit, status) in [("87", 403), ("866", 403), ("NOWHERE", 404)] {
        let path = format!("/v1/submissions?unit={unit}");
        let answer = app
            .ask(Method::GET, &path, &[("Authorization", &bearer)], None)
            .await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_corrected_meanwhile_is_on_some_page() {
    let app = TestApp::start(Way::InProcess).await;
    twelve_districts_report(&app).await;
    let mut seen = BTreeSet::new();
    let mut path = "/v1/submissions?limit=5".to_owned();
    loop {
        let page = app.get(&path).await.json();
        for one in page["submissions"].as_array().unwrap() {
            seen.insert(one["unit"].as_str().unwrap().to_owned());
        }
        // Each of the first pages is followed by a correction of every report.
        for unit in 866..878 {
            app.post(&broadcasts(
                &unit.to_string(),
                i64::try_from(seen.len()).unwrap() * 100,
            ))
            .await;
        }
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/submissions?limit=5&cursor={cursor}");
    }
    assert_eq!(seen.len(), 12, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn submissions_are_listed_page_by_page() {
    let app = TestApp::start(Way::InProcess).await;
    twelve_districts_report(&app).await;
    assert_pages(&app, "/v1/submissions?limit=5", "submissions", 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn submissions_are_listed_by_status_and_in_the_wanted_order() {
    let app = TestApp::start(Way::InProcess).await;
    let mut ids = Vec::new();
    for unit in ["866", "867", "868"] {
        let answer = app.post(&broadcasts(unit, 1)).await;
        ids.push(answer.json()["id"].as_str().unwrap().to_owned());
    }
    let path = format!("/v1/submissions/{}", ids[1]);
    let deleted = app.ask(Method::DELETE, &path, &[("If-Match", "*")], None).await;
    assert_eq!(deleted.status, 200, "{}", deleted.text);
    let units = async |query: &str| -> Vec<String> {
        let (mut units, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/submissions?limit=1&{query}{cursor}");
            let answer = app.get(&path).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
            let page = answer.json();
            for one in page["submissions"].as_array().unwrap() {
                units.push(one["unit"].as_str().unwrap().to_owned());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return units,
            }
        }
    };
    for (query, expected) in [
        ("sort=-created", vec!["868", "867", "866"]),
        ("sort=created", vec!["866", "867", "868"]),
        ("sort=updated", vec!["866", "868", "867"]),
        ("sort=-updated", vec!["867", "868", "866"]),
        ("status=withdrawn", vec!["867"]),
        ("status=accepted&sort=created", vec!["866", "868"]),
        (
            "updated_since=2021-01-01T00:00:00Z&status=accepted",
            vec!["866", "868"],
        ),
        (
            "updated_since=2021-01-01T00:00:00Z&sort=updated",
            vec!["866", "868", "867"],
        ),
        (
            "updated_since=2021-01-01T00:00:00Z&sort=-created",
            vec!["868", "867", "866"],
        ),
    ] {
        assert_eq!(units(query).await, expected, "{query}");
    }
    // Only the order of changes lets a reader go on without a gap.
    for (sort, goes_on) in [("updated", true), ("-created", false)] {
        let path = format!("/v1/submissions?updated_since=2021-01-01T00:00:00Z&sort={sort}");
        let page = app.get(&path).await.json();
        assert_eq!(page.get("next_since").is_some(), goes_on, "{sort}: {page}");
    }
    for (query, parameter) in [("sort=unit", "sort"), ("status=late", "status")] {
        let answer = app.get(&format!("/v1/submissions?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
        assert_eq!(answer.json()["errors"][0]["parameter"], parameter);
    }
}
