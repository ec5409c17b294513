//! `/v1/totals`.

use reqwest::Method;
use tonghop_tests::{FORM, PERIOD, PROVINCE, TestApp, Way, broadcasts, on_every_way};

use crate::paging::twelve_districts_report;
use crate::problems::assert_problem;

on_every_way!(a_total_of_a_province_is_part_of_the_country_s);

fn path() -> String {
    format!("/v1/totals?form={FORM}&period={PERIOD}&unit={PROVINCE}")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_total_is_not_sent_again() {
    let app = TestApp::start(Way::InProcess).await;
    twelve_districts_report(&app).await;
    let etag = app.get(&path()).await.header("etag").to_owned();
    assert!(etag.starts_with("W/\""), "{etag}");
    let condition = [("If-None-Match", etag.as_str())];
    let same = app.ask(Method::GET, &path(), &condition, None).await;
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    app.post(&broadcasts("866", 11)).await;
    app.settled_totals("VN").await;
    let changed = app.ask(Method::GET, &path(), &condition, None).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_is_available_as_csv_with_its_own_etag() {
    let app = TestApp::start(Way::InProcess).await;
    twelve_districts_report(&app).await;
    let csv = app
        .ask(Method::GET, &path(), &[("Accept", "text/csv")], None)
        .await;
    assert!(
        csv.header("content-type").starts_with("text/csv"),
        "{:?}",
        csv.headers
    );
    // The last column is a time.
    let rows = csv.text.lines().map(|row| row.rsplit_once(',').unwrap().0);
    insta::assert_snapshot!("csv", rows.collect::<Vec<_>>().join("\n"));
    assert_ne!(csv.header("etag"), app.get(&path()).await.header("etag"));
    let own_path = path().replace("/v1/totals?", "/v1/totals.csv?");
    let same = app.get(&own_path).await;
    assert_eq!(
        (same.status, same.header("content-type")),
        (200, csv.header("content-type"))
    );
    assert_eq!(same.header("etag"), csv.header("etag"));
    let json = app
        .ask(Method::GET, &own_path, &[("Accept", "application/json")], None)
        .await;
    assert_eq!(json.status, 406);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_query_gets_the_problem_that_names_it() {
    let app = TestApp::start(Way::InProcess).await;
    let totals = |rest: &str| format!("/v1/totals?form={FORM}&period={PERIOD}{rest}");
    for (query, status, code) in [
        ("&unit=87&surprise=1", 400, "unknown-parameter"),
        ("", 400, "invalid-parameter"),
        ("&unit=999", 404, "not-found"),
    ] {
        assert_problem(&app.get(&totals(query)).await, status, code);
    }
}

mod stories {
    use super::*;

    pub(super) async fn a_total_of_a_province_is_part_of_the_country_s(way: Way) {
        let app = TestApp::start(way).await;
        app.post(&broadcasts("866", 63)).await;
        let totals = app.settled_totals("VN").await;
        assert_eq!(TestApp::value(&totals, "TT.PT"), 63);
        assert_eq!(totals["completeness"]["reported"], 1);
        app.assert_verified("VN").await;
    }
}
