//! Header fields of every answer.

use reqwest::Method;
use tonghop_tests::{FORM, PERIOD, TestApp, Way};

use crate::requests::app_with_reports;

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_cached_framed_or_interpreted_as_another_type() {
    let (app, own, _) = app_with_reports(Way::InProcess).await;
    let totals = format!("/v1/totals?form={FORM}&period={PERIOD}&unit=87");
    let submission = format!("/v1/submissions/{own}");
    for path in [
        totals.as_str(),
        &submission,
        "/v1/units",
        "/v1/nothing",
        "/",
        "/readyz",
        "/problems",
        "/docs/",
        "/guide/vi/",
        "/guide/programs/python/story.py",
        "/openapi.json",
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        // The documentation has no data, and the same content has the same tag.
        let is_documentation = path.starts_with("/guide/") || ["/docs/", "/openapi.json"].contains(&path);
        let lifetime = if is_documentation { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), lifetime, "{path}");
        let policy = answer.header("content-security-policy");
        for directive in [
            "default-src",
            "base-uri 'none'",
            "object-src 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(directive), "{path}: {policy}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    let etag = app.get(&totals).await.header("etag").to_owned();
    let known = app
        .ask(Method::GET, &totals, &[("If-None-Match", &etag)], None)
        .await;
    assert_eq!((known.status, known.header("cache-control")), (304, "no-store"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_what_they_load_name_their_charset() {
    let app = TestApp::start(Way::InProcess).await;
    for (page, loaded) in [("/", 1), ("/problems", 1), ("/guide/vi/", 1), ("/docs/", 5)] {
        let text = app.get(page).await.text;
        let page_url = reqwest::Url::parse(&app.bases[0]).unwrap().join(page).unwrap();
        let files = ["href=\"", "src=\""]
            .into_iter()
            .flat_map(|start| text.split(start).skip(1))
            .filter_map(|rest| rest.split('"').next())
            .filter(|link| [".css", ".js", ".svg"].iter().any(|end| link.ends_with(end)));
        let files: Vec<String> = files
            .map(|link| page_url.join(link).unwrap().path().to_owned())
            .collect();
        assert!(files.len() >= loaded, "{page} loads {files:?}");
        for path in files.iter().map(String::as_str).chain([page]) {
            let answer = app.get(path).await;
            assert_eq!(answer.status, 200, "{path}");
            let kind = answer.header("content-type");
            let is_named = kind.ends_with("; charset=utf-8") || kind == "image/svg+xml";
            assert!(is_named, "{path} is sent as {kind}");
        }
    }
}
