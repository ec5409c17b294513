//! `tonghop-api`: the HTTP service and the relay, as a process of its own beside PostgreSQL and RabbitMQ.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tonghop_access::{Gate, GateTasks, RateLimits, keep_sealed, warn_without_head_file};
use tonghop_api::{FrontOptions, Settings, bind, serve};
use tonghop_events::{AmqpSettings, Bus, Health, relay};
use tonghop_metrics::Metrics;
use tonghop_storage::{DatabaseUrl, SealFile, Store, StoreError};

/// The HTTP service of tonghop, for PostgreSQL and RabbitMQ. Run as many as you want.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// postgres://USER@HOST/DATABASE
    #[arg(long, env = "TONGHOP_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// A PEM file with the certificate authority of PostgreSQL, which then must speak TLS.
    #[arg(long, env = "TONGHOP_DATABASE_CA")]
    database_ca: Option<PathBuf>,
    /// amqp://USER:PASSWORD@HOST:5672/VHOST
    #[arg(long, env = "TONGHOP_AMQP_URL", hide_env_values = true)]
    amqp_url: Option<String>,
    /// A PEM file with the certificate authority of the broker, for amqps; those of the operating system when left out.
    #[arg(long, env = "TONGHOP_AMQP_CA")]
    amqp_ca: Option<PathBuf>,
    /// What the names of exchanges and queues begin with.
    #[arg(long, env = "TONGHOP_AMQP_NAMESPACE", default_value = AmqpSettings::DEFAULT_NAMESPACE)]
    amqp_namespace: String,
    /// The address to listen on.
    #[arg(long, env = "TONGHOP_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A folder with a catalogue; the built-in one when left out.
    #[arg(long, env = "TONGHOP_CATALOGUE")]
    catalogue: Option<PathBuf>,
    /// How many requests a second a key may make on the average; 0 for as many as it wants.
    #[arg(long, env = "TONGHOP_KEY_RATE", default_value_t = 100)]
    key_rate: u32,
    /// The file in which to note the heads of the audit trail's chain.
    #[arg(long, env = "TONGHOP_AUDIT_HEADS")]
    audit_heads: Option<PathBuf>,
    #[command(flatten)]
    front: FrontOptions,
    /// What to log, as in `info` or `warn,tonghop_api=debug`.
    #[arg(long, env = "TONGHOP_LOG", default_value = "info")]
    log: String,
}

/// How long the relay may take for what was recorded last. What it does not manage, another process publishes.
const RELAY_GRACE: Duration = Duration::from_millis(300);

/// Why the process ends before its time.
enum Failure {
    /// A setting is wrong.
    Configuration(String),
    /// Something that the process needs is not there.
    RunTime(String),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return told(&Failure::RunTime(format!("no runtime: {error}"))),
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => told(&failure),
    }
}

fn told(failure: &Failure) -> ExitCode {
    let (sentence, code) = match failure {
        Failure::Configuration(sentence) => (sentence, 2),
        Failure::RunTime(sentence) => (sentence, 1),
    };
    eprintln!("tonghop-api: {sentence}");
    ExitCode::from(code)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let configuration = |error: &dyn std::fmt::Display| Failure::Configuration(error.to_string());
    tonghop_process::start_log(&arguments.log).map_err(|error| configuration(&error))?;
    let (database, bus) = (database(&arguments)?, broker(&arguments)?);
    let front = arguments.front.read().map_err(|error| configuration(&error))?;
    let catalogue = match &arguments.catalogue {
        Some(folder) => tonghop_catalogue::load(folder),
        None => tonghop_catalogue::built_in(),
    };
    let catalogue = catalogue.map_err(|faults| configuration(&faults))?;
    let listener = bind(arguments.listen).map_err(|error| configuration(&error))?;
    let store = Store::open(&database, catalogue)
        .await
        .map_err(|error| not_opened(&database, &error))?;
    let stop = stop_on_signals().map_err(|error| Failure::RunTime(format!("no signals: {error}")))?;
    tracing::info!(listen = %arguments.listen, %database, "serving");
    warn_without_row_security(&store).await;
    let seal_file = arguments.audit_heads.map(SealFile::at);
    warn_without_head_file(seal_file.as_ref());
    let relaying = Health::default();
    let gate = Gate::new(store.clone(), RateLimits::new(arguments.key_rate));
    let settings = Settings {
        metrics: Metrics::new(&store, vec![("relay", relaying.clone())]),
        front,
    };
    // The trail ends after all that writes into it.
    let sealed = CancellationToken::new();
    let working = async {
        let worked = work(listener, gate, &store, &bus, &relaying, settings, &stop).await;
        sealed.cancel();
        worked
    };
    let (worked, ()) = tokio::join!(working, keep_sealed(&store, seal_file.as_ref(), &sealed));
    tracing::info!("stopped");
    worked
}

/// The tables' owner, or a superuser, passes the policies on rows.
async fn warn_without_row_security(store: &Store) {
    match store.has_row_security().await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            "this database user passes the policies on rows: connect as a member of {}",
            tonghop_storage::API_ROLE
        ),
        Err(error) => tracing::warn!(%error, "the policies on rows were not looked at"),
    }
}

fn database(arguments: &Arguments) -> Result<DatabaseUrl, Failure> {
    const WANTED: &str = "this process needs PostgreSQL: set --database-url or TONGHOP_DATABASE_URL, as in \
                          postgres://USER@HOST/DATABASE; with SQLite, run `tonghop serve`";
    let url = arguments.database_url.as_deref();
    match url.and_then(|url| url.parse().ok()) {
        Some(database @ DatabaseUrl::Postgres(_)) => database
            .with_ca(arguments.database_ca.as_deref())
            .map_err(|error| Failure::Configuration(error.to_string())),
        Some(DatabaseUrl::Sqlite(_)) | None => Err(Failure::Configuration(WANTED.into())),
    }
}

fn broker(arguments: &Arguments) -> Result<Bus, Failure> {
    const WANTED: &str = "this process needs RabbitMQ: set --amqp-url or TONGHOP_AMQP_URL, as in \
                          amqp://USER:PASSWORD@HOST:5672/VHOST; without a broker, run `tonghop serve`";
    let url = arguments
        .amqp_url
        .as_deref()
        .ok_or_else(|| Failure::Configuration(WANTED.into()))?;
    let configuration = |error: &dyn std::fmt::Display| Failure::Configuration(error.to_string());
    let settings =
        AmqpSettings::parse(url, &arguments.amqp_namespace).map_err(|error| configuration(&error))?;
    let settings = settings.with_ca(arguments.amqp_ca.as_deref());
    settings.map(Bus::Amqp).map_err(|error| configuration(&error))
}

/// Serves and relays until the stop; then what is in flight is recorded, and published.
async fn work(
    listener: std::net::TcpListener,
    gate: (Gate, GateTasks),
    store: &Store,
    bus: &Bus,
    health: &Health,
    settings: Settings,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let relay_stop = CancellationToken::new();
    let serving = async {
        let served = serve(listener, gate, settings, stop.clone()).await;
        store.close().await;
        store.outbox_changed().notify_one();
        tokio::time::sleep(RELAY_GRACE).await;
        relay_stop.cancel();
        served
    };
    let relaying = relay(store, bus, store.outbox_changed(), health, &relay_stop);
    let (served, ()) = tokio::join!(serving, relaying);
    served.map_err(|error| Failure::RunTime(error.to_string()))
}

/// Why the database could not be opened: what an administrator has set wrong, or what is not there now.
fn not_opened(database: &DatabaseUrl, error: &StoreError) -> Failure {
    let sentence = format!("{database}: {error}");
    match error {
        StoreError::CatalogueMismatch | StoreError::NotMigrated | StoreError::CatalogueInUse(_) => {
            Failure::Configuration(sentence)
        }
        StoreError::Unavailable(_)
        | StoreError::Overloaded
        | StoreError::Contention(_)
        | StoreError::InUse(_)
        | StoreError::ConstraintViolated(_)
        | StoreError::Corrupt(_)
        | StoreError::Overflow(_) => Failure::RunTime(sentence),
    }
}

/// Cancelled by SIGTERM and SIGINT.
fn stop_on_signals() -> std::io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopping.cancel();
    });
    Ok(stop)
}
