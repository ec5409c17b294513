//! The first steps of a new user: the README's commands, the output of `tonghop demo`, the page at /docs.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::demo::{Demo, agrees};

#[test]
fn the_readme_shows_what_its_commands_answer() {
    let demo = Demo::start();
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let mut commands = 0;
    for part in readme.split("```sh\n").skip(1) {
        let (command, rest) = part.split_once("```").unwrap();
        let Some(shown) = rest.strip_prefix("\n```json\n") else {
            continue;
        };
        let shown: Value = serde_json::from_str(shown.split_once("```").unwrap().0).unwrap();
        let real: Value = serde_json::from_str(&demo.shell(command)).unwrap();
        assert!(
            agrees(&shown, &real),
            "{command}\nanswers\n{real}\nand the README shows\n{shown}"
        );
        commands += 1;
    }
    assert_eq!(commands, 5);
}

#[test]
fn the_commands_that_the_demonstration_prints_work() {
    let demo = Demo::start();
    let curls: Vec<&str> = demo
        .printed
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("curl "))
        .collect();
    assert_eq!(curls.len(), 3, "{}", demo.printed);
    let answers: Vec<Value> = curls
        .iter()
        .map(|curl| serde_json::from_str(&demo.shell(&format!("{curl} -s"))).unwrap())
        .collect();
    let line = |indicator: &str| {
        answers[0]["totals"]
            .as_array()
            .unwrap()
            .iter()
            .find(|line| line["indicator"] == indicator)
            .unwrap()
    };
    for (indicator, value) in [
        ("TT.CHUYENTRANG", 1),
        ("TT.BAO", 181),
        ("TT.PT", 756),
        ("TT.BANGRON", 48),
        ("CS.SO", 3),
        ("NN.TN", 0),
    ] {
        assert_eq!(line(indicator)["value"], value, "{indicator}");
    }
    assert_eq!(line("TT.KHAUHIEU")["items"].as_array().unwrap().len(), 4);
    assert_eq!(line("TT.PANO")["done_no_number"], 12);
    let totals = answers[0]["totals"].as_array().unwrap();
    assert_eq!(totals.len(), 66);
    for total in totals {
        assert_eq!(total["not_reported"], 0, "{total}");
    }
    assert_eq!(answers[1]["value"], 756);
    assert_eq!(answers[2]["revision"], 2);
}

#[test]
fn the_documentation_page_needs_no_other_host() {
    let demo = Demo::start();
    let profile = tempfile::tempdir().unwrap();
    let browser = std::env::var("TEST_CHROMIUM").unwrap_or_else(|_| "chromium".into());
    let output = Command::new(&browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .args([
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--virtual-time-budget=20000",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--dump-dom", &format!("http://{}/docs", demo.address)])
        .output()
        .unwrap_or_else(|error| panic!("{browser}: {error}; run this test by tests/run"));
    let page = String::from_utf8(output.stdout).unwrap();
    for text in ["/v1/submissions/batch", "Submit or correct a report", "OAS 3.0"] {
        assert!(page.contains(text), "{text} is not on the page: {page}");
    }
}
