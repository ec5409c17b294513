//! The scenarios, one file per question.

mod burst;
mod ingest;
mod limits;
mod misbehaviour;
mod national_month;
mod reads;
mod start;
mod visible;

use crate::client::{Ask, Tally, Target, Wanted, drive};
use crate::ground::{Ground, Service, created};
use crate::pace::Pace;
use crate::plan::{Arguments, Scenario};
use crate::reports::Reports;
use crate::results::{Results, Row};
use crate::usage::CLIENT;

/// The number of connections in scenarios that do not vary it.
const CONNECTIONS: usize = 64;

/// How much of its processor the client may use before it may limit the rate.
const BUSY: f64 = 0.8;

/// Runs a scenario and adds its results.
pub(crate) async fn run(scenario: Scenario, ground: &Ground, plan: &Arguments, results: &mut Results) {
    match scenario {
        Scenario::Limits => limits::run(ground, plan, results).await,
        Scenario::Ingest => ingest::run(ground, plan, results).await,
        Scenario::Visible => visible::run(ground, plan, results).await,
        Scenario::Reads => reads::run(ground, plan, results).await,
        Scenario::NationalMonth => national_month::run(ground, plan, results).await,
        Scenario::Aggregators => ingest::with_aggregators(ground, plan, results).await,
        Scenario::Embedded => ingest::embedded(plan, results).await,
        Scenario::DeadlineBurst => burst::run(ground, plan, results).await,
        Scenario::Growth => ingest::while_the_country_grows(ground, plan, results).await,
        Scenario::Start => start::run(ground, plan, results).await,
        Scenario::Misbehaviour => misbehaviour::run(ground, plan, results).await,
        Scenario::Soak => visible::soak(ground, plan, results).await,
    }
}

/// Sends reports, starting with a turn.
async fn submit(
    target: &Target,
    connections: usize,
    pace: Pace,
    wanted: Wanted,
    reports: &Reports,
    from: u64,
) -> Tally {
    let reports = reports.clone();
    drive(target, connections, pace, wanted, move |turn| {
        Ask::report(reports.body(from + turn))
    })
    .await
}

/// Measures submissions to a fresh service, and checks the results.
async fn write(
    service: Service,
    scenario: &'static str,
    case: &[(&'static str, f64)],
    connections: usize,
    pace: Pace,
    wanted: Wanted,
    reports: &Reports,
) -> Row {
    let (target, before) = (service.target(), service.bytes().await);
    let meter = service.meter();
    let tally = submit(&target, connections, pace, wanted, reports, 0).await;
    let settled_after = service.wait_for_totals(&reports.periods).await;
    let usage = meter.stop();
    let stored = created(&tally);
    let grown = service.bytes().await.saturating_sub(before);
    let checked = service.settle(&reports.periods, stored).await;
    service.end().await;
    let mut row = Row::new(scenario, case, &tally);
    row.settled_after_s = Some(settled_after.as_secs_f64());
    row.checked = Some(checked);
    row.bytes_per_submission = Some(grown as f64 / stored.max(1) as f64);
    let client = usage.iter().find(|usage| usage.process == CLIENT);
    let share = client.map_or(0.0, |client| {
        client.cpu_s / (tally.time + settled_after).as_secs_f64()
    });
    if share > BUSY {
        let percent = share * 100.0;
        row.notes.push(format!(
            "the client used {percent:.0} % of a processor: it may limit the rate"
        ));
    }
    row.usage = usage;
    tell(&row);
    row
}

fn tell(row: &Row) {
    let latency = row.latency;
    println!(
        "{}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
        crate::page::name(row),
        row.per_second,
        latency.p50_ms,
        latency.p99_ms,
        latency.p99_9_ms
    );
}
