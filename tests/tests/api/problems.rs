//! Bad input gets a clear answer and loses nothing.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use tonghop_tests::{FORM, PERIOD, PROVINCE, TestApp, Way, broadcasts, submission};

fn assert_problem(answer: &tonghop_tests::Answer, status: u16, code: &str) -> Value {
    let problem = answer.json();
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{}",
        answer.text
    );
    assert_eq!(
        (&problem["status"], &problem["code"]),
        (&json!(status), &json!(code)),
        "{problem}"
    );
    assert_eq!(problem["type"], format!("/problems/{code}"));
    for field in ["title", "detail", "instance", "request_id"] {
        assert!(
            problem[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field}: {problem}"
        );
    }
    assert_eq!(
        answer.header("x-request-id"),
        problem["request_id"].as_str().unwrap()
    );
    problem
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_body_is_told_at_once_with_its_place_in_both_languages() {
    let app = TestApp::start(Way::Embedded).await;
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
            { "indicator": "CS.SO", "value": 2, "breakdowns": [{ "facility_type": "cua_khau", "value": 1 }] },
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
    assert_eq!(app.totals(PROVINCE).await["coverage"]["reported"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_wrong_request_has_its_own_answer() {
    let app = TestApp::start(Way::Embedded).await;
    let json_type = [("Content-Type", "application/json")];
    let post = |headers: Vec<(&'static str, &'static str)>, body: String| {
        let app = &app;
        async move {
            app.ask(Method::POST, "/v1/submissions", &headers, Some(body))
                .await
        }
    };
    assert_problem(
        &post(json_type.to_vec(), "{not json".into()).await,
        400,
        "invalid-json",
    );
    assert_problem(
        &post(json_type.to_vec(), "[1]".into()).await,
        422,
        "invalid-submission",
    );
    assert_problem(
        &post(
            json_type.to_vec(),
            format!("{{\"note\":\"{}\"}}", "x".repeat(1 << 20)),
        )
        .await,
        413,
        "body-too-large",
    );
    assert_problem(
        &post(vec![("Content-Type", "text/plain")], "{}".into()).await,
        415,
        "unsupported-media-type",
    );
    let twice = r#"{"form":"ngay-30-7","form":"ngay-30-7","period":"2021-07","unit":"866","figures":[]}"#;
    assert_problem(
        &post(json_type.to_vec(), twice.into()).await,
        422,
        "invalid-submission",
    );
    let totals = |rest: &str| format!("/v1/totals?form={FORM}&period={PERIOD}{rest}");
    assert_problem(
        &app.get(&totals("&unit=87&surprise=1")).await,
        400,
        "unknown-parameter",
    );
    assert_problem(&app.get(&totals("")).await, 400, "invalid-parameter");
    assert_problem(&app.get(&totals("&unit=999")).await, 404, "not-found");
    assert_problem(&app.get("/v1/nowhere").await, 404, "not-found");
    assert_problem(&app.get("/v1/submissions/not-an-id").await, 404, "not-found");
    let put = app
        .ask(Method::PUT, "/v1/submissions", &json_type, Some("{}".into()))
        .await;
    assert_problem(&put, 405, "method-not-allowed");
    assert!(put.header("allow").contains("POST"), "{:?}", put.headers);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = post(json_type.to_vec(), deep).await;
    assert!(matches!(answer.status, 400 | 422), "{}", answer.text);
    for code in ["invalid-submission", "revision-conflict", "unavailable"] {
        let page = app.get(&format!("/problems/{code}")).await;
        assert_eq!(page.status, 200, "{code}");
        assert!(page.header("content-type").starts_with("text/html"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_condition_is_refused_and_changes_nothing() {
    for way in [Way::Embedded, Way::Servers] {
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

#[tokio::test(flavor = "multi_thread")]
async fn reads_have_etags_pages_and_csv() {
    let app = TestApp::start(Way::Embedded).await;
    for unit in 866..878 {
        app.post(&broadcasts(&unit.to_string(), 10)).await;
    }
    app.settled_totals("VN").await;
    let path = format!("/v1/totals?form={FORM}&period={PERIOD}&unit={PROVINCE}");
    let first = app.get(&path).await;
    let etag = first.header("etag").to_owned();
    assert!(etag.starts_with("W/\""), "{etag}");
    let same = app
        .ask(Method::GET, &path, &[("If-None-Match", &etag)], None)
        .await;
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    let csv = app.ask(Method::GET, &path, &[("Accept", "text/csv")], None).await;
    assert!(
        csv.header("content-type").starts_with("text/csv"),
        "{:?}",
        csv.headers
    );
    assert!(
        csv.text
            .lines()
            .any(|line| line.contains("TT.PT") && line.contains("120")),
        "{}",
        csv.text
    );
    assert_ne!(csv.header("etag"), etag);
    app.post(&broadcasts("866", 11)).await;
    app.settled_totals("VN").await;
    assert_eq!(
        app.ask(Method::GET, &path, &[("If-None-Match", &etag)], None)
            .await
            .status,
        200
    );
    for (path, list, count) in [
        ("/v1/submissions?limit=5".to_owned(), "submissions", 12),
        (
            format!("/v1/coverage?form={FORM}&period={PERIOD}&unit=VN&limit=5"),
            "units",
            14,
        ),
        (
            format!("/v1/totals/contributions?form={FORM}&period={PERIOD}&unit=87&indicator=TT.PT&limit=5"),
            "contributions",
            14,
        ),
        ("/v1/units?date=2021-07-31&limit=5".to_owned(), "units", 16),
        ("/v1/indicators?limit=50".to_owned(), "indicators", 67),
    ] {
        let mut seen = BTreeSet::new();
        let mut cursor = None::<String>;
        loop {
            let page = app
                .get(&cursor.map_or(path.clone(), |cursor| format!("{path}&cursor={cursor}")))
                .await
                .json();
            let rows = page[list].as_array().unwrap_or_else(|| panic!("{path}: {page}"));
            for row in rows {
                assert!(seen.insert(row.to_string()), "{path}: {row} twice");
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        assert_eq!(seen.len(), count, "{path}");
    }
}
