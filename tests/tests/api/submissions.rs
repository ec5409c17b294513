//! The main job: fourteen submissions become the provincial totals of the source report.

use serde_json::json;
use tonghop_tests::{PROVINCE, TestApp, Way, broadcasts, on_both_ways, submission};

on_both_ways!(
    fourteen_submissions_become_the_totals_of_the_source_report,
    a_correction_replaces_the_figure_it_corrects,
    a_withdrawn_report_is_missing_again,
    a_wait_is_answered_when_the_totals_include_it,
    a_batch_answers_line_by_line_and_applies_lines_in_order,
    a_province_is_in_the_country_too,
    the_commands_work_beside_a_running_service,
);

mod stories {
    use super::*;

    const REPORTS: &str = include_str!("../../../services/tonghop/demo/submissions.ndjson");

    pub(super) async fn fourteen_submissions_become_the_totals_of_the_source_report(way: Way) {
        let app = TestApp::start(way).await;
        for line in REPORTS.lines() {
            let answer = app.post(&serde_json::from_str(line).unwrap()).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
            assert_eq!(answer.header("etag"), "\"1\"");
        }
        let totals = app.settled_totals(PROVINCE).await;
        for (indicator, value) in [
            ("TT.CHUYENTRANG", 1),
            ("TT.BAO", 181),
            ("TT.PT", 756),
            ("TT.BANGRON", 48),
            ("CS.SO", 3),
            ("NN.TN", 0),
            ("TT.HOTLINE", 12),
        ] {
            assert_eq!(TestApp::value(&totals, indicator), value, "{indicator}");
        }
        let cells = json!([{ "facility_type": "cua_khau", "value": 2 }, { "facility_type": "trung_tam", "value": 1 }]);
        assert_eq!(TestApp::line(&totals, "CS.SO")["breakdowns"], cells);
        assert_eq!(
            TestApp::line(&totals, "TT.KHAUHIEU")["items"]
                .as_array()
                .unwrap()
                .len(),
            4
        );
        let billboards = TestApp::line(&totals, "TT.PANO");
        assert_eq!(
            (&billboards["value"], &billboards["done_no_number"]),
            (&json!(null), &json!(12))
        );
        assert_eq!(
            (&totals["coverage"]["reported"], &totals["coverage"]["expected"]),
            (&json!(14), &json!(14))
        );
        app.assert_verified(PROVINCE).await;
    }

    pub(super) async fn a_correction_replaces_the_figure_it_corrects(way: Way) {
        let app = TestApp::start(way).await;
        app.post(&broadcasts("866", 63)).await;
        app.post(&broadcasts("867", 7)).await;
        assert_eq!(TestApp::value(&app.settled_totals(PROVINCE).await, "TT.PT"), 70);
        let answer = app.post(&broadcasts("866", 60)).await;
        assert_eq!(
            (answer.status, answer.json()["revision"].clone()),
            (201, json!(2))
        );
        assert_eq!(TestApp::value(&app.settled_totals(PROVINCE).await, "TT.PT"), 67);
        let again = app.post(&broadcasts("866", 60)).await;
        assert_eq!((again.status, again.json()["revision"].clone()), (200, json!(2)));
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let history = app.get(&format!("/v1/submissions/{id}/revisions")).await.json();
        let values: Vec<_> = history["revisions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["figures"][0]["value"].clone())
            .collect();
        assert_eq!(values, [60, 63]);
    }

    pub(super) async fn a_withdrawn_report_is_missing_again(way: Way) {
        let app = TestApp::start(way).await;
        let answer = app.post(&broadcasts("866", 63)).await;
        let path = format!("/v1/submissions/{}", answer.json()["id"].as_str().unwrap());
        let unconditional = app.ask(reqwest::Method::DELETE, &path, &[], None).await;
        assert_eq!(unconditional.status, 428, "{}", unconditional.text);
        let stale = app
            .ask(reqwest::Method::DELETE, &path, &[("If-Match", "\"7\"")], None)
            .await;
        assert_eq!(stale.status, 412, "{}", stale.text);
        let withdrawn = app
            .ask(reqwest::Method::DELETE, &path, &[("If-Match", "\"1\"")], None)
            .await;
        assert_eq!(withdrawn.status, 200, "{}", withdrawn.text);
        assert_eq!(withdrawn.json()["status"], "withdrawn");
        let totals = app.settled_totals(PROVINCE).await;
        assert_eq!(TestApp::value(&totals, "TT.PT"), json!(null));
        assert_eq!(totals["coverage"]["missing_count"], 14);
        app.assert_verified(PROVINCE).await;
    }

    pub(super) async fn a_wait_is_answered_when_the_totals_include_it(way: Way) {
        let app = TestApp::start(way).await;
        for number in 1..=10 {
            let answer = app
                .post_with(&broadcasts("866", number), &[("Prefer", "wait=10")])
                .await;
            assert!(answer.json()["aggregated_at"].is_string(), "{}", answer.text);
            let totals = app.totals(PROVINCE).await;
            assert_eq!(TestApp::value(&totals, "TT.PT"), number);
        }
    }

    pub(super) async fn a_batch_answers_line_by_line_and_applies_lines_in_order(way: Way) {
        let app = TestApp::start(way).await;
        let mut lines: Vec<String> = (1..=200).map(|n| broadcasts("866", n).to_string()).collect();
        lines.insert(100, "{not json".into());
        lines.push(submission("999", json!([])).to_string());
        let headers = [
            ("Content-Type", "application/x-ndjson"),
            ("Idempotency-Key", "file"),
        ];
        let send = || {
            app.ask(
                reqwest::Method::POST,
                "/v1/submissions/batch",
                &headers,
                Some(lines.join("\n")),
            )
        };
        for _ in 0..2 {
            let answer = send().await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let results: Vec<serde_json::Value> = answer
                .text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(results.len(), 202);
            for (at, result) in results.iter().enumerate() {
                let status = match at {
                    100 => 400,
                    201 => 422,
                    _ => 201,
                };
                assert_eq!(
                    (&result["line"], &result["status"]),
                    (&json!(at + 1), &json!(status)),
                    "{result}"
                );
            }
            assert_eq!(results[200]["submission"]["revision"], 200);
        }
        assert_eq!(TestApp::value(&app.settled_totals(PROVINCE).await, "TT.PT"), 200);
    }

    pub(super) async fn a_province_is_in_the_country_too(way: Way) {
        let app = TestApp::start(way).await;
        app.post(&broadcasts("866", 63)).await;
        let totals = app.settled_totals("VN").await;
        assert_eq!(TestApp::value(&totals, "TT.PT"), 63);
        assert_eq!(totals["coverage"]["reported"], 1);
        app.assert_verified("VN").await;
    }

    pub(super) async fn the_commands_work_beside_a_running_service(way: Way) {
        let app = TestApp::start(way).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reports.ndjson");
        std::fs::write(&file, REPORTS).unwrap();
        let submit = |file: &std::path::Path| {
            let mut command = app.command("tonghop");
            command.env("TONGHOP_KEY", &app.admin_key);
            tonghop_tests::run_to_end(command.arg("submit").arg(file).args(["--url", &app.bases[0]]))
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
        let command = |name: &str| tonghop_tests::run_to_end(app.command("tonghop").arg(name));
        let verified = command("verify");
        let documented = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify.md"));
        assert!(
            verified.code == Some(0) && documented.contains(&format!("```\n{}```", verified.output)),
            "docs/verify.md does not show: {}",
            verified.output
        );
        let rebuilt = command("rebuild");
        assert_eq!(rebuilt.code, Some(0), "{}", rebuilt.error);
        let migrated = command("migrate");
        assert_eq!(migrated.code, Some(0), "{}", migrated.error);
        assert_eq!(TestApp::value(&app.settled_totals(PROVINCE).await, "TT.PT"), 756);
    }
}
