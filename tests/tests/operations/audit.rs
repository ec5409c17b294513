//! The audit trail as an administrator sees it: who did what, and who read figures of victims.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tonghop_tests::{Answer, Ended, FORM, PERIOD, TestApp, Way, on_both_ways, run_to_end, submission};

on_both_ways!(
    changes_and_refusals_of_known_keys_are_recorded,
    reads_of_victims_are_recorded_singly_below_provinces,
);

const ABOUT: &str = "form=ngay-30-7&period=2021-07&unit=";

fn command(app: &TestApp, arguments: &[&str]) -> Ended {
    run_to_end(app.command("tonghop").arg("audit").args(arguments))
}

/// The trail without the entries for keys that the test created.
fn trail(app: &TestApp) -> Vec<Value> {
    app.audit_entries()
        .into_iter()
        .filter(|entry| entry["actor"] != "local-operator")
        .collect()
}

/// The trail once it has an entry of this request.
async fn trail_with(app: &TestApp, request: &str) -> Vec<Value> {
    let start = Instant::now();
    loop {
        let trail = trail(app);
        if trail.iter().any(|entry| entry["request_id"] == request) {
            return trail;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{request} is not recorded: {trail:?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

struct Caller<'a> {
    app: &'a TestApp,
    key: String,
}

impl<'a> Caller<'a> {
    fn new(app: &'a TestApp, role: &str, unit: &str) -> Self {
        let key = app.create_key(&["--role", role, "--unit", unit]);
        Self { app, key }
    }

    fn id(&self) -> &str {
        &self.key[3..11]
    }

    async fn asks(&self, request: &str, method: Method, path: &str, body: Option<String>) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let content_type = if path.ends_with("/batch") {
            "application/x-ndjson"
        } else {
            "application/json"
        };
        let mut headers = vec![("Authorization", bearer.as_str()), ("X-Request-Id", request)];
        if body.is_some() {
            headers.push(("Content-Type", content_type));
        }
        self.app.ask(method, path, &headers, body).await
    }

    async fn reads(&self, request: &str, path: &str) -> Answer {
        let answer = self.asks(request, Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer
    }
}

fn of<'a>(trail: &'a [Value], request: &str) -> Vec<&'a Value> {
    trail
        .iter()
        .filter(|entry| entry["request_id"] == request)
        .collect()
}

/// One entry says how many lines were rejected for the same reason, and does so once the batch has ended.
#[tokio::test(flavor = "multi_thread")]
async fn rejected_lines_of_a_batch_are_one_entry_per_code() {
    let app = TestApp::start(Way::Embedded).await;
    let district = Caller::new(&app, "submitter", "866");
    let others = submission("867", json!([])).to_string();
    let lines = format!("{}{}", "0\n".repeat(500), format!("{others}\n").repeat(15));
    let batch = district
        .asks("batch", Method::POST, "/v1/submissions/batch", Some(lines))
        .await;
    assert_eq!((batch.status, batch.text.lines().count()), (200, 515));
    let trail = trail_with(&app, "batch").await;
    let mut told: Vec<(&str, i64)> = of(&trail, "batch")
        .iter()
        .map(|entry| {
            (
                entry["outcome"].as_str().unwrap(),
                entry["count"].as_i64().unwrap(),
            )
        })
        .collect();
    told.sort_unstable();
    assert_eq!(told, [("forbidden", 15), ("invalid-submission", 500)]);
}

mod stories {
    use super::*;

    pub(crate) async fn changes_and_refusals_of_known_keys_are_recorded(way: Way) {
        let app = TestApp::start(way).await;
        let district = Caller::new(&app, "submitter", "866");
        let admin = Caller::new(&app, "admin", "87");
        let report = |unit: &str| {
            Some(submission(unit, json!([{"indicator": "TT.PT", "value": 918273645}])).to_string())
        };
        let post = async |request: &str, body| {
            let answer = district
                .asks(request, Method::POST, "/v1/submissions", body)
                .await;
            answer.status
        };
        assert_eq!(post("recorded", report("866")).await, 201);
        assert_eq!(post("unchanged", report("866")).await, 200);
        assert_eq!(post("of-another", report("867")).await, 403);
        assert_eq!(post("faulty", Some(r#"{"form":1}"#.into())).await, 422);
        let lines = format!("{}\n{}\nx\n", report("866").unwrap(), report("868").unwrap());
        let batch = district
            .asks("batch", Method::POST, "/v1/submissions/batch", Some(lines))
            .await;
        assert_eq!(batch.status, 200, "{}", batch.text);
        let key = admin
            .asks(
                "key",
                Method::POST,
                "/v1/keys",
                Some(r#"{"role":"reader","unit":"866"}"#.into()),
            )
            .await;
        assert_eq!(key.status, 201, "{}", key.text);
        let id = key.json()["id"].as_str().unwrap().to_owned();
        admin.reads("keys", "/v1/keys").await;
        let revoked = admin
            .asks("revoked", Method::DELETE, &format!("/v1/keys/{id}"), None)
            .await;
        assert_eq!(revoked.status, 200);
        let denied = district
            .asks(
                "denied",
                Method::POST,
                "/v1/keys",
                Some(r#"{"role":"reader","unit":"866"}"#.into()),
            )
            .await;
        assert_eq!(denied.status, 403);
        let peek = district
            .asks("peek", Method::GET, &format!("/v1/totals?{ABOUT}870"), None)
            .await;
        assert_eq!(peek.status, 403);

        let trail = trail_with(&app, "peek").await;
        let said = |request: &str| -> Vec<(String, String, Value)> {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            of(&trail, request)
                .iter()
                .map(|entry| {
                    (
                        text(&entry["action"]),
                        text(&entry["outcome"]),
                        entry["unit"].clone(),
                    )
                })
                .collect()
        };
        let one =
            |action: &str, outcome: &str, unit: Value| vec![(action.to_owned(), outcome.to_owned(), unit)];
        assert_eq!(
            said("recorded"),
            one("create_submission", "recorded", json!("866"))
        );
        assert_eq!(
            said("unchanged"),
            one("create_submission", "unchanged", json!("866"))
        );
        assert_eq!(
            said("of-another"),
            one("create_submission", "forbidden", json!("867"))
        );
        assert_eq!(
            said("faulty"),
            one("create_submission", "invalid-submission", Value::Null)
        );
        let lines: BTreeSet<_> = said("batch")
            .into_iter()
            .map(|(_, outcome, unit)| (outcome, unit.to_string()))
            .collect();
        let wanted = [
            ("forbidden", "\"868\""),
            ("invalid-json", "null"),
            ("unchanged", "\"866\""),
        ];
        let wanted: BTreeSet<_> = wanted
            .map(|(outcome, unit)| (outcome.to_owned(), unit.to_owned()))
            .into();
        assert_eq!(lines, wanted);
        assert_eq!(said("key"), one("create_key", "created", json!("866")));
        assert_eq!(said("keys"), one("list_keys", "read", Value::Null));
        assert_eq!(said("revoked"), one("revoke_key", "revoked", Value::Null));
        assert_eq!(of(&trail, "revoked")[0]["about"], json!(id));
        assert_eq!(said("denied"), one("create_key", "forbidden", Value::Null));
        assert_eq!(said("peek"), one("get_total", "forbidden", json!("870")));
        let recorded = of(&trail, "recorded")[0];
        assert_eq!(recorded["actor"], json!(district.id()));
        assert_eq!(recorded["address"], json!("127.0.0.1"));
        assert_eq!(
            (&recorded["form"], &recorded["period"]),
            (&json!(FORM), &json!(PERIOD))
        );
        // The trail contains no figures and no callers without a key.
        assert!(
            trail.iter().all(|entry| !entry.to_string().contains("918273645")),
            "{trail:?}"
        );
        let unknown = [("Authorization", "Bearer x"), ("X-Request-Id", "unknown")];
        let refused = app
            .ask(Method::POST, "/v1/submissions", &unknown, report("866"))
            .await;
        assert_eq!(refused.status, 401);
        assert_eq!(post("last", Some("x".into())).await, 400);
        assert_eq!(of(&trail_with(&app, "last").await, "unknown").len(), 0);
        if way == Way::Embedded {
            let metrics = app.get("/metrics").await.text;
            assert!(
                metrics.contains("\ntonghop_refused_without_key_total 1\n"),
                "{metrics}"
            );
            assert!(metrics.ends_with("\n# EOF\n"));
        }
        let listed = command(&app, &["list", "--actor", district.id(), "--unit", "867"]).output;
        assert_eq!(listed.lines().count(), 1, "{listed}");
        assert!(listed.contains(&format!(
            "{} create_submission forbidden {FORM} {PERIOD} 867",
            district.id()
        )));
    }

    pub(crate) async fn reads_of_victims_are_recorded_singly_below_provinces(way: Way) {
        let mut app = TestApp::start(way).await;
        let figures = json!([{"indicator": "TT.PT", "value": 1}, {"indicator": "NN.TN", "value": 1}]);
        let with_victims = app.post(&submission("866", figures)).await.json();
        let without = app
            .post(&submission("867", json!([{"indicator": "TT.PT", "value": 1}])))
            .await
            .json();
        let path = |answer: &Value| format!("/v1/submissions/{}", answer["id"].as_str().unwrap());
        let (with_victims, without) = (path(&with_victims), path(&without));
        let key = {
            let reader = Caller::new(&app, "reader", "87");
            for _ in 0..2 {
                reader.reads("submission", &with_victims).await;
            }
            reader.reads("other-submission", &without).await;
            reader
                .reads("history", &format!("{with_victims}/revisions"))
                .await;
            reader
                .reads("revision", &format!("{with_victims}/revisions/1"))
                .await;
            reader
                .reads("list", "/v1/submissions?unit=87&period=2021-07")
                .await;
            reader.reads("district", &format!("/v1/totals?{ABOUT}866")).await;
            reader
                .reads("narrow", &format!("/v1/totals?{ABOUT}866&indicator=TT.PT"))
                .await;
            reader
                .reads(
                    "parts",
                    &format!("/v1/totals/contributions?{ABOUT}87&indicator=NN.TN"),
                )
                .await;
            reader
                .reads(
                    "other-parts",
                    &format!("/v1/totals/contributions?{ABOUT}87&indicator=TT.PT"),
                )
                .await;
            let noted = trail(&app);
            let count = |request: &str| of(&noted, request).len();
            for (request, wanted) in [
                ("submission", 2),
                ("other-submission", 0),
                ("history", 1),
                ("revision", 1),
                ("list", 1),
                ("district", 1),
                ("narrow", 0),
                ("parts", 1),
                ("other-parts", 0),
            ] {
                assert_eq!(count(request), wanted, "{request}: {noted:?}");
            }
            let list = of(&noted, "list")[0];
            assert_eq!((&list["unit"], &list["outcome"]), (&json!("866"), &json!("read")));
            assert_eq!(of(&noted, "parts")[0]["about"], json!("NN.TN"));
            for number in 0..7 {
                reader
                    .reads(&format!("total-{number}"), &format!("/v1/totals?{ABOUT}87"))
                    .await;
                reader
                    .reads("other-total", &format!("/v1/totals?{ABOUT}87&indicator=TT.PT"))
                    .await;
            }
            reader.id().to_owned()
        };
        for process in &mut app.apis {
            process.terminate();
            assert!(process.wait().success());
        }
        let noted = trail(&app);
        let counts: Vec<&Value> = noted
            .iter()
            .filter(|entry| {
                entry["actor"] == json!(key) && entry["action"] == "get_total" && entry["unit"] == "87"
            })
            .collect();
        let sum: i64 = counts.iter().filter_map(|entry| entry["count"].as_i64()).sum();
        assert_eq!(sum, 7, "{counts:?}");
        // One per process and minute; the test may span two minutes.
        assert!(counts.len() <= 2 * app.bases.len(), "{counts:?}");
    }
}
