//! The worker's own small HTTP service: is it alive, is it ready, what does it count.

use std::net::{SocketAddr, TcpListener};

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tonghop_events::Health;
use tonghop_metrics::{METRICS_TYPE, Metrics};
use tonghop_storage::Store;

/// The health service did not start or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, std::io::Error),
    /// It stopped by itself.
    #[error("the health service stopped: {0}")]
    Serve(std::io::Error),
}

/// Listens on an address.
///
/// # Errors
/// The address is taken or not this machine's.
pub fn bind_health(address: SocketAddr) -> Result<TcpListener, HealthError> {
    TcpListener::bind(address).map_err(|error| HealthError::Bind(address, error))
}

/// Serves `/livez`, `/readyz` and `/metrics` until `stop`. Ready means: the database answers and takes changes. A broker
/// that is away is told and does no harm, since the sweep goes on.
///
/// # Errors
/// The listener failed.
pub async fn serve_health(
    listener: TcpListener,
    store: Store,
    broker: Health,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<(), HealthError> {
    let app = move || {
        App::new()
            .app_data(web::Data::new((store.clone(), broker.clone())))
            .app_data(web::Data::new(metrics.clone()))
            .route("/livez", web::get().to(live))
            .route("/readyz", web::get().to(ready))
            .route("/metrics", web::get().to(measured))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .shutdown_timeout(5);
    let server = server.listen(listener).map_err(HealthError::Serve)?.run();
    let handle = server.handle();
    tokio::spawn(async move {
        stop.cancelled().await;
        handle.stop(true).await;
    });
    server.await.map_err(HealthError::Serve)
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

async fn measured(metrics: web::Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(METRICS_TYPE)
        .body(metrics.text().await)
}

async fn ready(state: web::Data<(Store, Health)>) -> HttpResponse {
    let (store, broker) = state.as_ref();
    let broker = if broker.connected() { "connected" } else { "away" };
    match store.ping().await {
        Ok(()) => HttpResponse::Ok().json(json!({ "status": "ready", "broker": broker })),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            let away = json!({ "status": "database away or takes no changes", "broker": broker });
            HttpResponse::ServiceUnavailable()
                .insert_header(("Retry-After", "2"))
                .json(away)
        }
    }
}
