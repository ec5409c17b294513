//! Cross-origin requests: which web pages may call the API and read its answers.

use reqwest::Method;
use tonghop_tests::{Answer, FORM, Options, PERIOD, TestApp, Way, broadcasts};

const PAGE: &str = "https://pages.example";

async fn with_origins(origins: &str) -> TestApp {
    let settings = vec![("TONGHOP_CORS_ORIGINS", origins.to_owned())];
    let options = Options {
        settings,
        key_rate: 100,
        ..Options::default()
    };
    TestApp::start_with(Way::InProcess, options).await
}

fn totals() -> String {
    format!("/v1/totals?form={FORM}&period={PERIOD}&unit=VN")
}

/// The preflight request of a browser.
async fn preflight(app: &TestApp, origin: &str, path: &str) -> Answer {
    let headers = [
        ("Authorization", ""),
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        (
            "Access-Control-Request-Headers",
            "authorization,content-type,idempotency-key",
        ),
    ];
    app.ask(Method::OPTIONS, path, &headers, None).await
}

/// Every header field that grants a page of another origin something.
fn permissions(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.keys().map(|name| name.as_str());
    names.filter(|name| name.starts_with("access-control-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_listed_origin_may_read_answers_and_refusals() {
    let app = with_origins("http://localhost:5173,https://pages.example").await;
    for path in ["/v1/submissions", &totals(), "/livez"] {
        let allowed = preflight(&app, PAGE, path).await;
        assert_eq!((allowed.status, allowed.text.as_str()), (204, ""), "{path}");
        assert_eq!(allowed.header("access-control-allow-origin"), PAGE);
        assert!(allowed.header("access-control-allow-methods").contains("POST"));
        let headers = allowed.header("access-control-allow-headers").to_lowercase();
        for header in ["authorization", "content-type", "idempotency-key", "if-match"] {
            assert!(headers.contains(header), "{headers}");
        }
        assert!(!allowed.header("x-request-id").is_empty());
    }
    let page = [("Origin", PAGE)];
    let recorded = app.post_with(&broadcasts("866", 63), &page).await;
    let read = app.ask(Method::GET, &totals(), &page, None).await;
    let refused = app.ask(Method::GET, "/v1/totals?unit=VN", &page, None).await;
    let nobody = app
        .ask(
            Method::GET,
            &totals(),
            &[("Origin", PAGE), ("Authorization", "")],
            None,
        )
        .await;
    for (answer, status) in [(&recorded, 201), (&read, 200), (&refused, 400), (&nobody, 401)] {
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.header("access-control-allow-origin"), PAGE, "{status}");
        let exposed = answer.header("access-control-expose-headers").to_lowercase();
        for header in [
            "etag",
            "location",
            "link",
            "x-request-id",
            "idempotency-replayed",
            "ratelimit",
            "ratelimit-policy",
            "retry-after",
        ] {
            assert!(
                exposed.split(", ").any(|exposed| exposed == header),
                "{header}: {exposed}"
            );
        }
        // Keys travel in Authorization: cookies are never needed.
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
        assert!(vary.iter().any(|vary| *vary == "Origin"), "{vary:?}");
    }
    assert!(
        !refused.header("ratelimit").is_empty(),
        "a refusal reports the remaining quota, too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_origin_is_answered_as_if_no_origin_were_listed() {
    let listed = with_origins(PAGE).await;
    let closed = with_origins("").await;
    for origin in [
        "https://pages.example.evil",
        "https://pages.example:8443",
        "http://pages.example",
        "https://PAGES.example",
        "https://evil.example",
        "null",
        "*",
    ] {
        for path in ["/v1/submissions", &totals(), "/livez", "/nowhere"] {
            let (open, shut) = (
                preflight(&listed, origin, path).await,
                preflight(&closed, origin, path).await,
            );
            assert!(open.status >= 400, "{origin} {path}: {open:?}");
            assert_eq!(open.status, shut.status, "{origin} {path}");
            assert_eq!(permissions(&open), [""; 0], "{origin} {path}");
            let headers = [("Origin", origin)];
            let answer = listed.ask(Method::GET, path, &headers, None).await;
            assert_eq!(permissions(&answer), [""; 0], "{origin} {path}");
        }
    }
    // Without a list, no page is permitted.
    assert_eq!(preflight(&closed, PAGE, "/v1/submissions").await.status, 401);
    let answer = closed
        .ask(Method::GET, &totals(), &[("Origin", PAGE)], None)
        .await;
    assert_eq!((answer.status, permissions(&answer)), (200, vec![]));
}
