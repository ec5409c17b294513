//! The page at /docs, in a browser: see `tests/browser/README.md`.

use std::path::Path;
use std::process::Command;

use crate::demo::Demo;

#[test]
fn every_operation_can_be_executed_on_the_documentation_page() {
    let tools = std::env::var("TEST_BROWSER_TOOLS").expect(
        "tests/run installs puppeteer-core, or set TEST_BROWSER_TOOLS to what tests/browser/install prints",
    );
    let demo = Demo::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/docs.mjs");
    let output = Command::new("node")
        .arg(script)
        .env("TONGHOP_URL", format!("http://{}", demo.address))
        .env("TONGHOP_KEY", demo.key("ADMIN_KEY"))
        .env(
            "TEST_CHROMIUM",
            std::env::var("TEST_CHROMIUM").unwrap_or_else(|_| "chromium".into()),
        )
        .env("BROWSER_TOOLS", tools)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{errors}");
    let last = printed.lines().last().unwrap_or_default();
    assert!(last.ends_with(" operations executed, 0 failures"), "{printed}");
}
