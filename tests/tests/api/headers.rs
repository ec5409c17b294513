//! Header fields of every answer.

use reqwest::Method;
use tonghop_tests::{FORM, PERIOD, Way};

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
        "/docs/",
        "/readyz",
        "/problems",
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
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
