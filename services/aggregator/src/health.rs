//! The worker's HTTP service: liveness, readiness and metrics.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonghop_metrics::{METRICS_TYPE, Metrics, ProbeBody};
use tonghop_storage::Store;

/// Why the health service did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The server failed.
    #[error("the health service stopped: {0}")]
    Serve(std::io::Error),
}

/// Serves `/livez`, `/readyz` and `/metrics` until `stop`.
///
/// The worker is ready if the database is available and accepts writes. It also works without the broker, by the sweep; the
/// metrics tell whether the broker is connected.
///
/// # Errors
/// Fails if the server does.
pub async fn serve_health(
    listeners: Vec<TcpListener>,
    store: Store,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<(), HealthError> {
    let app = move || {
        App::new()
            .app_data(web::Data::new(store.clone()))
            .app_data(web::Data::new(metrics.clone()))
            .route("/livez", web::get().to(get_liveness))
            .route("/readyz", web::get().to(get_readiness))
            .route("/metrics", web::get().to(get_metrics))
    };
    let mut server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .shutdown_timeout(5);
    for listener in listeners {
        server = server.listen(listener).map_err(HealthError::Serve)?;
    }
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(async move {
        stop.cancelled().await;
        handle.stop(true).await;
    });
    server.await.map_err(HealthError::Serve)
}

async fn get_liveness() -> HttpResponse {
    HttpResponse::Ok().json(ProbeBody::ok())
}

async fn get_metrics(metrics: web::Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(METRICS_TYPE)
        .body(metrics.text().await)
}

/// The time for the database to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(3);

async fn get_readiness(store: web::Data<Store>) -> HttpResponse {
    let answered = timeout(PING_TIMEOUT, store.ping()).await;
    let error = match &answered {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("the database did not answer in time".to_owned()),
    };
    match error {
        None => HttpResponse::Ok().json(ProbeBody::ok()),
        Some(error) => {
            tracing::warn!(error, "not ready");
            HttpResponse::ServiceUnavailable()
                .insert_header(("Retry-After", "2"))
                .content_type("application/problem+json")
                .json(json!({
                    "title": "Service Unavailable",
                    "status": 503,
                    "detail": "The database is unavailable or does not accept writes.",
                }))
        }
    }
}
