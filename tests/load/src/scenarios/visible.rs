//! The time until a submission is in its province's total.
//!
//! Every few milliseconds, one snapshot of the database shows when the totals of some provinces were refreshed and which
//! marks they have. A submission is visible with the first later refresh that leaves no mark as old as it, which is when the
//! service sets `aggregated_at`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::task::spawn_local;
use tokio::time::sleep;
use tokio_postgres::Client;
use tonghop_tests::{FORM, PERIOD};

use crate::client::Wanted;
use crate::country::{Country, Reporters};
use crate::ground::{Ground, Service, created};
use crate::pace::Pace;
use crate::plan::Arguments;
use crate::reports::{Reports, months};
use crate::results::{Percentiles, Results, Row};
use crate::scenarios::{CONNECTIONS, submit, tell};

const WATCH_INTERVAL: Duration = Duration::from_millis(5);
/// Only every eighth province is watched: more would distort the measurement.
const WATCHED_EVERY: usize = 8;
/// The share of the rate at saturation.
const SHARE: f64 = 0.5;

/// At half the rate of ingest.
pub(super) async fn run(ground: &Ground, plan: &Arguments, results: &mut Results) {
    let rate = rate(ground, plan, results).await;
    let row = at_rate(ground, plan, "visible", rate, plan.time(30.0)).await;
    results.rows.push(row);
}

/// The same for a long time.
pub(super) async fn soak(ground: &Ground, plan: &Arguments, results: &mut Results) {
    let rate = rate(ground, plan, results).await;
    let row = at_rate(ground, plan, "soak", rate, plan.soak()).await;
    results.rows.push(row);
}

/// The given rate; otherwise a share of ingest's rate in this run, or of a new measurement.
async fn rate(ground: &Ground, plan: &Arguments, results: &Results) -> f64 {
    if let Some(rate) = plan.rate {
        return rate;
    }
    let case = [("connections", CONNECTIONS as f64), ("figures", 10.0)];
    if let Some(row) = results.row("ingest", &case) {
        return row.per_second * SHARE;
    }
    let country = plan.country(Reporters::Districts);
    let (service, reports) = (ground.service(&country, 1).await, reports(&country));
    let tally = submit(
        &service.target(),
        CONNECTIONS,
        plan.saturated(),
        Wanted::CREATED,
        &reports,
        0,
    )
    .await;
    service.settle(&reports.periods, created(&tally)).await;
    service.end().await;
    tally.per_second() * SHARE
}

/// The month of the example report, corrected again and again, so that as many changes as possible meet in each total.
fn reports(country: &Country) -> Reports {
    country.reports(10, &months(1))
}

async fn at_rate(
    ground: &Ground,
    plan: &Arguments,
    scenario: &'static str,
    rate: f64,
    time: Duration,
) -> Row {
    let country = plan.country(Reporters::Districts);
    let (service, reports) = (ground.service(&country, 1).await, reports(&country));
    let (target, before) = (service.target(), service.bytes().await);
    let watched = Watch::new(&service, &country).await;
    let samples = Rc::new(RefCell::new(Vec::new()));
    let watching = spawn_local(watched.clone().run(samples.clone()));
    let meter = service.meter();
    let peaks = meter.peaks_mib();
    // After a tenth of the time, everything has been used once: what still grows may grow without bound.
    let early = spawn_local(async move {
        sleep(time / 10).await;
        peaks()
    });
    let tally = submit(
        &target,
        CONNECTIONS,
        Pace::open(rate, time),
        Wanted::CREATED,
        &reports,
        0,
    )
    .await;
    let settled_after = service.wait_for_totals(&reports.periods).await;
    // Once more, to see the last refreshes.
    sleep(WATCH_INTERVAL * 4).await;
    watching.abort();
    let usage = meter.stop();
    let grown = service.bytes().await.saturating_sub(before);
    let visible = visible(&watched.received(&service, &country).await, &samples.borrow());
    let checked = service.settle(&reports.periods, created(&tally)).await;
    service.end().await;
    let mut row = Row::new(scenario, &[("rate", rate.round())], &tally);
    row.visible = Some(Percentiles::of(&visible));
    row.settled_after_s = Some(settled_after.as_secs_f64());
    row.checked = Some(checked);
    row.bytes_per_submission = Some(grown as f64 / created(&tally).max(1) as f64);
    let early = early.await.expect("memory is looked at");
    for usage in &usage {
        let (name, late) = (&usage.process, usage.peak_mib);
        row.notes.push(format!(
            "{name}: peak {:.1} MiB after a tenth of the time, {late:.1} at the end",
            early[name]
        ));
    }
    row.usage = usage;
    row.notes.push(format!(
        "visible: {} submissions of {} provinces",
        visible.len(),
        watched.provinces.len()
    ));
    tell(&row);
    println!("visible: {:.1?}", row.visible);
    row
}

/// A change of a province between two snapshots: when its total was refreshed, and the time of its oldest mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    unit: i64,
    refreshed_at: i64,
    marked_since: Option<i64>,
}

/// The watched provinces.
#[derive(Clone)]
struct Watch {
    database: Rc<Client>,
    /// The ids of units, with their codes.
    provinces: Rc<BTreeMap<i64, String>>,
}

impl Watch {
    async fn new(service: &Service, country: &Country) -> Self {
        let database = service.database().await;
        let codes: Vec<&String> = country.provinces.iter().rev().step_by(WATCHED_EVERY).collect();
        let sql = "SELECT unit_id, code FROM units WHERE code = ANY($1)";
        let rows = database.query(sql, &[&codes]).await.expect("units can be read");
        assert_eq!(rows.len(), codes.len());
        Self {
            provinces: Rc::new(rows.iter().map(|row| (row.get(0), row.get(1))).collect()),
            database: Rc::new(database),
        }
    }

    /// Takes snapshots until it is aborted.
    async fn run(self, samples: Rc<RefCell<Vec<Sample>>>) {
        const SQL: &str = "SELECT t.unit_id, (extract(epoch FROM t.refreshed_at) * 1000000)::bigint, \
            (SELECT (extract(epoch FROM min(m.since)) * 1000000)::bigint FROM marks m \
             WHERE m.form = t.form AND m.period = t.period AND m.unit_id = t.unit_id) \
            FROM totals t WHERE t.form = $1 AND t.period = $2 AND t.unit_id = ANY($3)";
        let statement = self.database.prepare(SQL).await.expect("a statement");
        let ids: Vec<i64> = self.provinces.keys().copied().collect();
        let mut last: BTreeMap<i64, Sample> = BTreeMap::new();
        loop {
            let rows = self.database.query(&statement, &[&FORM, &PERIOD, &ids]).await;
            let read = |row: &tokio_postgres::Row| Sample {
                unit: row.get(0),
                refreshed_at: row.get(1),
                marked_since: row.get(2),
            };
            for sample in rows.expect("totals can be read").iter().map(read) {
                if last.insert(sample.unit, sample) != Some(sample) {
                    samples.borrow_mut().push(sample);
                }
            }
            sleep(WATCH_INTERVAL).await;
        }
    }

    /// The province and time of each submission of the watched provinces.
    async fn received(&self, service: &Service, country: &Country) -> Vec<(i64, i64)> {
        let of_code: BTreeMap<&str, i64> = self
            .provinces
            .iter()
            .map(|(id, code)| (code.as_str(), *id))
            .collect();
        let province_of = |unit: &str| of_code.get(country.province_of.get(unit)?.as_str()).copied();
        let units: Vec<&String> = country
            .reporters
            .iter()
            .filter(|unit| province_of(unit).is_some())
            .collect();
        let sql = "SELECT u.code, (extract(epoch FROM r.received_at) * 1000000)::bigint FROM revisions r \
            JOIN submissions s ON s.submission_id = r.submission_id \
            JOIN units u ON u.unit_id = s.unit_id WHERE u.code = ANY($1)";
        let rows = service.database().await.query(sql, &[&units]).await;
        let rows = rows.expect("revisions can be read");
        rows.iter()
            .filter_map(|row| Some((province_of(row.get(0))?, row.get(1))))
            .collect()
    }
}

/// How long each submission took to become visible, in microseconds. Snapshots are in order of time.
fn visible(received: &[(i64, i64)], samples: &[Sample]) -> Histogram<u64> {
    let mut of_unit: BTreeMap<i64, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        of_unit.entry(sample.unit).or_default().push(*sample);
    }
    let mut received = received.to_vec();
    received.sort_unstable();
    let mut at: BTreeMap<i64, usize> = BTreeMap::new();
    let mut latency = Histogram::new(3).expect("three digits");
    for (unit, time) in received {
        let samples = of_unit.get(&unit).map(Vec::as_slice).unwrap_or_default();
        let holds = |sample: &Sample| {
            sample.refreshed_at >= time && sample.marked_since.is_none_or(|since| since > time)
        };
        // A total that contains a submission contains the earlier ones, so the search continues where it stopped.
        let from = at.entry(unit).or_default();
        let found = samples[*from..].iter().position(holds);
        *from += found.unwrap_or_else(|| panic!("a submission was never seen in its total"));
        let took = samples[*from].refreshed_at - time;
        latency.record(took.unsigned_abs()).expect("it grows as needed");
    }
    latency
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(refreshed_at: i64, marked_since: Option<i64>) -> Sample {
        Sample {
            unit: 1,
            refreshed_at,
            marked_since,
        }
    }

    #[test]
    fn a_submission_is_visible_with_the_first_refresh_that_leaves_no_mark_as_old() {
        let samples = [
            sample(90, Some(100)),
            sample(105, Some(100)),
            sample(150, Some(110)),
            sample(200, None),
        ];
        let took = |received: &[i64]| {
            let received: Vec<(i64, i64)> = received.iter().map(|time| (1, *time)).collect();
            let latency = visible(&received, &samples);
            let mut took: Vec<u64> = latency
                .iter_recorded()
                .map(|value| value.value_iterated_to())
                .collect();
            took.sort_unstable();
            took
        };
        assert_eq!(
            took(&[100]),
            [50],
            "the refresh at 105 came too early for it: its mark was left"
        );
        assert_eq!(took(&[110]), [90]);
        assert_eq!(took(&[100, 110, 120]), [50, 80, 90]);
    }

    #[test]
    #[should_panic(expected = "never seen")]
    fn a_submission_that_no_total_holds_is_a_fault() {
        visible(&[(1, 300)], &[sample(200, None)]);
    }
}
