//! `/v1/totals/contributions`.

use tonghop_tests::{FORM, PERIOD, TestApp, Way};

use crate::paging::{assert_pages, twelve_districts_report};

#[tokio::test(flavor = "multi_thread")]
async fn contributions_are_listed_page_by_page() {
    let app = TestApp::start(Way::InProcess).await;
    twelve_districts_report(&app).await;
    let path =
        format!("/v1/totals/contributions?form={FORM}&period={PERIOD}&unit=87&indicator=TT.PT&limit=5");
    assert_pages(&app, &path, "contributions", 13).await;
}
