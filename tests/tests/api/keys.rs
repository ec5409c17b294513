//! The life of a key: made, listed, revoked, and whose retries are whose.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tonghop_tests::{FORM, PERIOD, TestApp, Way, broadcasts};

use crate::requests::ask_with;

const OTHER_SUBMISSION: &str = "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11";

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_within_seconds_by_every_process_and_a_new_one_taken_at_once() {
    for way in [Way::Embedded, Way::Servers] {
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
        let command =
            |arguments: &[&str]| tonghop_tests::run_to_end(app.command("tonghop").arg("key").args(arguments));
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
                assert!(revoked.elapsed() < Duration::from_secs(5), "still taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        assert_eq!(command(&["revoke", id]).code, Some(1), "it was revoked before");
        assert!(command(&["list"]).output.contains(&format!("{id} revoked")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_gives_out_and_revokes_keys_for_the_units_below() {
    for way in [Way::Embedded, Way::Servers] {
        let app = TestApp::start(way).await;
        let province = app.create_key(&["--role", "admin", "--unit", "87"]);
        let new = |role: &str, unit: &str| {
            json!({"role": role, "unit": unit, "label": "máy của huyện"}).to_string()
        };
        let post = |body: String| ask_with(&app, &province, Method::POST, "/v1/keys", Some(body));
        let made = post(new("submitter", "866")).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let (id, token) = (
            made.json()["id"].as_str().unwrap().to_owned(),
            made.json()["token"].clone(),
        );
        let token = token.as_str().unwrap();
        assert_eq!(made.header("location"), format!("/v1/keys/{id}"));
        assert_eq!(made.header("cache-control"), "no-store");
        let bearer = format!("Bearer {token}");
        let own = [("Authorization", bearer.as_str())];
        assert_eq!(app.post_with(&broadcasts("866", 1), &own).await.status, 201);
        assert_eq!(app.post_with(&broadcasts("867", 1), &own).await.status, 403);
        // Whoever may not give out keys learns nothing of what a body should say.
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
            "the country's is not the province's to see: {}",
            rest.text
        );
        assert!(!rest.text.contains("token"), "{}", rest.text);
        let path = format!("/v1/keys/{id}");
        for _ in 0..2 {
            let revoked = ask_with(&app, &province, Method::DELETE, &path, None).await;
            assert_eq!(revoked.json()["state"], "revoked", "{}", revoked.text);
        }
        let gone = ask_with(&app, &province, Method::DELETE, "/v1/keys/00000000", None).await;
        assert_eq!(gone.status, 404, "{}", gone.text);
        let start = Instant::now();
        while app.post_with(&broadcasts("866", 2), &own).await.status != 401 {
            assert!(start.elapsed() < Duration::from_secs(5), "still taken");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Keys with one idempotency key each do not meet.
#[tokio::test(flavor = "multi_thread")]
async fn idempotency_keys_belong_to_the_caller() {
    let app = TestApp::start(Way::Embedded).await;
    for unit in ["866", "867"] {
        let bearer = format!(
            "Bearer {}",
            app.create_key(&["--role", "submitter", "--unit", unit])
        );
        let headers = [("Idempotency-Key", "1"), ("Authorization", bearer.as_str())];
        let answer = app.post_with(&broadcasts(unit, 1), &headers).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let again = app.post_with(&broadcasts(unit, 1), &headers).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_embedded_service_leaves_the_first_key_to_the_owner_of_its_files() {
    let mut app = TestApp::start(Way::Embedded).await;
    let path = app.database_url.strip_prefix("sqlite:").unwrap().to_owned();
    let key_file = format!("{path}.admin-key");
    let token = std::fs::read_to_string(&key_file).unwrap();
    let answer = ask_with(&app, token.trim(), Method::GET, "/v1/submissions", None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(app.post(&broadcasts("866", 1)).await.status, 201);
    for file in [
        path.as_str(),
        &key_file,
        &format!("{path}-wal"),
        &format!("{path}-shm"),
    ] {
        assert_eq!(mode(Path::new(file)), 0o600, "{file}");
    }
    std::fs::remove_file(&key_file).unwrap();
    app.apis[0].terminate();
    assert_eq!(app.apis[0].wait().code(), Some(0));
    let listed = tonghop_tests::run_to_end(app.command("tonghop").args(["key", "list"])).output;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(!listed.contains("last used never"), "{listed}");
    app.restart(Way::Embedded).await;
    assert!(!Path::new(&key_file).exists(), "there are keys already");
    let gone = ask_with(
        &app,
        "",
        Method::GET,
        &format!("/v1/submissions/{OTHER_SUBMISSION}"),
        None,
    )
    .await;
    assert_eq!(gone.status, 401, "{}", gone.text);
    assert_eq!(
        app.get(&format!("/v1/submissions/{OTHER_SUBMISSION}"))
            .await
            .status,
        404
    );
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_mistyped_key_is_refused_and_not_quoted() {
    let mut submit = std::process::Command::new(tonghop_tests::program("tonghop"));
    submit
        .args(["submit", "no-such-file.json"])
        .env("TONGHOP_KEY", "th_almostright");
    let ended = tonghop_tests::run_to_end(&mut submit);
    assert_eq!(ended.code, Some(2), "{}", ended.error);
    assert!(
        ended.error.contains("a key is th_ and 44 letters"),
        "{}",
        ended.error
    );
    assert!(!ended.error.contains("almostright"), "{}", ended.error);
}
