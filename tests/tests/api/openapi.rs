//! The service behaves as its OpenAPI document says, for requests that schemathesis generates from the document.

use std::env;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tonghop_tests::{TestApp, Way, broadcasts};

/// How many requests of each kind schemathesis generates per operation.
const EXAMPLES: &str = "30";

/// The fewest requests of a run: with fewer, something keeps schemathesis from testing.
const FEWEST_CASES: u64 = 1_000;

/// Runs schemathesis with all its checks and a key of this role, and fails the test if it finds a fault.
async fn assert_as_documented(way: Way, role: &str) {
    let app = TestApp::start(way).await;
    let key = app.create_key(&["--role", role, "--unit", "87"]);
    for unit in ["866", "867"] {
        assert_eq!(app.post(&broadcasts(unit, 63)).await.status, 201);
    }
    app.settled_totals("87").await;

    let schemathesis = env::var("TEST_SCHEMATHESIS").unwrap_or_else(|_| "schemathesis".into());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");
    let reports = tempfile::tempdir().unwrap();
    let report = reports.path().join("report.json");
    let mut command = Command::new(&schemathesis);
    command
        .current_dir(reports.path())
        .env("SCHEMATHESIS_HOOKS", folder.join("hooks.py"))
        .env("OWN_KEY_ID", key.get(3..11).unwrap())
        .arg("--config-file")
        .arg(folder.join("schemathesis.toml"))
        .arg("run")
        .arg(format!("{}/openapi.json", app.bases.first().unwrap()))
        .arg("--header")
        .arg(format!("Authorization: Bearer {key}"))
        .args(["--max-examples", EXAMPLES])
        .args(["--seed", &env::var("TEST_SEED").unwrap_or_else(|_| "1".into())])
        .args(["--checks", "all", "--no-color", "--report", "json"])
        .arg("--report-json-path")
        .arg(&report);
    let ended = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap();
    let ended = ended.unwrap_or_else(|error| {
        panic!("{schemathesis} does not run ({error}); tests/run installs it, or set TEST_SCHEMATHESIS")
    });
    let output = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{output}");
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let (operations, cases) = (&report["operations"], &report["test_cases"]);
    println!("{role}: {cases}, {operations}");
    assert!(cases["generated"].as_u64() >= Some(FEWEST_CASES), "{output}");
    let count = |name: &str| operations[name].as_u64().unwrap_or_default();
    assert_eq!(count("tested"), count("selected"), "{output}");
    // All but the stream, which has no end: see schemathesis.toml.
    assert_eq!(count("selected") + 1, count("total"), "{output}");
    assert_eq!(report["errors"], json!([]), "{output}");
}

mod a_submitter_finds_the_service_as_documented {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn embedded() {
        assert_as_documented(Way::Embedded, "submitter").await;
    }
}

mod a_reader_finds_the_service_as_documented {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn embedded() {
        assert_as_documented(Way::Embedded, "reader").await;
    }
}

mod an_administrator_finds_the_service_as_documented {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn embedded() {
        assert_as_documented(Way::Embedded, "admin").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn servers() {
        assert_as_documented(Way::Servers, "admin").await;
    }
}
