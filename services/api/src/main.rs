//! `tonghop-api`: the HTTP service and the relay in a process of their own, with PostgreSQL and RabbitMQ.

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio_util::sync::CancellationToken;
use tonghop_access::{Gate, GateTasks, keep_sealed, warn_without_head_file};
use tonghop_api::{ServerOptions, Settings, serve};
use tonghop_events::{Bus, Health, relay};
use tonghop_metrics::Metrics;
use tonghop_process::{Failure, handle_signals};
use tonghop_storage::{API_ROLE, SealFile, Store};

/// A request allocates hundreds of small pieces and frees them on another thread; the system's allocator took a fifth of
/// the time of the API. Without huge pages, which take half as much memory again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The HTTP service of tonghop, for PostgreSQL and RabbitMQ. Run any number of these processes.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    settings: tonghop_process::Settings,
    #[command(flatten)]
    server: ServerOptions,
}

/// How long the relay can publish what was recorded last. Another process publishes the rest.
const RELAY_GRACE: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    tonghop_process::run(run)
}

async fn run(Arguments { settings, server }: Arguments) -> Result<(), Failure> {
    settings.start_log();
    let (database, bus) = (settings.postgres()?, settings.rabbitmq()?);
    let config = server.read().map_err(Failure::configuration)?;
    let reloaded = config.clone();
    let stop = handle_signals(move || reloaded.reload())?;
    let listeners = server.listen().bind()?;
    let opening = stop.run_until_cancelled(settings.open_store(&database)).await;
    let Some(store) = opening.transpose()? else {
        return Ok(());
    };
    tracing::info!(listen = %server.listen(), %database, "serving");
    warn_without_row_security(&store).await;
    let seal_file = server.audit_heads().map(SealFile::at);
    warn_without_head_file(seal_file.as_ref());
    let relaying = Health::default();
    let gate = Gate::new(store.clone(), server.rate_limits(), server.key_rules());
    let settings = Settings {
        metrics: Metrics::new(&store, vec![("relay", relaying.clone())]),
        server: config,
    };
    // Sealing ends after everything that writes to the audit trail.
    let sealed = CancellationToken::new();
    let working = async {
        let worked = work(listeners, gate, &store, &bus, &relaying, settings, &stop).await;
        sealed.cancel();
        worked
    };
    let (worked, ()) = tokio::join!(working, keep_sealed(&store, seal_file.as_ref(), &sealed));
    tracing::info!("stopped");
    worked
}

/// Warns if PostgreSQL does not apply the policies on rows, as for the tables' owner and for superusers.
async fn warn_without_row_security(store: &Store) {
    match store.has_row_security().await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            "this database user bypasses the policies on rows: connect as a member of {API_ROLE}"
        ),
        Err(error) => tracing::warn!(%error, "cannot check whether the policies on rows apply"),
    }
}

/// Serves and relays until `stop`; then finishes the requests in flight and publishes what they recorded.
async fn work(
    listeners: Vec<TcpListener>,
    gate: (Gate, GateTasks),
    store: &Store,
    bus: &Bus,
    health: &Health,
    settings: Settings,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let relay_stop = CancellationToken::new();
    let serving = async {
        let served = serve(listeners, gate, settings, stop.clone()).await;
        store.close().await;
        store.outbox_changed().notify_one();
        tokio::time::sleep(RELAY_GRACE).await;
        relay_stop.cancel();
        served
    };
    let relaying = relay(store, bus, store.outbox_changed(), health, &relay_stop);
    let (served, ()) = tokio::join!(serving, relaying);
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
