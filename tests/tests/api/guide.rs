//! The guide for integrators, as the service serves it.

use reqwest::Method;
use reqwest::redirect::Policy;
use tonghop_tests::{TestApp, Way, http_client};

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_is_served_in_the_language_of_the_reader() {
    let app = TestApp::start(Way::InProcess).await;
    let direct = http_client().redirect(Policy::none()).build().unwrap();
    for (accepted, language) in [("en-GB, vi;q=0.5", "en"), ("vi", "vi"), ("fr, *;q=0.1", "vi")] {
        let address = format!("/guide/{language}/");
        for path in ["/guide", "/guide/"] {
            let asked = direct.get(format!("{}{path}", app.bases[0]));
            let answer = asked.header("Accept-Language", accepted).send().await.unwrap();
            assert_eq!(answer.status(), 307);
            assert_eq!(answer.headers()["location"], address);
            assert_eq!(answer.headers()["vary"], "Accept-Language");
        }
        let page = app.ask(Method::GET, &address, &[], None).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.header("content-language"), language);
        assert!(
            page.text.contains(&format!("<html lang=\"{language}\">")),
            "{}",
            page.text
        );
        assert_eq!(page.headers.get_all("vary").iter().count(), 1);
        let tag = page.header("etag");
        let known = app
            .ask(Method::GET, &address, &[("If-None-Match", tag)], None)
            .await;
        assert_eq!(known.status, 304);
    }
    let slash = direct
        .get(format!("{}/guide/vi", app.bases[0]))
        .send()
        .await
        .unwrap();
    assert_eq!(slash.status(), 308);
    assert_eq!(slash.headers()["location"], "/guide/vi/");
    let program = app
        .ask(Method::GET, "/guide/programs/curl/story.sh", &[], None)
        .await;
    assert!(program.text.starts_with("#!/bin/sh"), "{}", program.text);
    assert_eq!(program.header("content-type"), "text/plain; charset=utf-8");
    for path in ["/guide/en/nothing", "/guide/fr/", "/guide/en/index.md"] {
        assert_eq!(app.ask(Method::GET, path, &[], None).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_body_is_rejected_with_what_is_accepted() {
    let app = TestApp::start(Way::InProcess).await;
    let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    for path in ["/v1/submissions", "/v1/submissions/batch", "/v1/keys"] {
        let answer = app.ask(Method::POST, path, &headers, Some("x".into())).await;
        assert_eq!(answer.status, 415, "{path}: {}", answer.text);
        assert_eq!(answer.header("accept-encoding"), "identity");
    }
}
