//! A whole country reports every indicator, until its total is correct.

use serde_json::Value;
use tonghop_tests::{FORM, PERIOD, TestApp};

use crate::client::{Ask, Tally, Wanted, drive};
use crate::country::Reporters;
use crate::ground::{Ground, Service, created};
use crate::pace::Pace;
use crate::plan::Arguments;
use crate::reports::{Reports, months};
use crate::results::{Results, Row};
use crate::scenarios::{submit, tell};

const CONNECTIONS: usize = 256;
/// Reports per batch, and batches in flight.
const BATCH: u64 = 200;
const SENDERS: usize = 8;

/// Each report in its own request; then the same in batches.
pub(super) async fn run(ground: &Ground, plan: &Arguments, results: &mut Results) {
    for batch in [false, true] {
        let row = month(ground, plan, batch).await;
        results.rows.push(row);
    }
}

async fn month(ground: &Ground, plan: &Arguments, batch: bool) -> Row {
    let country = plan.country(Reporters::Communes);
    let reports = country.reports(usize::MAX, &months(1));
    let service = ground.service(&country, 1).await;
    let (before, meter) = (service.bytes().await, service.meter());
    let units = reports.first_revisions();
    let (tally, stored) = if batch {
        let tally = send_batches(&service, plan.size(SENDERS, 2), &reports).await;
        (tally, units)
    } else {
        let pace = Pace::Count(units);
        let tally = submit(&service.target(), CONNECTIONS, pace, Wanted::CREATED, &reports, 0).await;
        let stored = created(&tally);
        (tally, stored)
    };
    let settled_after = service.wait_for_totals(&reports.periods).await;
    let usage = meter.stop();
    assert_right(&service.app.totals("VN").await, &reports);
    for district in &country.empty_districts {
        let completeness = &service.app.totals(district).await["completeness"];
        assert_eq!(completeness["expected"], 0, "{district}: {completeness}");
    }
    let grown = service.bytes().await.saturating_sub(before);
    let checked = service.settle(&reports.periods, stored).await;
    service.end().await;
    let mut row = Row::new("national-month", &[("batch", f64::from(u8::from(batch)))], &tally);
    let whole = tally.time + settled_after;
    row.settled_after_s = Some(settled_after.as_secs_f64());
    row.checked = Some(checked);
    row.bytes_per_submission = Some(grown as f64 / stored as f64);
    row.usage = usage;
    if batch {
        (row.answers, row.count) = (units, units);
        row.per_second = units as f64 / row.seconds;
        row.repetitions = vec![row.per_second];
        row.notes
            .push(format!("latencies are those of batches of {BATCH}"));
    }
    row.notes.push(format!(
        "{units} reports, from none until the country's total was correct: {:.1} s",
        whole.as_secs_f64()
    ));
    tell(&row);
    println!(
        "the country's total was correct after {:.1} s",
        whole.as_secs_f64()
    );
    row
}

/// The number of stored revisions shows whether each line was accepted.
async fn send_batches(service: &Service, senders: usize, reports: &Reports) -> Tally {
    let (units, reports) = (reports.first_revisions(), reports.clone());
    let batch = move |turn: u64| {
        let turns = turn * BATCH..((turn + 1) * BATCH).min(units);
        Ask::batch(turns.map(|turn| reports.body(turn) + "\n").collect())
    };
    let batches = Pace::Count(units.div_ceil(BATCH));
    drive(&service.target(), senders, batches, Wanted::OK, batch).await
}

/// Compares the country's total with the sums of what was sent.
fn assert_right(totals: &Value, reports: &Reports) {
    assert_eq!(
        totals["completeness"]["reported"],
        reports.first_revisions(),
        "{}",
        totals["completeness"]
    );
    assert_eq!(totals["completeness"]["expected"], reports.first_revisions());
    assert_eq!(totals["freshness"]["pending"], 0);
    let sums = reports.sums();
    assert_eq!(totals["totals"].as_array().map(Vec::len), Some(sums.len()));
    for (indicator, sum) in sums {
        let line = TestApp::line(totals, &indicator);
        assert_eq!(
            line["reporting"],
            reports.first_revisions(),
            "{indicator} of {FORM} {PERIOD}"
        );
        if let Some(sum) = sum {
            assert_eq!(line["value"], sum, "{indicator}");
        }
    }
}
