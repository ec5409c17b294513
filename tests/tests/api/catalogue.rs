//! `/v1/units`, `/v1/indicators` and `/v1/forms`.

use std::path::Path;

use serde_json::json;
use tonghop_tests::{FORM, Options, PERIOD, PROVINCE, TestApp, Way, broadcasts};

use crate::paging::assert_pages;
use crate::problems::assert_problem;

#[tokio::test(flavor = "multi_thread")]
async fn units_and_indicators_are_listed_page_by_page() {
    let app = TestApp::start(Way::InProcess).await;
    assert_pages(&app, "/v1/units?date=2021-07-31&limit=5", "units", 16).await;
    assert_pages(&app, "/v1/indicators?limit=50", "indicators", 67).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn units_are_found_by_level_and_by_name_in_every_spelling() {
    let app = TestApp::start(Way::InProcess).await;
    let codes = |query: &str| {
        let path = format!("/v1/units?date=2021-07-31&{query}");
        let app = &app;
        async move {
            let answer = app.get(&path).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
            let units = answer.json()["units"].as_array().unwrap().clone();
            units
                .iter()
                .map(|unit| unit["code"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(codes("level=province").await, ["87"]);
    assert_eq!(codes("level=district").await.len(), 12);
    assert_eq!(codes("level=commune").await, [""; 0]);
    let of_cao_lanh = codes("name=Cao%20L%C3%A3nh").await;
    assert_eq!(of_cao_lanh, ["866", "873"], "a city and a district");
    for spelling in [
        "cao+lanh",
        "CAO%20L%C3%83NH",
        "cao%20la%CC%83nh",
        "Cao%20Lanh",
        "%20cao%20%20lanh%20",
    ] {
        assert_eq!(
            codes(&format!("name={spelling}")).await,
            of_cao_lanh,
            "{spelling}"
        );
    }
    assert_eq!(codes("name=dong%20thap&level=province").await, ["87"]);
    assert_eq!(
        codes("name=%C4%90%E1%BB%93ng%20Th%C3%A1p&level=province").await,
        ["87"]
    );
    assert_eq!(codes("name=cao%20lanh&level=district&code=873").await, ["873"]);
    let answer = app.get("/v1/units?level=ward").await;
    assert_eq!(
        (answer.status, &answer.json()["errors"][0]["parameter"]),
        (400, &json!("level"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_read_in_the_version_of_a_period() {
    let folder = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/catalogue/data");
    for name in ["units.csv", "dimensions.csv", "indicators.csv"] {
        std::fs::copy(data.join(name), folder.path().join(name)).unwrap();
    }
    let first = std::fs::read_to_string(data.join("forms.toml")).unwrap();
    let second = first.replace(
        "version = 1",
        "version = 2\nvalid_from = \"2022-01-01\"\nopens_days = 10",
    );
    let first = first.replace("version = 1", "version = 1\nvalid_to = \"2022-01-01\"");
    std::fs::write(folder.path().join("forms.toml"), first + &second).unwrap();
    let options = Options {
        catalogue: Some(folder.path().to_owned()),
        ..Options::default()
    };
    let app = TestApp::start_with(Way::InProcess, options).await;
    let form = async |query: &str| app.get(&format!("/v1/forms/{FORM}{query}")).await;
    for (query, version, opens) in [("?period=2021-07", 1, 0), ("?period=2022-07", 2, 10), ("", 2, 10)] {
        let answer = form(query).await.json();
        assert_eq!(answer["version"], version, "{query}");
        assert_eq!(answer["opens_days"], opens, "{query}");
        assert_eq!(answer["expect"].as_array().unwrap().len(), 5);
        assert_eq!(answer["expect"][1]["levels"], json!(["district"]));
        assert_eq!(answer["expect"][3]["units"], json!(["87-TTBTXH"]));
    }
    assert_problem(&form("?period=2021-08").await, 404, "not-found");
    assert_problem(&form("?period=2021-13").await, 400, "invalid-parameter");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_does_not_exist_is_named_with_the_day() {
    let app = TestApp::start(Way::InProcess).await;
    for (path, parameter, day, vietnamese_day) in [
        (
            format!("/v1/totals?form={FORM}&period=2026-07&unit=866"),
            "unit",
            "2026-07-31",
            "31/7/2026",
        ),
        (
            format!("/v1/completeness?form={FORM}&period=2026-07&unit=866"),
            "unit",
            "2026-07-31",
            "31/7/2026",
        ),
        (
            "/v1/units?parent=87&date=2025-07-01".to_owned(),
            "parent",
            "2025-07-01",
            "01/7/2025",
        ),
    ] {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(day), "{detail}");
        assert_eq!(answer.json()["errors"][0]["parameter"], parameter);
        let headers = [("Accept-Language", "vi")];
        let answer = app.ask(reqwest::Method::GET, &path, &headers, None).await;
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(vietnamese_day), "{detail}");
    }
}

fn with_names(path: &str, language: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}names={language}")
}

#[tokio::test(flavor = "multi_thread")]
async fn names_stand_beside_codes_if_the_caller_wants_them() {
    let app = TestApp::start(Way::InProcess).await;
    let created = app.post(&broadcasts("866", 1)).await;
    assert_eq!(created.status, 201);
    let submission = created.json()["links"]["self"].as_str().unwrap().to_owned();
    app.settled_totals(PROVINCE).await;
    let total = format!("form={FORM}&period={PERIOD}&unit={PROVINCE}&indicator=TT.PT");
    let places = [
        (format!("/v1/totals?{total}"), "/unit_name", "/totals/0/name"),
        (
            format!("/v1/totals/contributions?{total}"),
            "/contributions/0/unit_name",
            "/name",
        ),
        (
            "/v1/submissions?unit=866".to_owned(),
            "/submissions/0/unit_name",
            "",
        ),
        (submission.clone(), "/unit_name", ""),
        (format!("{submission}/revisions"), "/revisions/0/unit_name", ""),
        (format!("{submission}/revisions/1"), "/unit_name", ""),
    ];
    for (path, unit, indicator) in &places {
        let plain = app.get(path).await.json();
        assert_eq!(plain.pointer(unit), None, "{path}");
        for (language, cao_lanh, dong_thap, broadcasts) in [
            ("vi", "Thành phố Cao Lãnh", "Tỉnh Đồng Tháp", "Số lượt phát thanh"),
            ("en", "Cao Lanh City", "Dong Thap Province", "broadcast"),
        ] {
            let answer = app.get(&with_names(path, language)).await;
            let body = answer.json();
            let name = body
                .pointer(unit)
                .unwrap_or_else(|| panic!("{path}: {}", answer.text));
            let expected = if path.starts_with("/v1/totals?") {
                dong_thap
            } else {
                cao_lanh
            };
            assert_eq!(name, expected, "{path}");
            if !indicator.is_empty() {
                let name = body.pointer(indicator).unwrap().as_str().unwrap();
                assert!(name.to_lowercase().contains(&broadcasts.to_lowercase()), "{name}");
            }
        }
        let wrong = app.get(&with_names(path, "fr")).await;
        assert_eq!(wrong.status, 400, "{path}");
        assert_eq!(wrong.json()["errors"][0]["parameter"], "names");
    }
    let [of_vi, of_en] = ["vi", "en"].map(|names| format!("/v1/totals?{total}&names={names}"));
    let (vi, en) = (app.get(&of_vi).await, app.get(&of_en).await);
    assert_ne!(vi.header("etag"), en.header("etag"));
}
