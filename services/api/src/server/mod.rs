//! Listens, serves, and stops in an orderly way.

mod accept;
pub(crate) mod connection;
mod framing;
mod idle;
pub(crate) mod options;
mod patience;
pub(crate) mod proxies;
mod proxy_protocol;
pub(crate) mod read_ahead;
pub(crate) mod router;
pub(crate) mod state;

use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::time::Duration;
use utoipa_actix_web::AppExt;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request};
use actix_server::GracefulShutdownSignal;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{AppConfig, Server, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::web::{get, to};
use actix_web::{App, Error};
use tokio_util::sync::CancellationToken;
use tonghop_access::{Gate, GateTasks, Resource};
use tonghop_metrics::Metrics;
use tonghop_process::warn_without_open_files;
use tonghop_tls::InvalidCertificate;

use crate::middleware::authenticate::authenticate;
use crate::middleware::cors::cors;
use crate::middleware::response::{IDLE_TIMEOUT, complete_response};
use crate::server::accept::Acceptor;
use crate::server::connection::Connection;
use crate::server::options::ServerConfig;
use crate::server::router::{fallback, routes};
use crate::server::state::Shared;
use crate::service::docs_page::{get_docs, redirect_docs};
use crate::service::guide::{get_guide, redirect_guide};
use crate::service::home::get_index;

/// The time for receiving the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The files that a process may open besides its connections to clients.
const OTHER_FILES: usize = 100;

/// The time in which a client must close a connection that the service ends.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

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
    let shared = Shared::new(&gate, &settings.server, settings.metrics).map_err(StartError::Failed)?;
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
    let workers = std::thread::available_parallelism().map_or(2, NonZero::get);
    let mut server = Server::build()
        .workers(workers)
        // Further ones wait to be accepted.
        .max_concurrent_connections(Resource::Connections.total().div_ceil(workers))
        .shutdown_timeout(STOP_TIMEOUT_S)
        .disable_signals();
    let acceptor = Acceptor {
        gate: gate.clone(),
        proxies: config.proxies(),
        proxy_protocol: config.proxy_protocol(),
        tls: config.tls_acceptor()?,
        idle_timeout: IDLE_TIMEOUT + HEAD_TIMEOUT,
    };
    for listener in listeners {
        let (acceptor, shared, stopping) = (
            acceptor.clone(),
            shared.clone(),
            server.graceful_shutdown_signal(),
        );
        let listening = server.listen("api", listener, move || {
            connections(&acceptor, &shared, &stopping)
        });
        server = listening.map_err(StartError::Failed)?;
    }
    Ok(server.run())
}

/// Serves the connections of one listener, in one worker.
fn connections(
    acceptor: &Acceptor,
    shared: &Shared,
    stopping: &GracefulShutdownSignal,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<>
{
    let acceptor = acceptor.clone();
    let http = http(app(shared), stopping);
    let open = fn_service(move |stream: TcpStream| {
        let opening = acceptor.clone().open(stream);
        async move {
            let (connection, client) = opening.await.map_err(DispatchError::Io)?;
            Ok((connection, Some(client)))
        }
    });
    open.and_then(http)
}

/// Serves HTTP/1.1 on connections.
pub(crate) fn http<I, S, B>(
    app: I,
    stopping: &GracefulShutdownSignal,
) -> impl ServiceFactory<
    (Connection, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> + use<I, S, B>
where
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    let stopping = stopping.clone();
    HttpService::build()
        .keep_alive(IDLE_TIMEOUT)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .on_connect_ext(|connection: &Connection, held| drop(held.insert(connection.read_ahead())))
        .h1(map_config(app, |()| AppConfig::default()))
}

/// The operations, and the middleware around them.
fn app(
    shared: &Shared,
) -> impl ServiceFactory<
    Request,
    Config = AppConfig,
    Response = ServiceResponse<BoxBody>,
    Error = Error,
    InitError = (),
> + use<> {
    let shared = shared.clone();
    App::new()
        .into_utoipa_app()
        .configure(routes)
        .into_app()
        .configure(move |config| shared.configure(config))
        .route("/", get().to(get_index))
        .route("/docs", get().to(redirect_docs))
        .route("/docs/{file:.*}", get().to(get_docs))
        .route("/guide", get().to(redirect_guide))
        .route("/guide/{file:.*}", get().to(get_guide))
        .default_service(to(fallback))
        .wrap(from_fn(authenticate))
        .wrap(from_fn(cors))
        .wrap(from_fn(complete_response))
        .into_factory()
}
