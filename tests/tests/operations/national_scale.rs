//! A whole country by a catalogue folder, without code changes.

use std::path::Path;

use serde_json::json;
use tonghop_tests::{Options, TestApp, Way, broadcasts};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Converts the national list with the command and the form of `docs/catalogue.md`.
fn national_catalogue(folder: &Path) {
    let guide = std::fs::read_to_string(Path::new(REPOSITORY).join("docs/catalogue.md")).unwrap();
    let block = |language: &str| {
        let start = guide
            .split_once(&format!("```{language}\n"))
            .expect("the guide has the block")
            .1;
        start.split_once("```").unwrap().0.to_owned()
    };
    let list = Path::new(REPOSITORY).join("crates/catalogue/tests/fixtures/national-list.csv");
    std::fs::copy(list, folder.join("national-list.csv")).unwrap();
    let catalogue = folder.join("my-catalogue");
    std::fs::create_dir(&catalogue).unwrap();
    let ran = std::process::Command::new("sh")
        .args(["-c", &block("sh")])
        .current_dir(folder)
        .status()
        .unwrap();
    assert!(ran.success());
    std::fs::write(catalogue.join("forms.toml"), block("toml")).unwrap();
    for name in ["indicators.csv", "dimensions.csv"] {
        let data = Path::new(REPOSITORY).join("crates/catalogue/data");
        std::fs::copy(data.join(name), catalogue.join(name)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_folder_can_hold_63_provinces_and_705_districts() {
    for way in [Way::Embedded, Way::Servers] {
        let folder = tempfile::tempdir().unwrap();
        national_catalogue(folder.path());
        let catalogue = Some(folder.path().join("my-catalogue"));
        let app = TestApp::start_with(
            way,
            Options {
                catalogue,
                ..Options::default()
            },
        )
        .await;
        let country = app.totals("VN").await;
        assert_eq!(country["completeness"]["expected"], 705);
        assert_eq!(country["completeness"]["missing"].as_array().unwrap().len(), 200);
        assert_eq!(country["completeness"]["missing_count"], 705);
        // Two districts of Đồng Tháp and one of Hà Nội.
        for (unit, number) in [("866", 63), ("877", 7), ("001", 30)] {
            let answer = app.post(&broadcasts(unit, number)).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
        }
        for (unit, number) in [("VN", 100), ("87", 70), ("01", 30)] {
            let totals = app.settled_totals(unit).await;
            assert_eq!(TestApp::value(&totals, "TT.PT"), number, "{way:?} {unit}");
        }
        assert_eq!(TestApp::value(&app.totals("02").await, "TT.PT"), json!(null));
        app.assert_verified("VN").await;
    }
}
