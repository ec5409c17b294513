//! The results, and how they compare with the limits of the machine.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::client::Tally;
use crate::usage::Usage;

/// Everything that a run measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    /// Machine, versions, date and command line.
    pub(crate) about: Vec<(&'static str, String)>,
    pub(crate) limits: Limits,
    pub(crate) rows: Vec<Row>,
    pub(crate) bounds: Vec<Bound>,
}

/// What the machine can do without tonghop, per second.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Limits {
    /// One-row INSERTs by pgbench, 64 clients.
    pub(crate) inserts: Option<f64>,
    /// Requests of 10 figures that a handler parses and discards, 64 connections.
    pub(crate) no_op: Option<f64>,
    /// Publishes to a quorum queue, confirmed in windows of 512.
    pub(crate) confirms_in_windows: Option<f64>,
    /// The same, confirmed one by one.
    pub(crate) confirms_one_by_one: Option<f64>,
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    /// The parameters that distinguish it from others of the scenario.
    pub(crate) case: BTreeMap<&'static str, f64>,
    /// All responses, including those outside the measured time: the resources were used for all of them.
    pub(crate) answers: u64,
    /// Measured responses, and the measured time.
    pub(crate) count: u64,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    /// The rates of all repetitions; this row is the median.
    pub(crate) repetitions: Vec<f64>,
    /// For each repetition, its rate divided by that of pgbench's one-row INSERTs just before it, if measured.
    pub(crate) by_inserts: Vec<f64>,
    pub(crate) latency: Percentiles,
    /// The time from a submission until the province's total contains it.
    pub(crate) visible: Option<Percentiles>,
    /// The time from the last response until nothing was pending.
    pub(crate) settled_after_s: Option<f64>,
    /// Numbers that the verification at the end compared and found equal.
    pub(crate) checked: Option<u64>,
    pub(crate) bytes_per_submission: Option<f64>,
    pub(crate) usage: Vec<Usage>,
    /// Anything else.
    pub(crate) notes: Vec<String>,
}

/// Percentiles of latencies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p99_9_ms: f64,
    pub(crate) max_ms: f64,
}

/// A target and whether it was met.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Bound {
    pub(crate) what: &'static str,
    pub(crate) wanted: String,
    pub(crate) measured: String,
    pub(crate) is_met: bool,
}

impl Percentiles {
    /// The percentiles of a histogram of microseconds.
    pub(crate) fn of(latency: &Histogram<u64>) -> Self {
        let ms = |micros: u64| micros as f64 / 1000.0;
        Self {
            p50_ms: ms(latency.value_at_quantile(0.5)),
            p99_ms: ms(latency.value_at_quantile(0.99)),
            p99_9_ms: ms(latency.value_at_quantile(0.999)),
            max_ms: ms(latency.max()),
        }
    }
}

impl Row {
    /// A row for a run's responses.
    pub(crate) fn new(scenario: &'static str, case: &[(&'static str, f64)], tally: &Tally) -> Self {
        Self {
            scenario,
            case: case.iter().copied().collect(),
            answers: tally.statuses.values().sum(),
            count: tally.latency.len(),
            seconds: tally.time.as_secs_f64(),
            per_second: tally.per_second(),
            repetitions: vec![tally.per_second()],
            by_inserts: Vec::new(),
            latency: Percentiles::of(&tally.latency),
            visible: None,
            settled_after_s: None,
            checked: None,
            bytes_per_submission: None,
            usage: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The row with the median rate, with the rates of all repetitions.
    pub(crate) fn median(mut rows: Vec<Self>) -> Self {
        rows.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        let rates = rows.iter().map(|row| row.per_second).collect();
        let by_inserts = rows.iter().flat_map(|row| row.by_inserts.clone()).collect();
        let middle = (rows.len() - 1) / 2;
        let mut row = rows.swap_remove(middle);
        row.repetitions = rates;
        row.by_inserts = by_inserts;
        row
    }

    /// The median of the ratios to pgbench just before each repetition; otherwise the ratio to a limit.
    fn by_inserts(&self, limit: Option<f64>) -> Option<f64> {
        let beside = (!self.by_inserts.is_empty()).then(|| median(self.by_inserts.clone()));
        beside.or_else(|| limit.map(|limit| self.per_second / limit))
    }

    /// One of its parameters.
    pub(crate) fn is(&self, scenario: &str, case: &[(&str, f64)]) -> bool {
        self.scenario == scenario
            && case
                .iter()
                .all(|(name, value)| self.case.get(name) == Some(value))
    }

    /// Milliseconds of processor time per response, for the selected processes.
    pub(crate) fn cpu_ms_per_answer(&self, is_counted: impl Fn(&str) -> bool) -> f64 {
        let counted = self.usage.iter().filter(|usage| is_counted(&usage.process));
        counted.map(|usage| usage.cpu_s).sum::<f64>() * 1000.0 / self.answers.max(1) as f64
    }
}

impl Results {
    /// The first row with these parameters.
    pub(crate) fn row(&self, scenario: &str, case: &[(&str, f64)]) -> Option<&Row> {
        self.rows.iter().find(|row| row.is(scenario, case))
    }

    /// The rates of submissions that were not fixed in advance, divided by the limits, in the order of the rows.
    pub(crate) fn ratios(&self) -> Vec<(&Row, Option<f64>, Option<f64>)> {
        let is_written = |row: &&Row| row.bytes_per_submission.is_some() && !row.case.contains_key("rate");
        let written = self.rows.iter().filter(is_written);
        written
            .map(|row| {
                let by_no_op = self.limits.no_op.map(|limit| row.per_second / limit);
                (row, row.by_inserts(self.limits.inserts), by_no_op)
            })
            .collect()
    }

    /// Compares the results with the targets, without those that were not measured.
    pub(crate) fn judge(&mut self) {
        let mut bounds = Vec::new();
        for (what, connections, least) in [
            ("submissions/s at 64 connections, 10 figures", 64.0, 0.4),
            ("submissions/s at 256 connections, 10 figures", 256.0, 0.7),
        ] {
            let row = self.row("ingest", &[("connections", connections), ("figures", 10.0)]);
            if let Some(ratio) = row.and_then(|row| row.by_inserts(self.limits.inserts)) {
                bounds.push(Bound {
                    what,
                    wanted: format!("≥ {least} × pgbench"),
                    measured: format!("{ratio:.2} ×"),
                    is_met: ratio >= least,
                });
            }
        }
        let visible = self.row("visible", &[]).and_then(|row| row.visible);
        bounds.extend(visible.map(|visible| at_most("accept → visible, p99", visible.p99_ms, 250.0, "ms")));
        bounds.extend(self.judged_reads());
        let month = self.row("national-month", &[("batch", 0.0)]);
        let whole = month.map(|row| row.seconds + row.settled_after_s.unwrap_or_default());
        bounds.extend(
            whole.map(|seconds| at_most("a national month, until its total is correct", seconds, 15.0, "s")),
        );
        bounds.extend(self.judged_memory());
        if let Some(row) = self.row("embedded", &[]) {
            bounds.push(Bound {
                what: "embedded: submissions/s",
                wanted: "≥ 2000".into(),
                measured: format!("{:.0}", row.per_second),
                is_met: row.per_second >= 2000.0,
            });
        }
        self.bounds = bounds;
    }

    fn judged_reads(&self) -> Vec<Bound> {
        let of_one_period = |row: &&Row| row.is("reads", &[("periods", 1.0)]);
        let rows: Vec<&Row> = self.rows.iter().filter(of_one_period).collect();
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Vec::new();
        };
        let worst = rows.iter().map(|row| row.latency.p99_ms).fold(0.0, f64::max);
        let change = last.latency.p99_ms / first.latency.p99_ms;
        vec![
            at_most("GET /v1/totals at a fixed rate, p99", worst, 10.0, "ms"),
            Bound {
                what: "the same with the most units, compared with the fewest",
                wanted: "0.8 to 1.2 ×".into(),
                measured: format!("{change:.2} ×"),
                is_met: (0.8..=1.2).contains(&change),
            },
        ]
    }

    fn judged_memory(&self) -> Option<Bound> {
        let ours = |usage: &&Usage| usage.process.starts_with("tonghop");
        let peaks = self.rows.iter().flat_map(|row| &row.usage).filter(ours);
        let most = peaks.map(|usage| usage.peak_mib).max_by(f64::total_cmp)?;
        // The target is in MB.
        Some(at_most(
            "memory of each process of tonghop",
            most * 1.048_576,
            150.0,
            "MB",
        ))
    }
}

/// The median; the lower one of two.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[(numbers.len() - 1) / 2]
}

fn at_most(what: &'static str, measured: f64, most: f64, unit: &str) -> Bound {
    Bound {
        what,
        wanted: format!("≤ {most} {unit}"),
        measured: format!("{measured:.1} {unit}"),
        is_met: measured <= most,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(scenario: &'static str, case: &[(&'static str, f64)], per_second: f64, p99_ms: f64) -> Row {
        Row {
            scenario,
            case: case.iter().copied().collect(),
            answers: 1000,
            count: 800,
            seconds: 10.0,
            per_second,
            repetitions: vec![per_second],
            by_inserts: Vec::new(),
            latency: Percentiles {
                p99_ms,
                ..Percentiles::default()
            },
            visible: None,
            settled_after_s: Some(6.0),
            checked: Some(1),
            bytes_per_submission: Some(900.0),
            usage: vec![Usage {
                process: "tonghop-api".into(),
                cpu_s: 2.0,
                peak_mib: 100.0,
            }],
            notes: Vec::new(),
        }
    }

    #[test]
    fn rates_are_held_against_those_of_the_same_run() {
        let mut results = Results {
            limits: Limits {
                inserts: Some(10_000.0),
                ..Limits::default()
            },
            ..Results::default()
        };
        let ingest = |connections, rate| {
            row(
                "ingest",
                &[("connections", connections), ("figures", 10.0)],
                rate,
                5.0,
            )
        };
        results.rows = vec![
            ingest(64.0, 4_000.0),
            ingest(256.0, 6_900.0),
            row("reads", &[("units", 14.0), ("periods", 1.0)], 1000.0, 4.0),
            row("reads", &[("units", 705.0), ("periods", 1.0)], 1000.0, 11.0),
            row("reads", &[("units", 10_599.0), ("periods", 1.0)], 1000.0, 5.0),
            row("national-month", &[("batch", 0.0)], 1000.0, 5.0),
        ];
        results.judge();
        let judged: Vec<(&str, bool)> = results
            .bounds
            .iter()
            .map(|bound| (bound.measured.as_str(), bound.is_met))
            .collect();
        assert_eq!(
            judged,
            [
                ("0.40 ×", true),
                ("0.69 ×", false),
                ("11.0 ms", false),
                ("1.25 ×", false),
                ("16.0 s", false),
                ("104.9 MB", true),
            ]
        );
        assert_eq!(results.ratios()[0].1, Some(0.4));
        assert_eq!(results.ratios()[0].2, None);
        // A slow moment of the machine affects both.
        results.rows[0].by_inserts = vec![0.5, 0.3, 0.45];
        assert_eq!(results.ratios()[0].1, Some(0.45));
        results.judge();
        assert_eq!(results.bounds[0].measured, "0.45 ×");
    }

    #[test]
    fn the_median_run_stands_for_all_and_knows_their_rates() {
        let rates = [3.0, 1.0, 2.0, 5.0, 4.0];
        let mut rows = rates.map(|rate| row("ingest", &[], rate, 0.0)).to_vec();
        for row in &mut rows {
            row.by_inserts = vec![row.per_second / 10.0];
        }
        let median = Row::median(rows);
        assert_eq!(median.per_second, 3.0);
        assert_eq!(median.repetitions, [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(median.by_inserts, [0.1, 0.2, 0.3, 0.4, 0.5]);
        assert_eq!(median.cpu_ms_per_answer(|process| process == "tonghop-api"), 2.0);
    }
}
