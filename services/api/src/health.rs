//! Whether the process lives and whether it can work.

use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::Serialize;
use tokio::time::timeout;
use tonghop_storage::Store;
use utoipa::ToSchema;

use crate::document::Unavailable;
use crate::problem::Problem;

/// How long the database may take to answer that it is there.
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// All is well.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct HealthBody {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Is the process alive?
///
/// Answers as long as the process does anything at all. It does not ask the database.
#[utoipa::path(tag = "service", responses((status = 200, description = "It is", body = HealthBody)))]
#[get("/livez")]
pub(crate) async fn get_liveness() -> HttpResponse {
    HttpResponse::Ok().json(HealthBody { status: "ok" })
}

/// Can the process work?
///
/// Asks the database. Send no requests here while the answer is 503.
#[utoipa::path(tag = "service", responses((status = 200, description = "It can", body = HealthBody), Unavailable))]
#[get("/readyz")]
pub(crate) async fn get_readiness(store: Data<Store>) -> Result<HttpResponse, Problem> {
    match timeout(PING_TIMEOUT, store.ping()).await {
        Ok(pong) => pong?,
        Err(_) => return Err(Problem::Unavailable("the database did not answer in time".into())),
    }
    Ok(HttpResponse::Ok().json(HealthBody { status: "ok" }))
}
