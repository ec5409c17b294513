//! The service is as its OpenAPI document says, for requests that a machine makes up from it.

use std::env;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tonghop_tests::{TestApp, Way, broadcasts};

/// How many requests of each kind schemathesis makes up for an operation.
const EXAMPLES: &str = "30";

/// How many requests a run has to make: fewer, and something keeps schemathesis from its work.
const FEWEST_CASES: u64 = 1_000;

/// Runs schemathesis with all its checks as the holder of a key, and expects it to find nothing.
async fn hold_to_document(way: Way, role: &str) {
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
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{told}");
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let (operations, cases) = (&report["operations"], &report["test_cases"]);
    println!("{role}: {cases}, {operations}");
    assert!(cases["generated"].as_u64() >= Some(FEWEST_CASES), "{told}");
    assert_eq!(operations["tested"], operations["total"], "{told}");
    assert_eq!(report["errors"], json!([]), "{told}");
}

mod on_embedded {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn as_a_submitter() {
        hold_to_document(Way::Embedded, "submitter").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn as_a_reader() {
        hold_to_document(Way::Embedded, "reader").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn as_an_administrator() {
        hold_to_document(Way::Embedded, "admin").await;
    }
}

mod on_servers {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn as_an_administrator() {
        hold_to_document(Way::Servers, "admin").await;
    }
}
