//! Listens, serves, and stops in an orderly way.

mod connections;
pub(crate) mod options;
pub(crate) mod proxies;
pub(crate) mod router;
pub(crate) mod state;

use std::net::TcpListener;
use std::num::NonZero;
use std::time::Duration;
use utoipa_actix_web::AppExt;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::{get, to};
use actix_web::{App, HttpServer};
use tokio_util::sync::CancellationToken;
use tonghop_access::{Gate, GateTasks, Resource};
use tonghop_metrics::Metrics;
use tonghop_process::warn_without_open_files;
use tonghop_tls::InvalidCertificate;

use crate::middleware::authenticate::authenticate;
use crate::middleware::cors::cors;
use crate::middleware::response::{IDLE_TIMEOUT, complete_response};
use crate::server::options::ServerConfig;
use crate::server::router::{fallback, routes};
use crate::server::state::Shared;
use crate::service::docs::{docs, redirect_docs};
use crate::service::home::get_index;

/// The time for receiving the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The files that a process may open besides its connections to clients.
const OTHER_FILES: usize = 100;

/// The time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The time in seconds for requests in flight to finish after the stop.
const STOP_TIMEOUT_S: u64 = 30;

/// Why the service did not start, or stopped unexpectedly.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] InvalidCertificate),
    /// The server failed.
    #[error("the HTTP server failed: {0}")]
    Failed(std::io::Error),
}

/// The settings of the service.
#[derive(Debug)]
pub struct Settings {
    /// The metrics of the process, to which the service adds its own.
    pub metrics: Metrics,
    /// The certificate and the allowed origins.
    pub server: ServerConfig,
}

/// Serves until `stop`, then finishes the requests in flight, for at most 30 seconds.
///
/// # Errors
/// The server could not start, or failed.
pub async fn serve(
    listeners: Vec<TcpListener>,
    (gate, gate_tasks): (Gate, GateTasks),
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let shared = Shared::new(&gate, &settings.server, settings.metrics);
    let server = start(shared, &gate, listeners, &settings.server)?;
    let handle = server.handle();
    let ending = async {
        stop.cancelled().await;
        handle.stop(true).await;
    };
    tokio::pin!(server);
    // A server that fails ends without a stop.
    let (tasks_stop, served_all) = (stop.child_token(), CancellationToken::new());
    let serving = async {
        let served = tokio::select! {
            served = &mut server => served,
            () = ending => server.await,
        };
        tasks_stop.cancel();
        served_all.cancel();
        served
    };
    let (served, ()) = tokio::join!(serving, gate_tasks.run(&tasks_stop, &served_all));
    served.map_err(StartError::Failed)
}

/// Starts to accept connections.
fn start(
    shared: Shared,
    gate: &Gate,
    listeners: Vec<TcpListener>,
    config: &ServerConfig,
) -> Result<Server, StartError> {
    config.warn_if_readable(&listeners);
    warn_without_open_files((Resource::Connections.total() + OTHER_FILES) as u64);
    let server = HttpServer::new(move || {
        App::new()
            .into_utoipa_app()
            .configure(routes)
            .into_app()
            .configure(|config| shared.configure(config))
            .route("/", get().to(get_index))
            .route("/docs", get().to(redirect_docs))
            .service(docs())
            .default_service(to(fallback))
            .wrap(from_fn(authenticate))
            .wrap(from_fn(cors))
            .wrap(from_fn(complete_response))
    });
    let workers = std::thread::available_parallelism().map_or(2, NonZero::get);
    // Further ones wait to be accepted.
    let connections = Resource::Connections.total().div_ceil(workers);
    let (gate, proxies) = (gate.clone(), config.proxies());
    let mut server = server
        .workers(workers)
        .on_connect(move |stream, held| connections::admit(stream, held, &gate, &proxies))
        .keep_alive(IDLE_TIMEOUT)
        .client_request_timeout(HEAD_TIMEOUT)
        .max_connections(connections)
        // A handshake that waits for its client costs nothing but a connection. With a smaller number, such as the
        // default of 256, as many slow clients would keep out all others until their handshakes time out.
        .max_connection_rate(connections)
        .tls_handshake_timeout(HANDSHAKE_TIMEOUT)
        .shutdown_timeout(STOP_TIMEOUT_S)
        .disable_signals();
    for listener in listeners {
        let listening = match config.certificate() {
            Some(certificate) => server.listen_rustls_0_23(listener, certificate.server_config()?),
            None => server.listen(listener),
        };
        server = listening.map_err(StartError::Failed)?;
    }
    Ok(server.run())
}
