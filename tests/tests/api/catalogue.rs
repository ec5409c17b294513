//! `/v1/units`, `/v1/indicators` and `/v1/forms`.

use tonghop_tests::{TestApp, Way};

use crate::paging::assert_pages;

#[tokio::test(flavor = "multi_thread")]
async fn units_and_indicators_are_listed_page_by_page() {
    let app = TestApp::start(Way::InProcess).await;
    assert_pages(&app, "/v1/units?date=2021-07-31&limit=5", "units", 16).await;
    assert_pages(&app, "/v1/indicators?limit=50", "indicators", 67).await;
}
