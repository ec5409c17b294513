//! `tonghop-aggregator`: the worker in a process of its own, with PostgreSQL and RabbitMQ.

use std::process::ExitCode;

use clap::Parser;
use tonghop_aggregator::{AggregatorOptions, run, serve_health};
use tonghop_events::{Health, relay};
use tonghop_metrics::Metrics;
use tonghop_process::{Failure, ListenAddress, handle_signals};

/// As in the API: the system's allocator is slow when one thread frees what another allocated.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The worker of tonghop, for PostgreSQL and RabbitMQ: refreshes totals after each change. Run any number of these
/// processes.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    settings: tonghop_process::Settings,
    /// The address to serve /livez, /readyz and /metrics on: HOST:PORT, with an IP address or a name such as localhost
    #[arg(
        long,
        env = "TONGHOP_LISTEN",
        default_value = "127.0.0.1:8081",
        help_heading = "Settings of the aggregator"
    )]
    listen: ListenAddress,
    #[command(flatten)]
    aggregator: AggregatorOptions,
}

fn main() -> ExitCode {
    tonghop_process::run(work)
}

async fn work(arguments: Arguments) -> Result<(), Failure> {
    let Arguments {
        settings,
        listen,
        aggregator,
    } = arguments;
    settings.start_log();
    let (database, bus) = (settings.postgres()?, settings.rabbitmq()?);
    let stop = handle_signals(|| tracing::info!("SIGHUP ignored: this program has no certificate"))?;
    let listeners = listen.bind()?;
    let opening = stop.run_until_cancelled(settings.open_store(&database)).await;
    let Some(store) = opening.transpose()? else {
        return Ok(());
    };
    let (consuming, relaying) = (Health::default(), Health::default());
    let brokers = vec![("consumer", consuming.clone()), ("relay", relaying.clone())];
    let metrics = Metrics::new(&store, brokers);
    tracing::info!(%listen, %database, "aggregating");
    let serve = async {
        let served = serve_health(listeners, store.clone(), metrics.clone(), stop.clone()).await;
        stop.cancel();
        served
    };
    let (served, (), ()) = tokio::join!(
        serve,
        run(
            store.clone(),
            &bus,
            aggregator.settings(),
            &consuming,
            &metrics,
            &stop
        ),
        relay(&store, &bus, store.outbox_changed(), &relaying, &stop),
    );
    store.close().await;
    tracing::info!("stopped");
    served.map_err(Failure::runtime)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use tonghop_process::{VARIABLES, variables_of};

    use super::*;

    #[test]
    fn every_program_accepts_the_variables_of_this_one() {
        let variables = variables_of(&Arguments::command());
        assert!(variables.contains("TONGHOP_LISTEN"));
        let unknown: Vec<_> = variables
            .iter()
            .filter(|name| !VARIABLES.contains(&name.as_str()))
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
