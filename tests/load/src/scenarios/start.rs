//! The time from the start of a process until it is ready, on an existing database.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonghop_tests::TestApp;

use crate::client::Tally;
use crate::country::Reporters;
use crate::ground::{Ground, Service};
use crate::plan::Arguments;
use crate::results::{Results, Row};
use crate::scenarios::tell;

/// Measures each serving program with the catalogue of a whole country.
pub(super) async fn run(ground: &Ground, plan: &Arguments, results: &mut Results) {
    let country = plan.country(Reporters::Communes);
    let mut servers = ground.service(&country, 1).await;
    let api = |app: &mut TestApp| start_api(app, "tonghop-api", &[]);
    let row = starts("start of api", &mut servers, plan, end_apis, api).await;
    results.rows.push(row);
    let row = starts(
        "start of aggregator",
        &mut servers,
        plan,
        end_aggregators,
        start_aggregator,
    )
    .await;
    results.rows.push(row);
    servers.end().await;
    let mut embedded = Ground::embedded(&country).await;
    let serve = |app: &mut TestApp| start_api(app, "tonghop", &["serve"]);
    let row = starts("start of embedded", &mut embedded, plan, end_apis, serve).await;
    results.rows.push(row);
    embedded.end().await;
}

/// Stops a process and starts it again until it is ready; `start` returns its address.
async fn starts(
    name: &'static str,
    service: &mut Service,
    plan: &Arguments,
    end: impl Fn(&mut TestApp),
    start: impl Fn(&mut TestApp) -> String,
) -> Row {
    let mut took = Vec::new();
    for _ in 0..plan.repeat() {
        end(&mut service.app);
        let begun = Instant::now();
        let base = start(&mut service.app);
        while !service.app.is_ready(&base).await {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{base} does not become ready"
            );
            sleep(Duration::from_millis(1)).await;
        }
        took.push(begun.elapsed());
    }
    let row = Row::new(name, &[], &Tally::of(&took));
    tell(&row);
    row
}

fn end_apis(app: &mut TestApp) {
    for mut process in app.apis.drain(..) {
        process.terminate_if_running();
        assert!(process.wait().success());
    }
    app.bases.clear();
}

fn end_aggregators(app: &mut TestApp) {
    for mut process in app.aggregators.drain(..) {
        process.terminate_if_running();
        assert!(process.wait().success());
    }
    app.aggregator_bases.clear();
}

fn start_api(app: &mut TestApp, program: &str, arguments: &[&str]) -> String {
    app.start_api(program, arguments);
    app.bases[0].clone()
}

fn start_aggregator(app: &mut TestApp) -> String {
    app.start_aggregator();
    app.aggregator_bases[0].clone()
}
