//! `tonghop audit verify`: reports and the trail itself cannot be rewritten unnoticed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use tonghop_tests::{Ended, TestApp, Way, corrupt, on_both_ways, run_to_end, submission, tamper};

on_both_ways!(
    a_trail_is_sealed_every_second_and_tampering_is_named,
    what_a_district_reported_cannot_be_rewritten_unnoticed,
);

fn verify(app: &TestApp) -> Ended {
    run_to_end(app.command("tonghop").args(["audit", "verify"]))
}

mod stories {
    use super::*;

    pub(crate) async fn what_a_district_reported_cannot_be_rewritten_unnoticed(way: Way) {
        let app = TestApp::start(way).await;
        let mut id = String::new();
        for value in 1..=3 {
            let figures = json!([{"indicator": "TT.PT", "value": value}]);
            let answer = app.post(&submission("866", figures)).await;
            assert_eq!(answer.status, 201);
            id = answer.json()["id"].as_str().unwrap().to_owned();
        }
        app.settled_totals("VN").await;
        let totals = |name: &str| run_to_end(app.command("tonghop").arg(name));
        assert_eq!(verify(&app).code, Some(0), "{}", verify(&app).output);
        let rewrite = format!(
            "UPDATE revisions SET figures = replace(figures, '2', '7') WHERE submission_id = '{id}' AND revision = 2"
        );
        tamper(&app.database_url, &rewrite).await;
        let changed = verify(&app);
        assert_eq!(changed.code, Some(1));
        assert!(
            changed.output.contains(&format!("revision {id}/2 was changed")),
            "{}",
            changed.output
        );
        assert_eq!(totals("verify").code, Some(0), "the totals contain revision 3");
        let undo = rewrite.replace("figures, '2', '7'", "figures, '7', '2'");
        tamper(&app.database_url, &undo).await;
        assert_eq!(verify(&app).code, Some(0), "{}", verify(&app).output);
        // The head is rolled back: the totals no longer tell of the last report.
        tamper(
            &app.database_url,
            &format!("UPDATE submissions SET revision = 1 WHERE submission_id = '{id}'"),
        )
        .await;
        assert!(
            verify(&app)
                .output
                .contains("shows revision 1, and 3 is its last one"),
            "{}",
            verify(&app).output
        );
        let lagging = totals("verify");
        assert_eq!(lagging.code, Some(1));
        assert!(
            lagging
                .output
                .contains(&format!("submission {id} shows revision 1")),
            "{}",
            lagging.output
        );
        let repaired = totals("rebuild");
        assert_eq!(repaired.code, Some(0), "{}", repaired.error);
        assert!(
            repaired.output.contains(&format!("{id} shows revision 3 again")),
            "{}",
            repaired.output
        );
        assert_eq!(totals("verify").code, Some(0));
        tamper(
            &app.database_url,
            &format!("DELETE FROM revisions WHERE submission_id = '{id}' AND revision = 1"),
        )
        .await;
        assert!(
            verify(&app)
                .output
                .contains(&format!("revision {id}/1 was removed")),
            "{}",
            verify(&app).output
        );
        // Nobody knows any more what was recorded, so a head does not advance by itself.
        tamper(
            &app.database_url,
            &format!("UPDATE submissions SET revision = 2 WHERE submission_id = '{id}'"),
        )
        .await;
        let refused = totals("rebuild");
        assert_eq!(refused.code, Some(1), "{}", refused.output);
        assert!(
            refused
                .output
                .contains(&format!("submission {id} is left as it is: ")),
            "{}",
            refused.output
        );
        assert_eq!(totals("verify").code, Some(1));
    }

    pub(crate) async fn a_trail_is_sealed_every_second_and_tampering_is_named(way: Way) {
        let mut app = TestApp::start(way).await;
        for value in 0..5 {
            let figures = json!([{"indicator": "TT.PT", "value": value}]);
            assert_eq!(app.post(&submission("866", figures)).await.status, 201);
        }
        let start = Instant::now();
        loop {
            let verified = verify(&app);
            assert_eq!(verified.code, Some(0), "{}{}", verified.output, verified.error);
            if verified.output.contains(", 0 not yet sealed;") {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{}", verified.output);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let figures = json!([{"indicator": "TT.PT", "value": 9}]);
        assert_eq!(app.post(&submission("866", figures)).await.status, 201);
        for process in &mut app.apis {
            process.terminate();
            assert!(process.wait().success());
        }
        let sound = verify(&app);
        assert_eq!(sound.code, Some(0), "{}{}", sound.output, sound.error);
        // The first key, five reports and one more.
        assert!(
            sound.output.contains("entries sealed, 0 not yet sealed;"),
            "{}",
            sound.output
        );
        let heads = std::fs::read_to_string(app.folder().join("audit-heads")).unwrap();
        let seals: BTreeSet<&str> = heads.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(
            seals.len(),
            heads.lines().count(),
            "each seal is in the file once"
        );
        assert!(
            sound
                .output
                .contains(&format!("; {} recorded heads compared;", seals.len()))
        );

        let last = seals
            .iter()
            .filter_map(|seal| seal.parse::<i64>().ok())
            .max()
            .unwrap();
        let change = r#"UPDATE audit_batches SET entries = replace(entries, '"recorded"', '"unchanged"')"#;
        corrupt(&app.database_url, change).await;
        let named = verify(&app);
        assert_eq!(named.code, Some(1), "{}", named.output);
        assert_eq!(
            named.output.matches(" was changed\n").count(),
            6,
            "{}",
            named.output
        );
        corrupt(
            &app.database_url,
            &format!("DELETE FROM audit_seals WHERE number = {last}"),
        )
        .await;
        let cut = verify(&app);
        let sentence = format!("truncated after seal {}:", last - 1);
        assert!(cut.output.contains(&sentence), "{}", cut.output);
    }
}
