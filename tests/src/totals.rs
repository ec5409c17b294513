//! Totals and histories as tests read them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app::TestApp;
use crate::{FORM, PERIOD};

/// The values of a submission's first figure, by revision.
pub type Revisions = BTreeMap<i64, i64>;

impl TestApp {
    /// The totals of a unit for the source report's form and period.
    pub async fn totals(&self, unit: &str) -> Value {
        self.get(&format!("/v1/totals?form={FORM}&period={PERIOD}&unit={unit}"))
            .await
            .json()
    }

    /// The totals of a unit as soon as nothing is pending.
    ///
    /// # Panics
    /// When something stays pending for longer than `limit`.
    pub async fn settled_totals_within(&self, unit: &str, limit: Duration) -> Value {
        let start = Instant::now();
        loop {
            let totals = self.totals(unit).await;
            if totals["freshness"]["pending"] == 0 {
                return totals;
            }
            assert!(
                start.elapsed() < limit,
                "still pending after {limit:?}: {}",
                totals["freshness"]
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The totals of a unit as soon as nothing is pending, within 20 seconds.
    pub async fn settled_totals(&self, unit: &str) -> Value {
        self.settled_totals_within(unit, Duration::from_secs(20)).await
    }

    /// Every revision of a submission, read page by page, with the value of its first figure.
    ///
    /// # Panics
    /// When a revision is listed twice or has no such value.
    pub async fn history(&self, id: &str) -> Revisions {
        let path = format!("/v1/submissions/{id}/revisions?limit=200");
        let mut revisions = Revisions::new();
        let mut page = self.get(&path).await.json();
        loop {
            for revision in page["revisions"].as_array().expect("a page of revisions") {
                let number = revision["revision"].as_i64().expect("a number");
                let figure = revision["figures"][0]["value"].as_i64().expect("a figure");
                assert_eq!(revisions.insert(number, figure), None, "revision {number} twice");
            }
            let Some(cursor) = page["next_cursor"].as_str() else {
                return revisions;
            };
            page = self.get(&format!("{path}&cursor={cursor}")).await.json();
        }
    }

    /// Fails the test unless every total at or below a unit equals the sum of its submissions.
    ///
    /// # Panics
    /// When one differs, one was skipped, or none was compared.
    pub async fn assert_verified(&self, unit: &str) {
        let path = format!("/v1/verification?form={FORM}&period={PERIOD}&unit={unit}");
        let proof = self.get(&path).await.json();
        assert_eq!(proof["differing"], serde_json::json!([]), "{proof}");
        assert_eq!(proof["skipped"], 0, "{proof}");
        assert!(proof["checked"].as_u64() > Some(10), "{proof}");
    }
}

impl TestApp {
    /// The line of an indicator in totals; null when there is none.
    pub fn line(totals: &Value, indicator: &str) -> Value {
        let lines = totals["totals"].as_array().into_iter().flatten();
        lines
            .into_iter()
            .find(|line| line["indicator"] == indicator)
            .cloned()
            .unwrap_or_default()
    }

    /// The value of an indicator in totals; null when no unit reports it.
    pub fn value(totals: &Value, indicator: &str) -> Value {
        Self::line(totals, indicator)["value"].clone()
    }
}
