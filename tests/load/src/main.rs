//! Measures tonghop on this machine, beside what the machine can do without it. See the README of this package.
#![expect(
    clippy::expect_used,
    reason = "a run stops at the first failure and reports where"
)]
#![expect(clippy::print_stdout, reason = "it prints its results")]

mod client;
mod country;
mod ground;
mod machine;
mod no_op;
mod pace;
mod page;
mod plan;
mod reports;
mod results;
mod scenarios;
mod tunnel;
mod usage;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use futures_util::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use crate::ground::{Ground, build_programs};
use crate::plan::{Arguments, Scenario};
use crate::results::Results;

/// The same allocator as in the measured programs, so that the no-op handler and the client are as fast.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(listen) = arguments.serve_no_op {
        return no_op::serve(listen);
    }
    if !arguments.built {
        build_programs();
    }
    // One thread, to leave the processors to what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    LocalSet::new().block_on(&runtime, async {
        let stop = |kind| signal(kind).expect("signals can be listened to");
        let (mut interrupt, mut terminate) = (stop(SignalKind::interrupt()), stop(SignalKind::terminate()));
        // Dropping the scenarios stops their servers and processes.
        tokio::select! {
            status = measure(&arguments) => status,
            _ = interrupt.recv() => ExitCode::from(130),
            _ = terminate.recv() => ExitCode::from(143),
        }
    })
}

/// Runs the scenarios. A failing scenario does not prevent the others from running.
async fn measure(arguments: &Arguments) -> ExitCode {
    let ground = Ground::prepare().await;
    let mut results = Results {
        about: machine::about(&ground).await,
        ..Results::default()
    };
    let scenarios = arguments.scenarios();
    let mut failed = Vec::new();
    for scenario in &scenarios {
        println!("\n== {}", name(*scenario));
        let running = scenarios::run(*scenario, &ground, arguments, &mut results);
        if AssertUnwindSafe(running).catch_unwind().await.is_err() {
            failed.push(name(*scenario));
        }
        results.judge();
        page::write(&results, &arguments.out);
    }
    println!("\n{}", page::markdown(&results));
    println!("written to {}", arguments.out.display());
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
    }
    println!(
        "{} of {} scenarios passed",
        scenarios.len() - failed.len(),
        scenarios.len()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn name(scenario: Scenario) -> String {
    let value = scenario.to_possible_value();
    value.map(|value| value.get_name().to_owned()).unwrap_or_default()
}
