//! Submissions per second when each connection sends one after the other.

use crate::client::Wanted;
use crate::country::{Country, Reporters};
use crate::ground::Ground;
use crate::plan::Arguments;
use crate::reports::{Reports, months};
use crate::results::{Results, Row};
use crate::scenarios::limits::one_row_inserts;
use crate::scenarios::{CONNECTIONS, write};

/// Varies connections and figures.
pub(super) async fn run(ground: &Ground, plan: &Arguments, results: &mut Results) {
    let country = plan.country(plan.reporters);
    for figures in plan.figures() {
        let reports = reports(plan, &country, figures);
        for connections in plan.connections() {
            let case = [("connections", connections as f64), ("figures", figures as f64)];
            let mut rows = Vec::new();
            for _ in 0..plan.repeat() {
                // Just before, because the speed of the machine varies over time.
                let inserts = one_row_inserts(ground, plan.time(5.0)).await;
                let service = ground.service(&country, 1).await;
                let mut row = write(
                    service,
                    "ingest",
                    &case,
                    connections,
                    plan.saturated(),
                    Wanted::CREATED,
                    &reports,
                )
                .await;
                row.by_inserts = vec![row.per_second / inserts];
                println!("  pgbench just before: {inserts:.0}/s");
                rows.push(row);
            }
            results.rows.push(Row::median(rows));
        }
    }
}

/// Varies the number of aggregators.
pub(super) async fn with_aggregators(ground: &Ground, plan: &Arguments, results: &mut Results) {
    let country = plan.country(plan.reporters);
    let reports = reports(plan, &country, 10);
    for aggregators in plan.aggregators() {
        let case = [("aggregators", aggregators as f64)];
        let mut rows = Vec::new();
        for _ in 0..plan.repeat() {
            let service = ground.service(&country, aggregators).await;
            let pace = plan.saturated();
            rows.push(
                write(
                    service,
                    "aggregators",
                    &case,
                    CONNECTIONS,
                    pace,
                    Wanted::CREATED,
                    &reports,
                )
                .await,
            );
        }
        results.rows.push(Row::median(rows));
    }
}

/// Measures one process with a SQLite file.
pub(super) async fn embedded(plan: &Arguments, results: &mut Results) {
    let country = plan.country(plan.reporters);
    let reports = reports(plan, &country, 10);
    let mut rows = Vec::new();
    for _ in 0..plan.repeat() {
        let service = Ground::embedded(&country).await;
        rows.push(
            write(
                service,
                "embedded",
                &[],
                CONNECTIONS,
                plan.saturated(),
                Wanted::CREATED,
                &reports,
            )
            .await,
        );
    }
    results.rows.push(Row::median(rows));
}

/// Varies the size of the country: one province, all districts, all communes.
pub(super) async fn while_the_country_grows(ground: &Ground, plan: &Arguments, results: &mut Results) {
    let whole = plan.size(usize::MAX, 2);
    for (who, provinces) in [
        (Reporters::Districts, 1),
        (Reporters::Districts, whole),
        (Reporters::Communes, whole),
    ] {
        let country = Country::new(who, Some(provinces));
        let reports = reports(plan, &country, 10);
        let units = country.reporters.len() as f64;
        let depth = if who == Reporters::Districts { 3.0 } else { 4.0 };
        let case = [("units", units), ("depth", depth)];
        let mut rows = Vec::new();
        for _ in 0..plan.repeat() {
            let service = ground.service(&country, 1).await;
            let pace = plan.saturated();
            rows.push(
                write(
                    service,
                    "growth",
                    &case,
                    CONNECTIONS,
                    pace,
                    Wanted::CREATED,
                    &reports,
                )
                .await,
            );
        }
        results.rows.push(Row::median(rows));
    }
}

fn reports(plan: &Arguments, country: &Country, figures: usize) -> Reports {
    // Enough periods that no report is a correction.
    country.reports(figures, &months(plan.size(200, 3)))
}
