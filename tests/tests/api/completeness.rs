//! `/v1/completeness`.

use tonghop_tests::{FORM, PERIOD, TestApp, Way};

use crate::paging::{assert_pages, twelve_districts_report};

#[tokio::test(flavor = "multi_thread")]
async fn units_that_report_are_listed_page_by_page() {
    let app = TestApp::start(Way::InProcess).await;
    twelve_districts_report(&app).await;
    let path = format!("/v1/completeness?form={FORM}&period={PERIOD}&unit=VN&limit=5");
    assert_pages(&app, &path, "units", 14).await;
}
