//! The commands of `tonghop` and the settings of the programs.

use std::path::Path;

use reqwest::Method;
use serde_json::json;
use tonghop_tests::{PROVINCE, TestApp, Way, broadcasts, command, on_both_ways, run_to_end, submission};

const OTHER_SUBMISSION: &str = "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11";

on_both_ways!(the_commands_work_beside_a_running_service);

mod stories {
    use super::*;

    const REPORTS: &str = include_str!("../../../services/tonghop/demo/submissions.ndjson");

    pub(super) async fn the_commands_work_beside_a_running_service(way: Way) {
        let app = TestApp::start(way).await;
        let empty = run_to_end(app.command("tonghop").arg("verify"));
        assert_eq!(empty.code, Some(3), "{}{}", empty.output, empty.error);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reports.ndjson");
        std::fs::write(&file, REPORTS).unwrap();
        let submit = |file: &std::path::Path| {
            let mut command = app.command("tonghop");
            command.env("TONGHOP_KEY", &app.admin_key);
            run_to_end(command.arg("submit").arg(file).args(["--url", &app.bases[0]]))
        };
        let sent = submit(&file);
        assert_eq!(
            (sent.code, sent.output.lines().count()),
            (Some(0), 14),
            "{}{}",
            sent.output,
            sent.error
        );
        std::fs::write(
            &file,
            submission("866", json!([{ "indicator": "TT.PT", "value": -1 }])).to_string(),
        )
        .unwrap();
        let refused = submit(&file);
        assert_eq!(refused.code, Some(1));
        assert!(refused.output.contains("/figures/0/value"), "{}", refused.output);
        app.settled_totals("VN").await;
        let run = |name: &str| run_to_end(app.command("tonghop").arg(name));
        let verified = run("verify");
        let documented = include_str!("../../../docs/verify.md");
        assert!(
            verified.code == Some(0) && documented.contains(&format!("```\n{}```", verified.output)),
            "docs/verify.md does not show: {}",
            verified.output
        );
        let rebuilt = run("rebuild");
        assert_eq!(rebuilt.code, Some(0), "{}", rebuilt.error);
        // Rebuilding marks every total.
        let waited = run_to_end(app.command("tonghop").args(["verify", "--wait", "30"]));
        assert_eq!(waited.code, Some(0), "{}{}", waited.output, waited.error);
        let migrated = run("migrate");
        assert_eq!(migrated.code, Some(0), "{}", migrated.error);
        assert_eq!(TestApp::value(&app.settled_totals(PROVINCE).await, "TT.PT"), 756);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_of_a_new_database_can_read_its_first_key() {
    let mut app = TestApp::start(Way::Embedded).await;
    let path = app.database_url.strip_prefix("sqlite:").unwrap().to_owned();
    let key_file = format!("{path}.admin-key");
    let token = std::fs::read_to_string(&key_file).unwrap();
    let answer = app
        .ask(
            Method::GET,
            "/v1/submissions",
            &[("Authorization", &format!("Bearer {}", token.trim()))],
            None,
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(app.post(&broadcasts("866", 1)).await.status, 201);
    for file in [
        path.as_str(),
        &key_file,
        &format!("{path}-wal"),
        &format!("{path}-shm"),
    ] {
        assert_eq!(mode(Path::new(file)), 0o600, "{file}");
    }
    std::fs::remove_file(&key_file).unwrap();
    app.apis[0].terminate();
    assert_eq!(app.apis[0].wait().code(), Some(0));
    let listed = run_to_end(app.command("tonghop").args(["key", "list"])).output;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(!listed.contains("last used never"), "{listed}");
    app.restart(Way::Embedded).await;
    assert!(!Path::new(&key_file).exists(), "keys exist already");
    let path = format!("/v1/submissions/{OTHER_SUBMISSION}");
    let gone = app.ask(Method::GET, &path, &[("Authorization", "")], None).await;
    assert_eq!(gone.status, 401, "{}", gone.text);
    assert_eq!(app.get(&path).await.status, 404);
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_mistyped_key_is_rejected_and_not_quoted() {
    let mut submit = command("tonghop");
    submit
        .args(["submit", "no-such-file.json"])
        .env("TONGHOP_KEY", "th_almostright");
    let ended = run_to_end(&mut submit);
    assert_eq!(ended.code, Some(2), "{}", ended.error);
    assert!(
        ended.error.contains("a key is th_ and 44 letters"),
        "{}",
        ended.error
    );
    assert!(!ended.error.contains("almostright"), "{}", ended.error);
}

#[test]
fn an_invalid_origin_ends_the_start_with_one_sentence() {
    for origins in [
        "*",
        "https://pages.example/",
        "https://pages.example,*",
        "pages.example",
    ] {
        for (name, arguments) in [("tonghop", ["serve"].as_slice()), ("tonghop-api", &[])] {
            let mut command = command(name);
            let ended = run_to_end(
                command
                    .args(arguments)
                    .env("TONGHOP_DATABASE_URL", "postgres://127.0.0.1:1/x")
                    .env("TONGHOP_AMQP_URL", "amqp://127.0.0.1:1")
                    .env("TONGHOP_CORS_ORIGINS", origins),
            );
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(
                ended.error.contains("is not an origin as browsers send it"),
                "{ended:?}"
            );
            assert_eq!(ended.error.lines().count(), 1, "{ended:?}");
        }
    }
}
