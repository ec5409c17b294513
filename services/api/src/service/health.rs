//! Health probes: whether the process is alive, and whether it is ready.

use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use tokio::time::timeout;
use tonghop_access::Gate;
use tonghop_metrics::ProbeBody;
use utoipa::ToSchema;

use crate::openapi::problem_responses::{BadRequest, Unavailable};
use crate::problem::Problem;
use crate::request::query::Query;

/// The time for the database to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// The service is well.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct HealthBody {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

impl From<ProbeBody> for HealthBody {
    fn from(body: ProbeBody) -> Self {
        Self {
            status: body.status(),
        }
    }
}

/// Check liveness
///
/// Responds as long as the process runs. Does not query the database.
#[utoipa::path(tag = "service", responses((status = 200, description = "The process is alive", body = HealthBody), BadRequest))]
#[get("/livez")]
pub(crate) async fn get_liveness(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    Ok(HttpResponse::Ok().json(HealthBody::from(ProbeBody::ok())))
}

/// Check readiness
///
/// Queries the database. While the status is 503, send no requests to this process.
#[utoipa::path(tag = "service", responses((status = 200, description = "The process is ready", body = HealthBody), BadRequest, Unavailable))]
#[get("/readyz")]
pub(crate) async fn get_readiness(request: HttpRequest, gate: Data<Gate>) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    match timeout(PING_TIMEOUT, gate.ping()).await {
        Ok(pong) => pong?,
        Err(_) => return Err(Problem::Unavailable("the database did not answer in time".into())),
    }
    Ok(HttpResponse::Ok().json(HealthBody::from(ProbeBody::ok())))
}
