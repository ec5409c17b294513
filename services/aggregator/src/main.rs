//! `tonghop-aggregator`: the worker as a process of its own, beside PostgreSQL and RabbitMQ.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio_util::sync::CancellationToken;
use tonghop_aggregator::{Settings, bind_health, run, serve_health};
use tonghop_events::{AmqpSettings, Bus, Health, relay};
use tonghop_metrics::Metrics;
use tonghop_storage::{DatabaseUrl, Store};

/// Refreshes the totals of tonghop: consumes announcements from RabbitMQ and sweeps up after lost ones.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The database: postgres://USER@HOST/DATABASE
    #[arg(long, env = "TONGHOP_DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// A PEM file with the certificate authority of PostgreSQL, which then must speak TLS
    #[arg(long, env = "TONGHOP_DATABASE_CA")]
    database_ca: Option<PathBuf>,
    /// The broker: amqp://USER:PASSWORD@HOST/VHOST
    #[arg(long, env = "TONGHOP_AMQP_URL", hide_env_values = true)]
    amqp_url: String,
    /// A PEM file with the certificate authority of the broker, for amqps [default: those of the operating system]
    #[arg(long, env = "TONGHOP_AMQP_CA")]
    amqp_ca: Option<PathBuf>,
    /// The prefix of exchange and queue names
    #[arg(long, env = "TONGHOP_AMQP_NAMESPACE", default_value = "tonghop")]
    amqp_namespace: String,
    /// Where /livez and /readyz are served
    #[arg(long, env = "TONGHOP_LISTEN", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// A folder with a catalogue; the built-in one if it is not given
    #[arg(long, env = "TONGHOP_CATALOGUE")]
    catalogue: Option<PathBuf>,
    /// What to log: error, warn, info, debug, or tracing directives
    #[arg(long, env = "TONGHOP_LOG", default_value = "info")]
    log: String,
    /// Milliseconds between two sweeps for totals whose announcements were lost
    #[arg(long, env = "TONGHOP_SWEEP_INTERVAL_MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    sweep_interval_ms: u64,
}

/// Why the process ends: a sentence and the exit code, 2 for a wrong setting, 1 for the rest.
struct Failure(u8, String);

fn wrong_setting(sentence: impl ToString) -> Failure {
    Failure(2, sentence.to_string())
}

fn failed(sentence: impl ToString) -> Failure {
    Failure(1, sentence.to_string())
}

#[tokio::main]
async fn main() -> ExitCode {
    match work(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(code, sentence)) => {
            eprintln!("tonghop-aggregator: {sentence}");
            ExitCode::from(code)
        }
    }
}

async fn work(arguments: Arguments) -> Result<(), Failure> {
    tonghop_process::start_log(&arguments.log).map_err(wrong_setting)?;
    let url: DatabaseUrl = arguments.database_url.parse().map_err(wrong_setting)?;
    if !matches!(url, DatabaseUrl::Postgres(_)) {
        return Err(wrong_setting(
            "a separate aggregator needs PostgreSQL: --database-url postgres://…",
        ));
    }
    let url = url
        .with_ca(arguments.database_ca.as_deref())
        .map_err(wrong_setting)?;
    let amqp = AmqpSettings::parse(&arguments.amqp_url, &arguments.amqp_namespace).map_err(wrong_setting)?;
    let amqp = amqp
        .with_ca(arguments.amqp_ca.as_deref())
        .map_err(wrong_setting)?;
    let catalogue = match &arguments.catalogue {
        Some(folder) => tonghop_catalogue::load(folder),
        None => tonghop_catalogue::built_in(),
    };
    let catalogue = catalogue.map_err(wrong_setting)?;
    let listener = bind_health(arguments.listen).map_err(wrong_setting)?;
    let store = Store::open(&url, catalogue)
        .await
        .map_err(|error| failed(format!("{url}: {error}")))?;
    let stop = CancellationToken::new();
    let bus = Bus::Amqp(amqp);
    let (consuming, relaying) = (Health::default(), Health::default());
    let brokers = vec![("consumer", consuming.clone()), ("relay", relaying.clone())];
    let metrics = Metrics::new(&store, brokers);
    let settings = Settings {
        sweep_interval: Duration::from_millis(arguments.sweep_interval_ms),
    };
    let signalled = stop_on_signal(stop.clone()).map_err(failed)?;
    tracing::info!(database = %url, "aggregating");
    let serve = async {
        let served = serve_health(listener, store.clone(), metrics.clone(), stop.clone()).await;
        stop.cancel();
        served
    };
    let (served, (), (), ()) = tokio::join!(
        serve,
        run(store.clone(), &bus, settings, &consuming, &metrics, &stop),
        relay(&store, &bus, store.outbox_changed(), &relaying, &stop),
        signalled,
    );
    store.close().await;
    served.map_err(failed)
}

/// Ends the work on SIGTERM or SIGINT.
fn stop_on_signal(stop: CancellationToken) -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = stop.cancelled() => {}
        }
        stop.cancel();
    })
}
