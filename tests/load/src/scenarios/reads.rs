//! The cost of reading one province's totals as the store grows.

use tonghop_tests::{FORM, PERIOD};

use crate::client::{Ask, Wanted, drive};
use crate::country::{Country, PROVINCE, Reporters};
use crate::ground::{Ground, Service, created};
use crate::pace::Pace;
use crate::plan::Arguments;
use crate::reports::{Reports, months};
use crate::results::{Results, Row};
use crate::scenarios::{CONNECTIONS, submit, tell};

/// Varies the number of stored units, then of periods.
pub(super) async fn run(ground: &Ground, plan: &Arguments, results: &mut Results) {
    let country = plan.country(Reporters::Growing);
    let sizes = [14, plan.size(705, 20), plan.size(10_599, 40)];
    let reports = country.reports(usize::MAX, &months(1));
    let service = ground.service(&country, 1).await;
    let mut stored = 0;
    for units in sizes {
        let count = units as u64 - stored;
        load(&service, &reports, stored, count).await;
        stored += count;
        service.wait_for_totals(&reports.periods).await;
        results.rows.push(read(&service, plan, units, 1).await);
    }
    service.settle(&reports.periods, stored).await;
    service.end().await;
    over_periods(ground, plan, &country, results).await;
}

async fn over_periods(ground: &Ground, plan: &Arguments, country: &Country, results: &mut Results) {
    let (units, periods) = (plan.size(705, 14), plan.size(60, 8));
    let service = ground.service(country, 1).await;
    let reports = country.reports(usize::MAX, &months(periods)).of_first(units);
    load(&service, &reports, 0, reports.first_revisions()).await;
    service.wait_for_totals(&reports.periods).await;
    results.rows.push(read(&service, plan, units, periods).await);
    service.settle(&reports.periods, reports.first_revisions()).await;
    service.end().await;
}

async fn load(service: &Service, reports: &Reports, from: u64, count: u64) {
    let pace = Pace::Count(count);
    let tally = submit(
        &service.target(),
        CONNECTIONS,
        pace,
        Wanted::CREATED,
        reports,
        from,
    )
    .await;
    assert_eq!(created(&tally), count);
}

async fn read(service: &Service, plan: &Arguments, units: usize, periods: usize) -> Row {
    let path = format!("/v1/totals?form={FORM}&period={PERIOD}&unit={PROVINCE}");
    let totals = service.app.get(&path).await.json();
    assert_eq!(
        totals["completeness"]["reported"], 14,
        "the province is the same in every store"
    );
    let rate = plan.size(1000, 50) as f64;
    let pace = Pace::open(rate, plan.time(30.0));
    let meter = service.meter();
    let tally = drive(&service.target(), CONNECTIONS, pace, Wanted::OK, move |_| {
        Ask::get(&path)
    })
    .await;
    let usage = meter.stop();
    let case = [("units", units as f64), ("periods", periods as f64)];
    let mut row = Row::new("reads", &case, &tally);
    row.usage = usage;
    row.notes.push(format!("at {rate} reads/s"));
    tell(&row);
    row
}
