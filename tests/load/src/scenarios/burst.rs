//! The worst case of a deadline: everybody reports at once.

use std::time::Duration;

use crate::client::Wanted;
use crate::country::Reporters;
use crate::ground::Ground;
use crate::pace::Pace;
use crate::plan::Arguments;
use crate::reports::months;
use crate::results::Results;
use crate::scenarios::write;

/// Many systems limit a process to 1,024 open files.
const CONNECTIONS: usize = 800;

/// All communes report within one second, and retry after a 503. Latencies count from when a report was due until it was
/// stored.
pub(super) async fn run(ground: &Ground, plan: &Arguments, results: &mut Results) {
    let country = plan.country(Reporters::Communes);
    let reports = country.reports(10, &months(1));
    let service = ground.service(&country, 1).await;
    let pace = Pace::open(reports.first_revisions() as f64, Duration::from_secs(1));
    let connections = plan.size(CONNECTIONS, 64);
    let case = [("connections", connections as f64)];
    let wanted = Wanted::CREATED_IN_THE_END;
    let row = write(
        service,
        "deadline-burst",
        &case,
        connections,
        pace,
        wanted,
        &reports,
    )
    .await;
    results.rows.push(row);
}
