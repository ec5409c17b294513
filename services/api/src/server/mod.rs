//! Listening, serving, and stopping in good order.

pub(crate) mod options;
pub(crate) mod router;
pub(crate) mod state;

use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::time::Duration;
use utoipa_actix_web::AppExt;

use actix_web::middleware::from_fn;
use actix_web::web::{get, to};
use actix_web::{App, HttpServer};
use socket2::{Domain, Socket, Type};
use tokio_util::sync::CancellationToken;
use tonghop_access::{Gate, GateTasks};
use tonghop_metrics::Metrics;
use tonghop_tls::InvalidCertificate;

use crate::middleware::authenticate::authenticate;
use crate::middleware::cors::share;
use crate::middleware::response::answer;
use crate::server::options::Front;
use crate::server::router::{fallback, routes};
use crate::server::state::Shared;
use crate::service::docs::{docs, redirect_docs};
use crate::service::home::get_index;

/// How long a connection may be idle between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long agreeing on TLS may take, before the first head.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many connections the process takes, on however many processors; more wait to be accepted.
const MAX_CONNECTIONS: usize = 4_000;

/// How many connections may wait to be accepted, as far as the system lets them (Linux: `net.core.somaxconn`, 4,096 by
/// itself). One more is not heard, and tries again after a second; what the standard library asks for is 128.
const BACKLOG: i32 = 4_096;

/// How long requests in flight may take after the stop.
const STOP_TIMEOUT_S: u64 = 30;

/// Why the service does not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, std::io::Error),
    /// TLS cannot be served.
    #[error(transparent)]
    Tls(#[from] InvalidCertificate),
    /// The server failed.
    #[error("the HTTP server failed: {0}")]
    Failed(std::io::Error),
}

/// How the service is served.
#[derive(Debug)]
pub struct Settings {
    /// What `/metrics` tells, to which the service adds what it measures.
    pub metrics: Metrics,
    /// How it meets its clients.
    pub front: Front,
}

/// Binds the address of the service.
///
/// # Errors
/// The address is taken or not ours.
pub fn bind(listen: SocketAddr) -> Result<TcpListener, StartError> {
    let listening = || {
        let socket = Socket::new(Domain::for_address(listen), Type::STREAM, None)?;
        // Connections of the process before may still be ending.
        socket.set_reuse_address(cfg!(unix))?;
        socket.bind(&listen.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listening().map_err(|error| StartError::Bind(listen, error))
}

/// Serves until `stop`, then finishes the requests in flight, for 30 seconds at the most.
///
/// # Errors
/// The server could not start, or failed.
pub async fn serve(
    listener: TcpListener,
    (gate, gate_tasks): (Gate, GateTasks),
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let Settings { metrics, front } = settings;
    let shared = Shared::new(&gate, &front, metrics);
    let server = HttpServer::new(move || {
        App::new()
            .into_utoipa_app()
            .configure(routes)
            .into_app()
            .configure(|config| shared.put_into(config))
            .route("/", get().to(get_index))
            .route("/docs", get().to(redirect_docs))
            .service(docs())
            .default_service(to(fallback))
            .wrap(from_fn(authenticate))
            .wrap(from_fn(share))
            .wrap(from_fn(answer))
    });
    let workers = std::thread::available_parallelism().map_or(2, NonZero::get);
    let connections = MAX_CONNECTIONS.div_ceil(workers);
    let server = server
        .workers(workers)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .max_connections(connections)
        // A handshake that waits for its client costs a connection and nothing else. A smaller number, such as the
        // default of 256, lets as many slow clients keep all others out until their time is over.
        .max_connection_rate(connections)
        .tls_handshake_timeout(HANDSHAKE_TIMEOUT)
        .shutdown_timeout(STOP_TIMEOUT_S)
        .disable_signals();
    front.warn_if_readable(&listener);
    let hangups = front.hangups().map_err(StartError::Failed)?;
    let listening = match front.certificate() {
        Some(certificate) => server.listen_rustls_0_23(listener, certificate.server_config()?),
        None => server.listen(listener),
    };
    let server = listening.map_err(StartError::Failed)?.run();
    let handle = server.handle();
    let ending = async {
        let reloading = stop.run_until_cancelled(front.reload_at(hangups));
        tokio::join!(stop.cancelled(), reloading);
        handle.stop(true).await;
    };
    tokio::pin!(server);
    let served_all = CancellationToken::new();
    let serving = async {
        let served = tokio::select! {
            served = &mut server => served,
            () = ending => server.await,
        };
        served_all.cancel();
        served
    };
    let (served, ()) = tokio::join!(serving, gate_tasks.run(&stop, &served_all));
    served.map_err(StartError::Failed)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    /// Nobody accepts them: as many as that may come while the process has no turn.
    #[test]
    fn hundreds_may_connect_at_once() {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(800));
        let connected: Result<Vec<TcpStream>, _> = (0..500).map(connect).collect();
        assert_eq!(connected.unwrap().len(), 500);
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let refused = bind(address).unwrap_err().to_string();
        assert!(
            refused.starts_with(&format!("cannot listen on {address}: ")),
            "{refused}"
        );
    }
}
