//! `/v1/keys`, and `tonghop key` beside a running service.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tonghop_tests::{
    FORM, Options, PERIOD, TestApp, Way, broadcasts, on_both_ways, on_every_way, run_to_end,
};

use crate::requests::ask_with;

on_both_ways!(a_revoked_key_is_rejected_within_seconds_by_every_process);

on_every_way!(
    an_administrator_creates_and_revokes_keys_for_units_below,
    everyone_reads_their_own_key,
);

mod stories {
    use super::*;

    pub(super) async fn a_revoked_key_is_rejected_within_seconds_by_every_process(way: Way) {
        let app = TestApp::start(way).await;
        let key = app.create_key(&["--role", "reader", "--label", "của Sở"]);
        let path = format!("/v1/totals?form={FORM}&period={PERIOD}&unit=VN");
        let bearer = format!("Bearer {key}");
        let headers = [("Authorization", bearer.as_str())];
        for base in &app.bases {
            let answer = app
                .try_ask_at(base, Method::GET, &path, &headers, None)
                .await
                .unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        let id = &key[3..11];
        let command = |arguments: &[&str]| run_to_end(app.command("tonghop").arg("key").args(arguments));
        let listed = command(&["list"]).output;
        assert!(
            listed.contains(&format!("{id} valid, reader of VN")) && listed.contains("của Sở"),
            "{listed}"
        );
        assert!(!listed.contains(&key[11..]), "the list shows a secret");
        assert_eq!(command(&["revoke", id]).code, Some(0));
        let revoked = Instant::now();
        for base in &app.bases {
            while app
                .try_ask_at(base, Method::GET, &path, &headers, None)
                .await
                .unwrap()
                .status
                != 401
            {
                assert!(revoked.elapsed() < Duration::from_secs(5), "still accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        assert_eq!(command(&["revoke", id]).code, Some(1), "it was revoked before");
        assert!(command(&["list"]).output.contains(&format!("{id} revoked")));
    }

    pub(super) async fn everyone_reads_their_own_key(way: Way) {
        let options = Options {
            key_rate: 100,
            ..Options::default()
        };
        let app = TestApp::start_with(way, options).await;
        for role in ["submitter", "reader", "admin"] {
            let key = app.create_key(&["--role", role, "--unit", "866", "--label", "của phòng"]);
            let answer = ask_with(&app, &key, Method::GET, "/v1/me", None).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let me = answer.json();
            assert_eq!(me["key"]["id"], key[3..11]);
            assert_eq!(me["key"]["role"], role);
            assert_eq!(me["key"]["unit"], "866");
            assert_eq!(me["key"]["unit_name_vi"], "Thành phố Cao Lãnh");
            assert_eq!(me["key"]["label"], "của phòng");
            assert_eq!(me["key"]["expires_at"], Value::Null);
            assert_eq!(me["key"].get("token"), None);
            let limits = json!({
                "requests_per_second": 100, "burst": 200, "submission_bytes": 1 << 20, "batch_submissions": 1_000,
                "batch_bytes": 8 << 20,
            });
            assert_eq!(me["limits"], limits);
        }
        let metrics = app.create_key(&["--role", "metrics"]);
        let answer = ask_with(&app, &metrics, Method::GET, "/v1/me", None).await;
        assert_eq!(answer.status, 403);
    }

    pub(super) async fn an_administrator_creates_and_revokes_keys_for_units_below(way: Way) {
        let app = TestApp::start(way).await;
        let province = app.create_key(&["--role", "admin", "--unit", "87"]);
        let new = |role: &str, unit: &str| {
            json!({"role": role, "unit": unit, "label": "máy của huyện"}).to_string()
        };
        let post = |body: String| ask_with(&app, &province, Method::POST, "/v1/keys", Some(body));
        let created = post(new("submitter", "866")).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let (id, token) = (
            created.json()["id"].as_str().unwrap().to_owned(),
            created.json()["token"].clone(),
        );
        let token = token.as_str().unwrap();
        assert_eq!(created.header("location"), format!("/v1/keys/{id}"));
        assert_eq!(created.header("cache-control"), "no-store");
        let bearer = format!("Bearer {token}");
        let own = [("Authorization", bearer.as_str())];
        assert_eq!(app.post_with(&broadcasts("866", 1), &own).await.status, 201);
        assert_eq!(app.post_with(&broadcasts("867", 1), &own).await.status, 403);
        // A caller that may not create keys learns nothing about the expected body.
        let refused = ask_with(&app, token, Method::POST, "/v1/keys", Some("{".into())).await;
        assert_eq!(refused.status, 403, "{}", refused.text);
        for (body, status, code) in [
            (new("admin", "VN"), 403, "forbidden"),
            (new("chief", "x"), 422, "invalid-key-request"),
            ("{}".into(), 422, "invalid-key-request"),
            ("{".into(), 400, "invalid-json"),
        ] {
            let refused = post(body).await;
            assert_eq!(
                (refused.status, refused.json()["code"].as_str()),
                (status, Some(code)),
                "{}",
                refused.text
            );
        }
        let listed = ask_with(&app, &province, Method::GET, "/v1/keys?limit=1", None)
            .await
            .json();
        assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
        let cursor = listed["next_cursor"].as_str().unwrap();
        let rest = ask_with(
            &app,
            &province,
            Method::GET,
            &format!("/v1/keys?cursor={cursor}"),
            None,
        )
        .await;
        let units: Vec<Value> = rest.json()["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["unit"].clone())
            .collect();
        assert_eq!(
            units,
            ["866"],
            "the province does not see the key of the country: {}",
            rest.text
        );
        assert!(!rest.text.contains("token"), "{}", rest.text);
        let path = format!("/v1/keys/{id}");
        let read = ask_with(&app, &province, Method::GET, &path, None).await;
        assert_eq!(read.status, 200, "{}", read.text);
        assert_eq!(read.json()["state"], "valid");
        assert_eq!(read.json()["unit"], "866");
        assert!(!read.text.contains("token"), "{}", read.text);
        let above = app.create_key(&["--role", "reader", "--unit", "VN"]);
        for (id, status) in [(&above[3..11], 403), ("00000000", 404), ("x", 404)] {
            let refused = ask_with(&app, &province, Method::GET, &format!("/v1/keys/{id}"), None).await;
            assert_eq!(refused.status, status, "{}", refused.text);
        }
        for _ in 0..2 {
            let revoked = ask_with(&app, &province, Method::DELETE, &path, None).await;
            assert_eq!(revoked.json()["state"], "revoked", "{}", revoked.text);
        }
        let gone = ask_with(&app, &province, Method::DELETE, "/v1/keys/00000000", None).await;
        assert_eq!(gone.status, 404, "{}", gone.text);
        let start = Instant::now();
        while app.post_with(&broadcasts("866", 2), &own).await.status != 401 {
            assert!(start.elapsed() < Duration::from_secs(5), "still accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_has_a_limited_number_of_valid_keys_and_each_names_its_creator() {
    let app = TestApp::start(Way::InProcess).await;
    let province = app.create_key(&["--role", "admin", "--unit", "87"]);
    let post = async || {
        let body = json!({"role": "reader", "unit": "866"}).to_string();
        ask_with(&app, &province, Method::POST, "/v1/keys", Some(body)).await
    };
    let first = post().await.json();
    assert_eq!(first["created_by"], province[3..11]);
    for _ in 1..50 {
        assert_eq!(post().await.status, 201);
    }
    let problem = crate::problems::assert_problem(&post().await, 409, "too-many-keys");
    assert!(
        problem["detail"].as_str().unwrap().contains("50 valid keys"),
        "{problem}"
    );
    let path = format!("/v1/keys/{}", first["id"].as_str().unwrap());
    let revoked = ask_with(&app, &province, Method::DELETE, &path, None).await;
    assert_eq!(revoked.json()["state"], "revoked");
    assert_eq!(post().await.status, 201, "a revoked key does not count");
    // Pages are read one after the other, and contain each key once.
    let (mut path, mut ids) = ("/v1/keys?limit=20".to_owned(), std::collections::BTreeSet::new());
    loop {
        let page = ask_with(&app, &province, Method::GET, &path, None).await.json();
        for key in page["keys"].as_array().unwrap() {
            assert!(ids.insert(key["id"].as_str().unwrap().to_owned()), "{key} twice");
        }
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/keys?limit=20&cursor={cursor}");
    }
    assert_eq!(ids.len(), 52, "and the province's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_for_monitoring_and_the_administrators_of_the_root() {
    let app = TestApp::start(Way::Embedded).await;
    let totals = format!("/v1/totals?form={FORM}&period={PERIOD}&unit=VN");
    let monitor = app.create_key(&["--role", "metrics"]);
    let district = app.create_key(&["--role", "admin", "--unit", "866"]);
    let status = async |key: &str, path: &str| ask_with(&app, key, Method::GET, path, None).await.status;
    assert_eq!(status(&monitor, "/metrics").await, 200);
    assert_eq!(status(&app.admin_key, "/metrics").await, 200);
    assert_eq!(status(&district, "/metrics").await, 403);
    for path in [
        &totals,
        "/v1/submissions",
        "/v1/units",
        "/v1/indicators",
        "/v1/keys",
    ] {
        assert_eq!(status(&monitor, path).await, 403, "{path}");
    }
    let report = broadcasts("866", 1).to_string();
    assert_eq!(
        ask_with(&app, &monitor, Method::POST, "/v1/submissions", Some(report))
            .await
            .status,
        403
    );
}
