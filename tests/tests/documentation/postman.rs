//! A Postman collection is made of the document, and each of its requests works on a demonstration.

use std::path::Path;
use std::process::Command;

use crate::demo::Demo;

#[test]
fn every_request_of_the_postman_collection_works_on_a_demonstration() {
    let tools = std::env::var("TEST_POSTMAN_TOOLS")
        .expect("tests/run installs newman, or set TEST_POSTMAN_TOOLS to what tests/postman/install prints");
    let demo = Demo::start();
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let base = format!("http://{}", demo.address);
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(root.join(program))
            .arg(folder.path())
            .args(arguments)
            .env("POSTMAN_TOOLS", &tools)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program}: {text}{errors}");
        text
    };
    run("openapi/postman", &[]);
    let printed = run("tests/postman/run", &[&base, &demo.key("ADMIN_KEY")]);
    let last = printed.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("passed: ") && last.ends_with(" 0 failures"),
        "{printed}"
    );
}
