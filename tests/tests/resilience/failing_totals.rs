//! A total that cannot be refreshed delays no other, and metrics and logs name it.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tonghop_tests::{
    Options, PERIOD, PROVINCE, TestApp, Way, broadcasts, corrupt, on_both_ways, run_to_end, submission,
};

const FAILING: &str = "tonghop_failing_totals{form=\"ngay-30-7\",period=\"2021-07\",unit=\"87\"} ";

on_both_ways!(a_total_that_cannot_be_refreshed_delays_no_other);

mod stories {
    use super::*;

    pub(super) async fn a_total_that_cannot_be_refreshed_delays_no_other(way: Way) {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let into_log = format!("exec \"$@\" 2>>'{}'", log.display());
        let options = Options {
            under: ["sh", "-c", &into_log, "sh"].map(String::from).into(),
            ..Options::default()
        };
        let app = TestApp::start_with(way, options).await;
        app.post(&broadcasts("866", 63)).await;
        app.settled_totals("VN").await;
        assert_eq!(named(&app).await, Vec::<String>::new());
        let of_866 = "WHERE revision = 1 AND submission_id = (SELECT submission_id FROM submissions \
        WHERE period = '2021-07' AND unit_id = (SELECT unit_id FROM units WHERE code = '866'))";
        let break_it = format!("UPDATE revisions SET figures = '~' || figures {of_866}");
        corrupt(&app.database_url, &break_it).await;

        app.post(&broadcasts("867", 7)).await;
        let start = Instant::now();
        while named(&app).await.is_empty() {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "the failing total is not named"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The province's total of another period is still refreshed, report by report.
        for number in 1..=5 {
            let mut other = submission("866", json!([{ "indicator": "TT.PT", "value": number }]));
            other["period"] = json!("2022-07");
            app.post(&other).await;
            let since = Instant::now();
            loop {
                let totals = app
                    .get("/v1/totals?form=ngay-30-7&period=2022-07&unit=87")
                    .await
                    .json();
                if totals["freshness"]["pending"] == 0 && TestApp::value(&totals, "TT.PT") == number {
                    break;
                }
                assert!(
                    since.elapsed() < Duration::from_secs(3),
                    "{}",
                    totals["freshness"]
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        assert_ne!(app.totals(PROVINCE).await["freshness"]["pending"], 0);
        assert!(named(&app).await.iter().all(|line| line.starts_with(FAILING)));
        let text = std::fs::read_to_string(&log).unwrap();
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("a total was not refreshed"))
            .collect();
        assert!(!lines.is_empty(), "{text}");
        for line in lines {
            for word in ["form=ngay-30-7", &format!("period={PERIOD}"), "unit=\"87\""] {
                assert!(line.contains(word), "{line}");
            }
        }

        let repair_it = format!("UPDATE revisions SET figures = substr(figures, 2) {of_866}");
        corrupt(&app.database_url, &repair_it).await;
        let rebuilt = run_to_end(app.command("tonghop").arg("rebuild"));
        assert_eq!(rebuilt.code, Some(0), "{}", rebuilt.error);
        let start = Instant::now();
        while !named(&app).await.is_empty() {
            assert!(
                start.elapsed() < Duration::from_secs(40),
                "the total is still named"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(TestApp::value(&app.settled_totals(PROVINCE).await, "TT.PT"), 70);
        app.assert_verified("VN").await;
    }
}

/// The samples of failing totals from all processes.
async fn named(app: &TestApp) -> Vec<String> {
    let mut named = Vec::new();
    for page in pages(app).await {
        let failing = page
            .lines()
            .filter(|line| line.starts_with("tonghop_failing_totals{"));
        named.extend(failing.map(String::from));
    }
    named
}

/// The metrics of each process that refreshes.
async fn pages(app: &TestApp) -> Vec<String> {
    let bases = if app.aggregator_bases.is_empty() {
        &app.bases
    } else {
        &app.aggregator_bases
    };
    let mut pages = Vec::new();
    for base in bases {
        let page = app
            .try_ask_at(base, Method::GET, "/metrics", &[], None)
            .await
            .unwrap();
        assert_eq!(page.status, 200);
        assert!(
            page.header("content-type")
                .starts_with("application/openmetrics-text")
        );
        pages.push(page.text);
    }
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_show_what_is_pending_and_connected() {
    for way in [Way::Embedded, Way::Servers] {
        let app = TestApp::start(way).await;
        app.post(&broadcasts("866", 63)).await;
        app.settled_totals("VN").await;
        let start = Instant::now();
        // The last announcement may be in flight.
        while !pages(&app)
            .await
            .iter()
            .all(|page| page.contains("\ntonghop_outbox_rows 0.0\n"))
        {
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "the outbox is not emptied"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let pages = pages(&app).await;
        for page in &pages {
            for line in [
                "tonghop_marks 0.0",
                "tonghop_oldest_mark_age_seconds 0.0",
                "tonghop_broker_connected{role=\"consumer\"} 1",
                "tonghop_broker_connected{role=\"relay\"} 1",
                "tonghop_broker_reconnects_total{role=\"consumer\"} 0",
            ] {
                assert!(
                    page.lines().any(|text| text == line),
                    "{way:?}: no {line} in\n{page}"
                );
            }
        }
        let written = "tonghop_refreshes_total{outcome=\"written\"} ";
        let count = |page: &String| {
            let line = page.lines().find_map(|line| line.strip_prefix(written));
            line.map_or(0, |number| number.parse::<u64>().unwrap())
        };
        assert!(pages.iter().map(count).sum::<u64>() >= 2, "{pages:?}");
    }
}
