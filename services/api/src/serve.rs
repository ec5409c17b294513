//! Listening, serving, and stopping in good order.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::web::{Bytes, Data, get, to};
use actix_web::{App, HttpServer};
use tokio_util::sync::CancellationToken;
use tonghop_storage::Store;
use tonghop_tls::InvalidCertificate;
use utoipa_actix_web::AppExt;

use crate::access::Locked;
use crate::answer::answer;
use crate::batch::Places;
use crate::front::Front;
use crate::keys::{Keys, authenticate};
use crate::limits::Limits;
use crate::metrics::{MetricsPage, get_metrics};
use crate::origins::share;
use crate::pages::{Document, docs, get_index, redirect_docs};
use crate::payload::Room;
use crate::routes::{Methods, no_route, openapi, openapi_json, routes};
use crate::verification::Turn;
use crate::wait::Wait;

/// How long a connection may be idle between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long agreeing on TLS may take, before the first head.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many connections a worker takes; more wait to be accepted.
const MAX_CONNECTIONS: usize = 2_000;

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
    /// How much each caller may ask for.
    pub limits: Limits,
    /// The page of `/metrics`, if there shall be one.
    pub metrics: Option<MetricsPage>,
    /// How it meets its clients.
    pub front: Front,
}

/// Binds the address of the service.
///
/// # Errors
/// The address is taken or not ours.
pub fn bind(listen: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(listen).map_err(|error| StartError::Bind(listen, error))
}

/// Serves until `stop`, then finishes the requests in flight, for 30 seconds at the most.
///
/// # Errors
/// The server could not start, or failed.
pub async fn serve(
    listener: TcpListener,
    store: Store,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let Settings {
        limits,
        metrics,
        front,
    } = settings;
    let wait = Wait::default();
    let methods = Data::new(Methods::of(&openapi()));
    let document = Data::new(Document(Bytes::from(openapi_json())));
    let turn = Data::new(Turn::default());
    let (room, places) = (Data::new(Room::default()), Data::new(Places::default()));
    let keys = Keys::new(store.clone(), limits);
    let for_requests = Data::new(keys.clone());
    let origins = Data::new(front.origins());
    let (for_handlers, shared) = (Data::new(wait.clone()), Data::new(Locked::new(store.clone())));
    let server = HttpServer::new(move || {
        let app = App::new()
            .app_data(shared.clone())
            .app_data(for_handlers.clone())
            .app_data(for_requests.clone())
            .app_data(methods.clone())
            .app_data(document.clone())
            .app_data(turn.clone())
            .app_data(room.clone())
            .app_data(places.clone())
            .app_data(origins.clone())
            .into_utoipa_app();
        let metrics = metrics.clone();
        app.configure(routes)
            .into_app()
            .configure(|config| {
                if let Some(page) = metrics {
                    config
                        .app_data(Data::new(page))
                        .route("/metrics", get().to(get_metrics));
                }
            })
            .route("/", get().to(get_index))
            .route("/docs", get().to(redirect_docs))
            .service(docs())
            .default_service(to(no_route))
            .wrap(from_fn(authenticate))
            .wrap(from_fn(share))
            .wrap(from_fn(answer))
    });
    let server = server
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .max_connections(MAX_CONNECTIONS)
        // A handshake that waits for its client costs a connection and nothing else. A smaller number, such as the
        // default of 256, lets as many slow clients keep all others out until their time is over.
        .max_connection_rate(MAX_CONNECTIONS)
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
        tokio::join!(wait.run(&store, &stop), keys.run(&stop), reloading);
        handle.stop(true).await;
    };
    tokio::pin!(server);
    let served = tokio::select! {
        served = &mut server => served,
        () = ending => server.await,
    };
    keys.note_uses().await;
    served.map_err(StartError::Failed)
}
