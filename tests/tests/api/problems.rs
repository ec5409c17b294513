//! Problems (RFC 9457): the body of every refusal.

use std::fmt::Write;

use reqwest::Method;
use serde_json::{Value, json};
use tonghop_tests::{Answer, FORM, PERIOD, TestApp, Way, broadcasts, submission};

/// Fails the test unless the answer is this problem, complete and with the id of its request.
pub(crate) fn assert_problem(answer: &Answer, status: u16, code: &str) -> Value {
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
async fn an_unknown_address_and_an_unknown_method_get_a_problem() {
    let app = TestApp::start(Way::InProcess).await;
    assert_problem(&app.get("/v1/nowhere").await, 404, "not-found");
    assert_problem(&app.get("/v1/submissions/not-an-id").await, 404, "not-found");
    let json_type = [("Content-Type", "application/json")];
    let put = app
        .ask(Method::PUT, "/v1/submissions", &json_type, Some("{}".into()))
        .await;
    assert_problem(&put, 405, "method-not-allowed");
    assert!(put.header("allow").contains("POST"), "{:?}", put.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_has_a_page_that_explains_it() {
    let app = TestApp::start(Way::InProcess).await;
    for (accepted, language, remedy) in [
        ("en", "en", "What to do"),
        ("vi", "vi", "Cách xử lý"),
        ("fr", "vi", "Cách xử lý"),
    ] {
        let headers = [("Accept-Language", accepted)];
        let list = app.ask(Method::GET, "/problems", &headers, None).await;
        for code in ["invalid-submission", "revision-conflict", "unavailable"] {
            assert!(
                list.text
                    .contains(&format!("href=\"/problems/{code}?language={language}\"")),
                "{}",
                list.text
            );
            let path = format!("/problems/{code}");
            let page = app.ask(Method::GET, &path, &headers, None).await;
            assert_eq!(page.status, 200, "{code}");
            assert!(page.header("content-type").starts_with("text/html"));
            assert_eq!(page.header("content-language"), language);
            assert!(
                page.text.contains(&format!("<html lang=\"{language}\">")),
                "{}",
                page.text
            );
            assert!(page.text.contains(remedy), "{}", page.text);
            assert!(
                page.text.contains(&format!("\"code\": \"{code}\"")),
                "{}",
                page.text
            );
            let has_table = page.text.contains("<td><code>unknown-indicator</code></td>");
            assert_eq!(has_table, code == "invalid-submission", "{}", page.text);
        }
    }
    // The link to the other language works whatever the browser prefers.
    let headers = [("Accept-Language", "en")];
    let path = "/problems/forbidden?language=vi";
    let page = app.ask(Method::GET, path, &headers, None).await;
    assert_eq!(page.header("content-language"), "vi");
    assert!(
        page.text.contains("href=\"/problems/forbidden?language=en\""),
        "{}",
        page.text
    );
    let wrong = app.get("/problems?language=fr").await;
    assert_problem(&wrong, 400, "invalid-parameter");
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_read_well_in_both_languages() {
    let app = TestApp::start(Way::InProcess).await;
    assert_eq!(app.post(&broadcasts("866", 1)).await.status, 201);
    for language in ["en", "vi"] {
        let mut texts = String::new();
        for (method, path, header, body) in faulty_requests() {
            let mut headers = vec![("Accept-Language", language)];
            if body.is_some() {
                headers.push(("Content-Type", "application/json"));
            }
            headers.extend(header);
            let answer = app.ask(method, &path, &headers, body).await;
            assert_eq!(answer.header("content-language"), language, "{}", answer.text);
            describe(&answer.json(), &mut texts);
        }
        insta::assert_snapshot!(format!("problems_{language}"), texts);
    }
}

type Request = (
    Method,
    String,
    Option<(&'static str, &'static str)>,
    Option<String>,
);

/// Requests that lead to problems of different kinds, and a submission with many errors.
fn faulty_requests() -> Vec<Request> {
    let get = |path: &str| (Method::GET, path.to_owned(), None, None);
    let post = |header, body: String| (Method::POST, "/v1/submissions".to_owned(), header, Some(body));
    let totals = format!("/v1/totals?form={FORM}&period={PERIOD}");
    let faulty = submission(
        "866",
        json!([
            { "indicator": "TT.PT", "value": -1 },
            { "indicator": "TT.PT", "value": 1 },
            { "indicator": "NO.SUCH", "value": 1 },
            { "indicator": "TT.HOTLINE", "value": 3 },
            { "indicator": "CS.SO", "value": 2, "breakdowns": [{ "by": { "facility_type": "cua_khau" }, "value": 1 }] },
            { "indicator": "HT.TYLE", "value": 50 },
            { "indicator": "TT.BAO" },
            { "indicator": "TT.BANGRON", "state": "perhaps" },
            { "indicator": "TT.CHUYENTRANG", "value": "one" },
            { "indicator": "TT.KHAUHIEU", "items": [""] },
            { "indicator": "NN.TN", "value": 1.5 },
            { "indicator": "TT.PANO", "value": 1, "state": "not_done", "surprise": null },
        ]),
    );
    vec![
        get("/v1/nowhere"),
        get("/v1/submissions/00000000-0000-7000-8000-000000000000"),
        get(&format!("{totals}&unit=87&surprise=1")),
        get(&format!("{totals}&limit=x")),
        get(&format!("{totals}&unit=999")),
        (
            Method::PUT,
            "/v1/submissions".to_owned(),
            None,
            Some("{}".to_owned()),
        ),
        (
            Method::GET,
            format!("{totals}&unit=87"),
            Some(("Authorization", "Bearer x")),
            None,
        ),
        post(None, "{not json".to_owned()),
        post(None, "[1]".to_owned()),
        post(Some(("If-Match", "\"7\"")), broadcasts("866", 2).to_string()),
        post(Some(("If-Match", "7")), broadcasts("866", 2).to_string()),
        post(
            None,
            json!({ "form": "nothing", "period": "2021-13", "unit": 866 }).to_string(),
        ),
        post(None, faulty.to_string()),
    ]
}

/// Appends what a person reads of a problem.
fn describe(problem: &Value, texts: &mut String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (code, title) = (text(&problem["code"]), text(&problem["title"]));
    writeln!(texts, "{} {code}: {title}", problem["status"]).unwrap();
    writeln!(texts, "  {}", text(&problem["detail"])).unwrap();
    for error in problem["errors"].as_array().into_iter().flatten() {
        let place = ["pointer", "parameter"].map(|place| text(&error[place])).concat();
        writeln!(
            texts,
            "  {place} {}: {}",
            text(&error["code"]),
            text(&error["detail"])
        )
        .unwrap();
    }
}
