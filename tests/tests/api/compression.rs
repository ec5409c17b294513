//! Responses for clients that accept gzip, and for those that have them already.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::Method;
use reqwest::header::HeaderMap;
use tonghop_tests::{FORM, PERIOD, TestApp, Way, broadcasts, http_client, on_every_way};

use crate::requests::{app_with_reports, ask_with};

on_every_way!(
    large_responses_are_compressed_for_those_who_accept_it,
    a_list_that_has_not_changed_is_not_sent_again,
);

/// The head and the bytes of a response, as they are sent.
async fn bytes(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, Vec<u8>) {
    let client = http_client().build().unwrap();
    let mut request = client
        .get(format!("{}{path}", app.bases[0]))
        .bearer_auth(&app.admin_key);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.bytes().await.unwrap().to_vec())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn varies_by_coding(headers: &HeaderMap) -> bool {
    let all = headers
        .get_all("vary")
        .iter()
        .map(|value| value.to_str().unwrap());
    all.collect::<Vec<_>>()
        .join(",")
        .to_lowercase()
        .contains("accept-encoding")
}

mod stories {
    use super::*;

    pub(super) async fn large_responses_are_compressed_for_those_who_accept_it(way: Way) {
        let (app, own, _) = app_with_reports(way).await;
        let total = format!("/v1/totals?form={FORM}&period={PERIOD}&unit=87");
        let csv = format!("/v1/totals.csv?form={FORM}&period={PERIOD}&unit=87");
        for path in [
            "/v1/units?date=2021-07-31",
            "/v1/indicators",
            "/problems",
            "/openapi.json",
            "/docs/",
            "/guide/vi/",
            &total,
            &csv,
        ] {
            let (status, plain_headers, plain) = bytes(&app, path, &[]).await;
            assert_eq!(
                (status, header(&plain_headers, "content-encoding")),
                (200, ""),
                "{path}"
            );
            assert!(varies_by_coding(&plain_headers), "{path}: {plain_headers:?}");
            let (status, headers, packed) = bytes(&app, path, &[("Accept-Encoding", "br, gzip;q=0.8")]).await;
            assert_eq!(
                (status, header(&headers, "content-encoding")),
                (200, "gzip"),
                "{path}"
            );
            assert!(varies_by_coding(&headers), "{path}: {headers:?}");
            assert_eq!(
                header(&headers, "content-type"),
                header(&plain_headers, "content-type"),
                "{path}"
            );
            assert!(
                packed.len() < plain.len(),
                "{path}: {} of {}",
                packed.len(),
                plain.len()
            );
            let mut unpacked = Vec::new();
            GzDecoder::new(&*packed).read_to_end(&mut unpacked).unwrap();
            let is_total = path.starts_with("/v1/totals");
            assert!(is_total || unpacked == plain, "{path}");
            assert!(!is_total || unpacked.len().abs_diff(plain.len()) < 64, "{path}");
        }
        // Too small, or with a tag that names these bytes.
        for path in [
            "/livez".to_owned(),
            "/v1/me".to_owned(),
            format!("/v1/submissions/{own}"),
        ] {
            let (status, headers, _) = bytes(&app, &path, &[("Accept-Encoding", "gzip")]).await;
            assert_eq!(
                (status, header(&headers, "content-encoding")),
                (200, ""),
                "{path}"
            );
        }
        let gzip = [("Accept-Encoding", "gzip")];
        let stream = app
            .follow(&app.bases[0], "/v1/changes/stream", &app.admin_key, &gzip)
            .await;
        drop(stream);
    }

    pub(super) async fn a_list_that_has_not_changed_is_not_sent_again(way: Way) {
        let (app, own, _) = app_with_reports(way).await;
        let key = app.create_key(&["--role", "admin"]);
        let about = format!("form={FORM}&period={PERIOD}&unit=87");
        for path in [
            "/v1/units?limit=3".to_owned(),
            "/v1/indicators".to_owned(),
            "/v1/forms".to_owned(),
            format!("/v1/forms/{FORM}"),
            "/v1/submissions".to_owned(),
            format!("/v1/submissions/{own}/revisions"),
            format!("/v1/completeness?{about}"),
            format!("/v1/totals/contributions?{about}&indicator=TT.PT"),
        ] {
            let first = ask_with(&app, &key, Method::GET, &path, None).await;
            assert_eq!(first.status, 200, "{path}: {}", first.text);
            let tag = first.header("etag").to_owned();
            assert!(tag.starts_with("W/\""), "{path}: {tag}");
            let bearer = format!("Bearer {key}");
            let again = |tag: String| {
                let (app, path, bearer) = (&app, path.as_str(), bearer.as_str());
                async move {
                    let headers = [("Authorization", bearer), ("If-None-Match", tag.as_str())];
                    app.ask(Method::GET, path, &headers, None).await
                }
            };
            let same = again(tag.clone()).await;
            assert_eq!((same.status, same.text.as_str()), (304, ""), "{path}");
            assert_eq!(same.header("etag"), tag, "{path}");
            assert_eq!(again("\"other\"".to_owned()).await.status, 200, "{path}");
            assert_eq!(again("other".to_owned()).await.status, 400, "{path}");
        }
        let list = ask_with(&app, &key, Method::GET, "/v1/submissions", None).await;
        assert_eq!(app.post(&broadcasts("866", 2)).await.status, 201);
        let changed = ask_with(&app, &key, Method::GET, "/v1/submissions", None).await;
        assert_ne!(list.header("etag"), changed.header("etag"));
    }
}
