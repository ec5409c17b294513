//! Metrics of the worker.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tonghop_domain::TotalKey;
use tonghop_metrics::Metrics;

/// Outcomes and durations of refreshes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RefreshCounts {
    failing: Family<TotalLabels, Gauge>,
    refreshes: Family<OutcomeLabels, Counter>,
    seconds: Histogram,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TotalLabels {
    form: String,
    period: String,
    unit: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

impl Default for RefreshCounts {
    fn default() -> Self {
        Self {
            failing: Family::default(),
            refreshes: Family::default(),
            // 0.5 ms to 4 s.
            seconds: Histogram::new(exponential_buckets(0.0005, 2.0, 14)),
        }
    }
}

impl RefreshCounts {
    /// Adds these metrics to the page.
    pub(crate) fn register(&self, metrics: &Metrics) {
        metrics.register(
            "failing_totals",
            "Totals whose refresh fails, with the number of failures in a row",
            self.failing.clone(),
        );
        metrics.register(
            "refreshes",
            "Refreshes of totals by outcome: written, clean (nothing to do) or failed",
            self.refreshes.clone(),
        );
        metrics.register(
            "refresh_duration_seconds",
            "Duration of refreshes, per transaction, whatever the outcome",
            self.seconds.clone(),
        );
    }

    pub(crate) fn observe_duration(&self, duration: Duration) {
        self.seconds.observe(duration.as_secs_f64());
    }

    pub(crate) fn count_refresh(&self, outcome: &'static str) {
        self.refreshes.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(crate) fn set_failures(&self, key: &TotalKey, unit: &str, failures: u32) {
        let labels = TotalLabels::new(key, unit);
        self.failing.get_or_create(&labels).set(failures.into());
    }

    pub(crate) fn clear_failures(&self, key: &TotalKey, unit: &str) {
        self.failing.remove(&TotalLabels::new(key, unit));
    }
}

impl TotalLabels {
    fn new(key: &TotalKey, unit: &str) -> Self {
        Self {
            form: key.form.to_string(),
            period: key.period.to_string(),
            unit: unit.to_owned(),
        }
    }
}
