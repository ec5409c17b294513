//! `/v1/submissions`: reporting, correcting and withdrawing, and what these do to totals.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use tonghop_tests::{Answer, FORM, PROVINCE, TestApp, Way, broadcasts, on_every_way, submission};

use crate::problems::assert_problem;

on_every_way!(
    fourteen_submissions_become_the_totals_of_the_source_report,
    a_correction_replaces_the_figure_it_corrects,
    a_withdrawn_report_is_missing_again,
    a_wait_is_answered_when_the_totals_include_it,
    a_stale_condition_is_rejected_and_changes_nothing,
);

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_fails_a_check_is_accepted_with_a_warning() {
    let app = TestApp::start(Way::InProcess).await;
    let report = |supported: i64| {
        let figures =
            json!([{ "indicator": "HT.NG", "value": 2 }, { "indicator": "HT.YT", "value": supported }]);
        submission("866", figures)
    };
    let answer = app.post(&report(3)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let warnings = &answer.json()["warnings"];
    assert_eq!(warnings[0]["pointer"], "/figures/1", "{warnings}");
    assert_eq!(warnings[0]["rule"], "HT.YT <= HT.NG");
    assert_eq!(warnings.as_array().unwrap().len(), 1);
    for text in ["text_vi", "text_en"] {
        assert!(
            warnings[0][text].as_str().is_some_and(|text| text.len() > 20),
            "{warnings}"
        );
    }
    let read = app.get(answer.header("location")).await.json();
    assert_eq!(&read["warnings"], warnings);
    let listed = app.get("/v1/submissions?fields=id,warnings").await.json();
    assert_eq!(&listed["submissions"][0]["warnings"], warnings);
    let batch = json!({ "submissions": [report(3), report(2)] });
    let headers = [("Content-Type", "application/json")];
    let path = "/v1/submissions/batch";
    let results = app
        .ask(Method::POST, path, &headers, Some(batch.to_string()))
        .await
        .json();
    assert_eq!(&results["results"][0]["submission"]["warnings"], warnings);
    assert_eq!(results["results"][1]["submission"]["warnings"], json!([]));
    let withdrawn = app
        .ask(
            Method::DELETE,
            answer.header("location"),
            &[("If-Match", "\"2\"")],
            None,
        )
        .await;
    assert_eq!(withdrawn.json()["warnings"], json!([]), "{}", withdrawn.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_a_body_is_reported_at_once_in_both_languages() {
    let app = TestApp::start(Way::InProcess).await;
    let body = json!({
        "form": FORM, "period": "2021-08", "unit": "87", "surprise": 1,
        "figures": [
            { "indicator": "TT.PT", "value": -1 },
            { "indicator": "NO.SUCH", "value": 1 },
            { "indicator": "TT.HOTLINE", "value": 3 },
        ],
    });
    let problem = assert_problem(&app.post(&body).await, 422, "invalid-submission");
    let pointers = |problem: &Value| -> BTreeSet<String> {
        let errors = problem["errors"].as_array().unwrap();
        errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        pointers(&problem),
        BTreeSet::from(["/period".into(), "/surprise".into()]),
        "{problem}"
    );
    let body = submission(
        "87",
        json!([
            { "indicator": "TT.PT", "value": -1 },
            { "indicator": "NO.SUCH", "value": 1 },
            { "indicator": "TT.HOTLINE", "value": 3 },
            { "indicator": "CS.SO", "value": 2, "breakdowns": [{ "by": { "facility_type": "cua_khau" }, "value": 1 }] },
            { "indicator": "HT.TYLE", "value": 50 },
            { "indicator": "TT.BAO" },
            { "indicator": "TT.PT", "state": "perhaps" },
        ]),
    );
    let wanted = [
        "/unit",
        "/figures/0/value",
        "/figures/1/indicator",
        "/figures/2/value",
        "/figures/3/breakdowns",
        "/figures/4/indicator",
        "/figures/5",
        "/figures/6/indicator",
        "/figures/6/state",
    ];
    let wanted: BTreeSet<String> = wanted.into_iter().map(String::from).collect();
    let english = assert_problem(&app.post(&body).await, 422, "invalid-submission");
    assert_eq!(pointers(&english), wanted, "{english}");
    let vietnamese = app.post_with(&body, &[("Accept-Language", "vi")]).await;
    assert_eq!(vietnamese.header("content-language"), "vi");
    let vietnamese = vietnamese.json();
    assert_eq!(pointers(&vietnamese), wanted);
    assert_ne!(english["title"], vietnamese["title"]);
    assert!(
        !vietnamese["errors"][0]["detail"].as_str().unwrap().is_ascii(),
        "{vietnamese}"
    );
    assert_eq!(app.totals(PROVINCE).await["completeness"]["reported"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_read_gets_a_problem_of_its_own() {
    let app = TestApp::start(Way::InProcess).await;
    let twice = r#"{"form":"ngay-30-7","form":"ngay-30-7","period":"2021-07","unit":"866","figures":[]}"#;
    let large = format!("{{\"note\":\"{}\"}}", "x".repeat(1 << 20));
    for (body, media_type, status, code) in [
        ("{not json", "application/json", 400, "invalid-json"),
        ("[1]", "application/json", 422, "invalid-submission"),
        (&large, "application/json", 413, "body-too-large"),
        ("{}", "text/plain", 415, "unsupported-media-type"),
        (twice, "application/json", 422, "invalid-submission"),
    ] {
        assert_problem(&post(&app, media_type, body).await, status, code);
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = post(&app, "application/json", &deep).await;
    assert!(matches!(answer.status, 400 | 422), "{}", answer.text);
}

async fn post(app: &TestApp, media_type: &str, body: &str) -> Answer {
    let headers = [("Content-Type", media_type)];
    app.ask(Method::POST, "/v1/submissions", &headers, Some(body.to_owned()))
        .await
}

/// A float would round each to a whole number, or to infinity.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_decided_by_their_digits() {
    let app = TestApp::start(Way::InProcess).await;
    let send = async |value: &str| {
        let figures = format!(r#"[{{"indicator":"TT.PT","value":{value}}}]"#);
        let body = format!(r#"{{"form":"{FORM}","period":"2021-07","unit":"866","figures":{figures}}}"#);
        post(&app, "application/json", &body).await
    };
    for (value, code) in [
        ("0.9999999999999999", "wrong-type"),
        ("62.99999999999999999", "wrong-type"),
        ("999999999999.00001", "wrong-type"),
        ("1000000000000.0000001", "wrong-type"),
        ("1e-400", "wrong-type"),
        ("1e400", "above-maximum"),
        ("-1e400", "below-minimum"),
        ("1000000000001", "above-maximum"),
    ] {
        let problem = assert_problem(&send(value).await, 422, "invalid-submission");
        let errors = &problem["errors"];
        assert_eq!(errors[0]["pointer"], "/figures/0/value", "{value}: {errors}");
        assert_eq!(errors[0]["code"], code, "{value}: {errors}");
    }
    for value in ["6.3e1", "63.000", "630E-1"] {
        let answer = send(value).await;
        assert_eq!(
            answer.json()["figures"][0]["value"],
            63,
            "{value}: {}",
            answer.text
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_is_ignored() {
    let app = TestApp::start(Way::InProcess).await;
    let body = format!("\u{feff}{}", broadcasts("866", 1));
    assert_eq!(post(&app, "application/json", &body).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_that_has_not_begun_is_rejected() {
    let app = TestApp::start(Way::InProcess).await;
    let report = json!({ "form": FORM, "period": "2062-07", "unit": "VN-BLDTBXH", "figures": [] });
    let problem = assert_problem(&app.post(&report).await, 422, "invalid-submission");
    let errors = problem["errors"].as_array().unwrap();
    let of_period = errors.iter().find(|error| error["pointer"] == "/period");
    assert_eq!(of_period.unwrap()["code"], "period-not-begun", "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_may_be_the_number_of_a_document() {
    let app = TestApp::start(Way::InProcess).await;
    let headers = [("Idempotency-Key", "1001/SLĐTBXH-BTPCTNXH")];
    let send = async || app.post_with(&broadcasts("866", 1), &headers).await;
    assert_eq!(send().await.status, 201);
    assert_eq!(send().await.header("idempotency-replayed"), "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn spellings_of_one_item_are_one_item() {
    let app = TestApp::start(Way::InProcess).await;
    let spellings = [
        "Chung tay",
        "Chung tay ",
        "Chung tay\r\n",
        " Chung\u{a0}tay",
        "Chung\u{200b} tay",
    ];
    for (unit, item) in (866..).zip(spellings) {
        let figures = json!([{ "indicator": "TT.KHAUHIEU", "items": [item] }]);
        let answer = app.post(&submission(&unit.to_string(), figures)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    let totals = app.settled_totals(PROVINCE).await;
    let line = TestApp::line(&totals, "TT.KHAUHIEU");
    assert_eq!(
        (&line["items"], &line["reporting"]),
        (&json!(["Chung tay"]), &json!(5))
    );
}

/// Whoever polls with the tag of the response to their report learns that totals contain it.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_changes_with_the_answer_and_still_names_the_revision() {
    let app = TestApp::start(Way::InProcess).await;
    let sent = app.post(&broadcasts("866", 1)).await;
    let path = format!("/v1/submissions/{}", sent.json()["id"].as_str().unwrap());
    let first_tag = sent.header("etag").to_owned();
    app.settled_totals(PROVINCE).await;
    let poll = async |tag: &str| app.ask(Method::GET, &path, &[("If-None-Match", tag)], None).await;
    let aggregated = poll(&first_tag).await;
    assert_eq!(aggregated.status, 200, "{}", aggregated.text);
    assert!(aggregated.json()["aggregated_at"].is_string());
    let tag = aggregated.header("etag").to_owned();
    assert_eq!(poll(&tag).await.status, 304);
    let corrected = app.post_with(&broadcasts("866", 2), &[("If-Match", &tag)]).await;
    assert_eq!(corrected.status, 201, "{}", corrected.text);
    let stale = app.post_with(&broadcasts("866", 3), &[("If-Match", &tag)]).await;
    assert_problem(&stale, 412, "revision-conflict");
    assert_eq!(poll(&tag).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn idempotency_keys_belong_to_the_caller() {
    let app = TestApp::start(Way::InProcess).await;
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

mod stories {
    use super::*;

    const REPORTS: &str = include_str!("../../../services/tonghop/demo/submissions.ndjson");

    pub(super) async fn fourteen_submissions_become_the_totals_of_the_source_report(way: Way) {
        let app = TestApp::start(way).await;
        for line in REPORTS.lines() {
            let answer = app.post(&serde_json::from_str(line).unwrap()).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
            assert_eq!(answer.header("etag"), "\"1\"");
        }
        let totals = app.settled_totals(PROVINCE).await;
        for (indicator, value) in [
            ("TT.CHUYENTRANG", 1),
            ("TT.BAO", 181),
            ("TT.PT", 756),
            ("TT.BANGRON", 48),
            ("CS.SO", 3),
            ("NN.TN", 0),
            ("TT.HOTLINE", 13),
        ] {
            assert_eq!(TestApp::value(&totals, indicator), value, "{indicator}");
        }
        let cells = json!([{"by": {"facility_type": "cua_khau"}, "value": 2}, {"by": {"facility_type": "trung_tam"}, "value": 1}]);
        assert_eq!(TestApp::line(&totals, "CS.SO")["breakdowns"], cells);
        assert_eq!(
            TestApp::line(&totals, "TT.KHAUHIEU")["items"]
                .as_array()
                .unwrap()
                .len(),
            4
        );
        let billboards = TestApp::line(&totals, "TT.PANO");
        assert_eq!(
            (&billboards["value"], &billboards["done_no_number"]),
            (&json!(null), &json!(12))
        );
        assert_eq!(
            (
                &totals["completeness"]["reported"],
                &totals["completeness"]["expected"]
            ),
            (&json!(14), &json!(14))
        );
        app.assert_verified(PROVINCE).await;
    }

    pub(super) async fn a_correction_replaces_the_figure_it_corrects(way: Way) {
        let app = TestApp::start(way).await;
        app.post(&broadcasts("866", 63)).await;
        app.post(&broadcasts("867", 7)).await;
        assert_eq!(TestApp::value(&app.settled_totals(PROVINCE).await, "TT.PT"), 70);
        let answer = app.post(&broadcasts("866", 60)).await;
        assert_eq!(
            (answer.status, answer.json()["revision"].clone()),
            (201, json!(2))
        );
        assert_eq!(TestApp::value(&app.settled_totals(PROVINCE).await, "TT.PT"), 67);
        let again = app.post(&broadcasts("866", 60)).await;
        assert_eq!((again.status, again.json()["revision"].clone()), (200, json!(2)));
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let history = app.get(&format!("/v1/submissions/{id}/revisions")).await.json();
        let values: Vec<_> = history["revisions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["figures"][0]["value"].clone())
            .collect();
        assert_eq!(values, [60, 63]);
    }

    pub(super) async fn a_withdrawn_report_is_missing_again(way: Way) {
        let app = TestApp::start(way).await;
        let answer = app.post(&broadcasts("866", 63)).await;
        let path = format!("/v1/submissions/{}", answer.json()["id"].as_str().unwrap());
        let unconditional = app.ask(Method::DELETE, &path, &[], None).await;
        assert_eq!(unconditional.status, 428, "{}", unconditional.text);
        let stale = app
            .ask(Method::DELETE, &path, &[("If-Match", "\"7\"")], None)
            .await;
        assert_eq!(stale.status, 412, "{}", stale.text);
        let withdrawn = app
            .ask(Method::DELETE, &path, &[("If-Match", "\"1\"")], None)
            .await;
        assert_eq!(withdrawn.status, 200, "{}", withdrawn.text);
        assert_eq!(withdrawn.json()["status"], "withdrawn");
        let totals = app.settled_totals(PROVINCE).await;
        assert_eq!(TestApp::value(&totals, "TT.PT"), json!(null));
        assert_eq!(totals["completeness"]["missing_count"], 14);
        app.assert_verified(PROVINCE).await;
    }

    pub(super) async fn a_wait_is_answered_when_the_totals_include_it(way: Way) {
        let app = TestApp::start(way).await;
        for number in 1..=10 {
            let answer = app
                .post_with(&broadcasts("866", number), &[("Prefer", "wait=10")])
                .await;
            assert!(answer.json()["aggregated_at"].is_string(), "{}", answer.text);
            let totals = app.totals(PROVINCE).await;
            assert_eq!(TestApp::value(&totals, "TT.PT"), number);
        }
    }

    pub(super) async fn a_stale_condition_is_rejected_and_changes_nothing(way: Way) {
        let app = TestApp::start(way).await;
        app.post(&broadcasts("866", 1)).await;
        let stale = app
            .post_with(&broadcasts("866", 2), &[("If-Match", "\"7\"")])
            .await;
        let problem = assert_problem(&stale, 412, "revision-conflict");
        assert!(problem["detail"].as_str().unwrap().contains('1'), "{problem}");
        let first_only = app
            .post_with(&broadcasts("866", 2), &[("If-None-Match", "*")])
            .await;
        assert_problem(&first_only, 412, "revision-conflict");
        let matching = app
            .post_with(&broadcasts("866", 2), &[("If-Match", "\"1\"")])
            .await;
        assert_eq!(matching.status, 201, "{}", matching.text);
        let rehearsed = app
            .ask(
                Method::POST,
                "/v1/submissions?dry_run=true",
                &[("Content-Type", "application/json")],
                Some(broadcasts("866", 3).to_string()),
            )
            .await;
        assert_eq!(rehearsed.status, 200, "{}", rehearsed.text);
        assert_eq!(TestApp::value(&app.settled_totals(PROVINCE).await, "TT.PT"), 2);
    }
}
