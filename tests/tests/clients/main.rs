//! Clients that are generated from the OpenAPI document of a running service tell their stories: see
//! `tests/clients/README.md`.

use std::env;
use std::path::Path;
use std::process::Command;

use tonghop_tests::{PROVINCE, TestApp, Way, on_both_ways};

/// Generates a client, and lets it tell its story.
async fn tells_its_story(client: &str, way: Way) {
    let tools = env::var("TEST_CLIENT_TOOLS").expect(
        "tests/run installs the generators, or set TEST_CLIENT_TOOLS to what tests/clients/install prints",
    );
    let app = TestApp::start(way).await;
    let base = app.bases.first().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("openapi.json");
    std::fs::write(&document, app.get("/openapi.json").await.text).unwrap();
    let generated = folder.path().join("client");
    std::fs::create_dir(&generated).unwrap();

    let stories = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    let mut command = Command::new(stories.join(client).join("run"));
    command
        .env("TONGHOP_URL", base)
        .env(
            "TONGHOP_KEY",
            app.create_key(&["--role", "submitter", "--unit", PROVINCE]),
        )
        .env("CLIENT_TOOLS", tools)
        .env("CLIENT_DOCUMENT", document)
        .env("CLIENT_FOLDER", generated);
    let ended = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let (output, errors) = (
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr),
    );
    assert!(ended.status.success(), "{output}\n{errors}");
    // Otherwise it ended before its end.
    assert!(output.ends_with("the story ends\n"), "{output}\n{errors}");
}

mod stories {
    use super::*;

    pub(crate) async fn openapi_typescript(way: Way) {
        tells_its_story("openapi-typescript", way).await;
    }

    pub(crate) async fn openapi_python_client(way: Way) {
        tells_its_story("openapi-python-client", way).await;
    }

    pub(crate) async fn openapi_generator_python(way: Way) {
        tells_its_story("openapi-generator-python", way).await;
    }

    pub(crate) async fn openapi_generator_java(way: Way) {
        tells_its_story("openapi-generator-java", way).await;
    }
}

on_both_ways!(
    openapi_typescript,
    openapi_python_client,
    openapi_generator_python,
    openapi_generator_java,
);
