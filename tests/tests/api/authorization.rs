//! Which key may do what on the figures of which unit, for every operation of the OpenAPI document.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tonghop_access::Token;
use tonghop_tests::{Answer, FORM, Options, PERIOD, TestApp, Way, broadcasts, on_every_way};

use crate::requests::{app_with_reports, ask_with, without_key};

on_every_way!(
    every_operation_requires_a_valid_key_that_covers_the_unit,
    lists_show_only_submissions_that_the_key_covers,
    a_unit_that_moved_belongs_to_each_province_in_its_time,
);

/// Paths that need no key.
const PUBLIC: [&str; 6] = [
    "/livez",
    "/readyz",
    "/openapi.json",
    "/openapi-3.0.json",
    "/problems",
    "/problems/{code}",
];

/// A request for each operation of the OpenAPI document: about a unit, its submission, and a key on it.
fn requests(
    document: &Value,
    unit: &str,
    submission: &str,
    key_id: &str,
) -> Vec<(Method, String, Option<String>)> {
    let mut requests = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        if PUBLIC.contains(&path.as_str()) {
            continue;
        }
        for method in item.as_object().unwrap().keys() {
            let about = format!("?form={FORM}&period={PERIOD}&unit={unit}");
            let line = broadcasts(unit, 2).to_string();
            let (address, body) = match (path.as_str(), method.as_str()) {
                ("/v1/submissions", "post") => (path.clone() + "?dry_run=true", Some(line)),
                ("/v1/submissions/batch" | "/v1/submissions/batch.ndjson", "post") => {
                    (path.clone() + "?dry_run=true", Some(line))
                }
                ("/v1/submissions", "get") => (path.clone() + &about, None),
                ("/v1/totals" | "/v1/totals.csv" | "/v1/completeness" | "/v1/verification", "get") => {
                    (path.clone() + &about, None)
                }
                ("/v1/totals/contributions", "get") => (format!("{path}{about}&indicator=TT.PT"), None),
                ("/v1/submissions/{id}", "delete") => {
                    // Names another revision than the current one, so that nothing is withdrawn.
                    (path.replace("{id}", submission), None)
                }
                ("/v1/keys", "post") => {
                    let new = json!({"role": "reader", "unit": unit, "label": "one of many"});
                    (path.clone(), Some(new.to_string()))
                }
                ("/v1/keys", "get") => (path.clone(), None),
                ("/v1/keys/{id}", "get" | "delete") => (path.replace("{id}", key_id), None),
                (_, "get") if path.contains("{id}") => {
                    let path = path.replace("{id}", submission).replace("{revision}", "1");
                    (path, None)
                }
                ("/v1/units" | "/v1/indicators" | "/v1/forms" | "/v1/me", "get") => (path.clone(), None),
                ("/v1/changes" | "/v1/changes/stream", "get") => (path.clone(), None),
                ("/v1/forms/{code}", "get") => (path.replace("{code}", FORM), None),
                other => panic!("{other:?} has no rule here: add who may do it, and on whose figures"),
            };
            // The stream has no end.
            let method = match path.as_str() {
                "/v1/changes/stream" => Method::HEAD,
                _ => method.to_uppercase().parse().unwrap(),
            };
            requests.push((method, address, body));
        }
    }
    assert!(requests.len() >= 15, "{requests:?}");
    requests
}

/// The status of an answer, or of the only line of a batch.
fn status(path: &str, answer: &Answer) -> u64 {
    if path.starts_with("/v1/submissions/batch") && answer.status == 200 {
        return answer.json()["status"].as_u64().unwrap();
    }
    u64::from(answer.status)
}

fn writes(method: &Method) -> bool {
    ![Method::GET, Method::HEAD].contains(method)
}

fn is_for_everyone(path: &str) -> bool {
    // Changes are those of the caller's units: see the tests of changes.
    [
        "/v1/units",
        "/v1/indicators",
        "/v1/forms",
        "/v1/me",
        "/v1/changes",
    ]
    .iter()
    .any(|known| path.starts_with(known))
}

/// A key with this id and another secret, with a valid checksum.
fn forged(id: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let named = format!("{id}{}", "0".repeat(30));
    let checksum = crc32fast::hash(named.as_bytes()) as usize;
    let digits = (0..6)
        .rev()
        .map(|place| char::from(DIGITS[checksum / 62_usize.pow(place) % 62]));
    let token = format!("th_{named}{}", digits.collect::<String>());
    assert!(token.parse::<Token>().is_ok(), "{token} looks like a key");
    token
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_without_a_key_show_no_figure_and_nothing_else_is_open() {
    let (app, ..) = app_with_reports(Way::InProcess).await;
    for path in [
        "/",
        "/docs/",
        "/guide",
        "/guide/en/figures",
        "/guide/programs/python/story.py",
        "/livez",
        "/readyz",
        "/openapi.json",
        "/openapi-3.0.json",
        "/problems",
        "/problems/forbidden",
    ] {
        let answer = without_key(&app, &Method::GET, path, None).await;
        assert!(answer.status < 400, "{path}: {}", answer.text);
    }
    for path in [
        "/metrics",
        "/v1",
        "/v1/",
        "/nothing",
        "/%76%31/totals",
        "//v1/totals",
        "/docs/../v1/totals",
    ] {
        let answer = without_key(&app, &Method::GET, path, None).await;
        assert!(
            answer.status == 401 || answer.status == 404,
            "{path}: {}",
            answer.text
        );
        assert!(!answer.text.contains("totals\":"), "{path}");
    }
    let reader = app.create_key(&["--role", "reader"]);
    assert_eq!(
        ask_with(&app, &reader, Method::GET, "/metrics", None)
            .await
            .status,
        403
    );
    assert_eq!(app.get("/metrics").await.status, 200);
}

mod stories {
    use super::*;

    pub(super) async fn every_operation_requires_a_valid_key_that_covers_the_unit(way: Way) {
        let (app, own, _other) = app_with_reports(way).await;
        let document = app.get("/openapi.json").await.json();
        let spare = app.create_key(&["--role", "reader", "--unit", "866"]);
        let spare = &spare[3..11];
        let all = requests(&document, "866", &own, spare);
        let key = |role: &str, unit: &str| app.create_key(&["--role", role, "--unit", unit]);
        let revoked = key("admin", "VN");
        let path = format!("/v1/keys/{}", &revoked[3..11]);
        let done = app.ask(Method::DELETE, &path, &[], None).await;
        assert_eq!(done.status, 200, "{}", done.text);
        let expired = app.create_key(&["--role", "admin", "--expires", "2021-01-01T00:00:00Z"]);
        let (unknown, forged) = (Token::generate(), forged(&key("admin", "VN")[3..11]));
        // Each gets 401, whatever it requests.
        for (what, bad, code) in [
            ("none", "", "missing-key"),
            ("revoked", &revoked, "invalid-key"),
            ("expired", &expired, "invalid-key"),
            ("unknown", unknown.reveal(), "invalid-key"),
            ("forged", &forged, "invalid-key"),
        ] {
            for (method, path, body) in &all {
                let answer = if what == "none" {
                    without_key(&app, method, path, body.clone()).await
                } else {
                    ask_with(&app, bad, method.clone(), path, body.clone()).await
                };
                assert_eq!(answer.status, 401, "{what} {method} {path}: {}", answer.text);
                if *method != Method::HEAD {
                    assert_eq!(answer.json()["code"], code, "{what} {method} {path}");
                }
                assert!(answer.header("www-authenticate").starts_with("Bearer realm="));
            }
        }
        // An address that tried so many unknown keys may use no new key for a second.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        // Which key covers the unit, and in what role.
        for (role, unit, covers) in [
            ("submitter", "866", true),
            ("submitter", "867", false),
            ("submitter", "87", true),
            ("reader", "866", true),
            ("reader", "867", false),
            ("reader", "VN", true),
            ("admin", "87", true),
            ("admin", "87-SLDTBXH", false),
        ] {
            let key = key(role, unit);
            for (method, path, body) in &all {
                let answer = ask_with(&app, &key, method.clone(), path, body.clone()).await;
                let found = status(path, &answer);
                let may = if path.starts_with("/v1/keys") {
                    role == "admin" && (covers || (*method == Method::GET && path == "/v1/keys"))
                } else {
                    is_for_everyone(path) || (covers && !(role == "reader" && writes(method)))
                };
                if may {
                    assert!(
                        found < 300 || found == 412,
                        "{role} {unit} {method} {path}: {}",
                        answer.text
                    );
                } else {
                    assert_eq!(found, 403, "{role} {unit} {method} {path}: {}", answer.text);
                }
            }
        }
        // A district may read neither the province above it nor the country.
        let district = key("submitter", "866");
        for unit in ["87", "VN"] {
            for (method, path, body) in requests(&document, unit, &own, spare) {
                if is_for_everyone(&path) || path.contains(&own) {
                    continue;
                }
                let answer = ask_with(&app, &district, method.clone(), &path, body).await;
                let found = status(&path, &answer);
                assert!(
                    found == 403 || (writes(&method) && found == 422),
                    "{method} {path}: {}",
                    answer.text
                );
            }
        }
    }

    pub(super) async fn lists_show_only_submissions_that_the_key_covers(way: Way) {
        let app = TestApp::start(way).await;
        for unit in 866..878 {
            assert_eq!(app.post(&broadcasts(&unit.to_string(), 1)).await.status, 201);
        }
        let district = app.create_key(&["--role", "reader", "--unit", "870"]);
        let page = |path: String| {
            let (app, district) = (&app, &district);
            async move { ask_with(app, district, Method::GET, &path, None).await }
        };
        let units = |answer: &Answer| -> Vec<String> {
            let list = answer.json()["submissions"].as_array().unwrap().clone();
            list.iter()
                .map(|one| one["unit"].as_str().unwrap().to_owned())
                .collect()
        };
        for query in [
            "",
            "?limit=1",
            "?period=2021-07&unit=870",
            &format!("?form={FORM}&period={PERIOD}&unit=870"),
        ] {
            let answer = page(format!("/v1/submissions{query}")).await;
            assert_eq!(units(&answer), ["870"], "{query}: {}", answer.text);
            assert_eq!(answer.json()["next_cursor"], json!(null), "{query}");
        }
        assert_eq!(
            page("/v1/submissions?period=2021-07&unit=871".into())
                .await
                .status,
            403
        );
        assert_eq!(units(&app.get("/v1/submissions").await).len(), 12);
    }

    /// In 2022 another province takes the code 87 with all districts: the key of the old one ends there.
    pub(super) async fn a_unit_that_moved_belongs_to_each_province_in_its_time(way: Way) {
        let folder = tempfile::tempdir().unwrap();
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/catalogue/data");
        for name in ["dimensions.csv", "indicators.csv", "forms.toml"] {
            std::fs::copy(data.join(name), folder.path().join(name)).unwrap();
        }
        let units = std::fs::read_to_string(data.join("units.csv")).unwrap();
        let province = units.lines().find(|line| line.starts_with("87,")).unwrap();
        assert!(province.ends_with(",VN,,2025-07-01"), "{province}");
        let old = province.replace(",VN,,2025-07-01", ",VN,,2022-01-01");
        let new = province.replace(",VN,,2025-07-01", ",VN,2022-01-01,2025-07-01");
        let units = units.replace(province, &format!("{old}\n{new}"));
        std::fs::write(folder.path().join("units.csv"), units).unwrap();
        let options = Options {
            catalogue: Some(folder.path().to_owned()),
            ..Options::default()
        };
        let app = TestApp::start_with(way, options).await;
        for period in ["2021-07", "2022-07"] {
            let mut report = broadcasts("866", 1);
            report["period"] = json!(period);
            let answer = app.post(&report).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
        }
        for (date, own, other) in [
            ("2021-07-31", "2021-07", "2022-07"),
            ("2022-07-31", "2022-07", "2021-07"),
        ] {
            let key = app.create_key(&["--role", "reader", "--unit", "87", "--date", date]);
            let key = key.as_str();
            let read = |path: String| {
                let app = &app;
                async move { ask_with(app, key, Method::GET, &path, None).await }
            };
            let listed = read("/v1/submissions".into()).await.json();
            let periods: Vec<&Value> = listed["submissions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| &one["period"])
                .collect();
            assert_eq!(periods, [own], "{listed}");
            let totals = |period: &str| format!("/v1/totals?form={FORM}&period={period}&unit=87");
            assert_eq!(read(totals(own)).await.status, 200);
            assert_eq!(read(totals(other)).await.status, 403);
            let others = format!("/v1/submissions?period={other}&unit=87");
            assert_eq!(read(others).await.status, 403);
        }
    }
}
