//! What was acknowledged to clients, compared with what is stored.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tonghop_tests::{Answer, PROVINCE, TestApp, Way, submission};
use uuid::Uuid;

/// The deadline for any request, whatever is wrong.
pub(crate) const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// The deadline for recovery after the fault has ended.
pub(crate) const WELL_WITHIN: Duration = Duration::from_secs(5);
/// The units that report.
pub(crate) const UNITS: [&str; 4] = ["866", "867", "868", "869"];

/// Sends reports and remembers those that were acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    acknowledged: Mutex<BTreeMap<(String, i64), i64>>,
    sent: Mutex<i64>,
}

impl Ledger {
    /// Sends the next report of a unit, about 10 kB that cannot be compressed, to one api process. Returns whether it
    /// was acknowledged, and fails the test if it was neither acknowledged nor properly rejected in time.
    pub(crate) async fn report(&self, app: &TestApp, base: &str, unit: &str) -> bool {
        let number = {
            let mut sent = self.sent.lock().unwrap();
            *sent += 1;
            *sent
        };
        let text: String = (0..280).map(|_| Uuid::now_v7().simple().to_string()).collect();
        let figures =
            json!([{ "indicator": "TT.PT", "value": number }, { "indicator": "DG.KQ", "text": text }]);
        let body = submission(unit, figures).to_string();
        let headers = [("Content-Type", "application/json")];
        let start = Instant::now();
        let answer = app
            .try_ask_at(base, Method::POST, "/v1/submissions", &headers, Some(body))
            .await
            .unwrap();
        assert!(start.elapsed() < ANSWERED_WITHIN, "{:?}", start.elapsed());
        if answer.status == 201 {
            let body = answer.json();
            let id = body["id"].as_str().unwrap().to_owned();
            let revision = body["revision"].as_i64().unwrap();
            let before = self.acknowledged.lock().unwrap().insert((id, revision), number);
            assert_eq!(before, None, "revision {revision} was acknowledged twice");
            return true;
        }
        is_refused_in_good_form(&answer);
        false
    }

    /// Sends one report of each unit to each api process and returns the number of acknowledged ones.
    pub(crate) async fn round(&self, app: &TestApp) -> usize {
        let everywhere = app.bases.iter().flat_map(|base| UNITS.map(|unit| (base, unit)));
        let reports = everywhere.map(|(base, unit)| self.report(app, base, unit));
        let acknowledged = futures_util::future::join_all(reports).await;
        acknowledged
            .into_iter()
            .filter(|acknowledged| *acknowledged)
            .count()
    }

    /// Sends reports until all are rejected.
    pub(crate) async fn until_all_are_refused(&self, app: &TestApp) {
        let start = Instant::now();
        while self.round(app).await > 0 {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "reports are still taken"
            );
        }
    }

    /// Fails the test unless every process is ready and accepts reports, and the totals are right, within the deadline.
    pub(crate) async fn recovers(&self, app: &TestApp) {
        let start = Instant::now();
        let everyone = app.bases.len() * UNITS.len();
        loop {
            let taken = self.round(app).await;
            let mut ready = true;
            for base in app.bases.iter().chain(&app.aggregator_bases) {
                ready &= app.is_ready(base).await;
            }
            if taken == everyone && ready {
                break;
            }
            assert!(
                start.elapsed() < WELL_WITHIN,
                "{taken} of {everyone} taken, ready: {ready}"
            );
        }
        let left = WELL_WITHIN.saturating_sub(start.elapsed());
        app.settled_totals_within("VN", left).await;
        println!("well again after {:?}", start.elapsed());
        app.assert_verified(PROVINCE).await;
    }

    /// Fails the test unless everything acknowledged is stored, before and after a restart of every process.
    pub(crate) async fn is_kept(&self, app: &mut TestApp, way: Way) {
        for process in app.apis.iter_mut().chain(&mut app.aggregators) {
            process.signal("KILL");
            process.wait();
        }
        app.restart(way).await;
        self.is_stored(app).await;
        app.settled_totals("VN").await;
        app.assert_verified("VN").await;
    }

    /// Fails the test unless everything acknowledged is stored.
    pub(crate) async fn is_stored(&self, app: &TestApp) {
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        for ((id, revision), number) in &acknowledged {
            let stored = app
                .get(&format!("/v1/submissions/{id}/revisions/{revision}"))
                .await;
            assert_eq!(stored.status, 200, "{}", stored.text);
            assert_eq!(stored.json()["figures"][0]["value"], *number, "{}", stored.text);
        }
        println!("{} acknowledged revisions are stored", acknowledged.len());
    }
}

/// Fails the test unless the answer is a 503 with a reason and Retry-After.
pub(crate) fn is_refused_in_good_form(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(
        answer
            .header("content-type")
            .starts_with("application/problem+json")
    );
    assert!(answer.header("retry-after").parse::<u32>().is_ok());
    let code = answer.json()["code"].clone();
    assert!(
        matches!(code.as_str(), Some("unavailable" | "overloaded")),
        "{code}"
    );
}

/// Sends a request to one process and fails the test if the answer is late.
pub(crate) async fn get_at(app: &TestApp, base: &str, path: &str) -> Answer {
    let start = Instant::now();
    let answer = app.try_ask_at(base, Method::GET, path, &[], None).await.unwrap();
    assert!(start.elapsed() < ANSWERED_WITHIN, "{path}: {:?}", start.elapsed());
    answer
}

/// Fails the test if an api process reports that it is ready.
pub(crate) async fn is_not_ready(app: &TestApp) {
    for base in &app.bases {
        assert_eq!(get_at(app, base, "/readyz").await.status, 503, "{base}");
        assert_eq!(get_at(app, base, "/livez").await.status, 200, "{base}");
    }
}

/// Fails the test unless every api process serves totals.
pub(crate) async fn reads_go_on(app: &TestApp) {
    for base in &app.bases {
        let totals = get_at(app, base, "/v1/totals?form=ngay-30-7&period=2021-07&unit=87").await;
        assert_eq!(totals.status, 200, "{}", totals.text);
        assert_ne!(TestApp::value(&totals.json(), "TT.PT"), Value::Null);
    }
}
