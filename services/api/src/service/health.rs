//! Whether the process lives and whether it can work.

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

impl From<ProbeBody> for HealthBody {
    fn from(body: ProbeBody) -> Self {
        Self {
            status: body.status(),
        }
    }
}

/// Is the process alive?
///
/// Answers as long as the process does anything at all. It does not ask the database.
#[utoipa::path(tag = "service", responses((status = 200, description = "It is", body = HealthBody), BadRequest))]
#[get("/livez")]
pub(crate) async fn get_liveness(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    Ok(HttpResponse::Ok().json(HealthBody::from(ProbeBody::ok())))
}

/// Can the process work?
///
/// Asks the database. Send no requests here while the answer is 503.
#[utoipa::path(tag = "service", responses((status = 200, description = "It can", body = HealthBody), BadRequest, Unavailable))]
#[get("/readyz")]
pub(crate) async fn get_readiness(request: HttpRequest, gate: Data<Gate>) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    match timeout(PING_TIMEOUT, gate.ping()).await {
        Ok(pong) => pong?,
        Err(_) => return Err(Problem::Unavailable("the database did not answer in time".into())),
    }
    Ok(HttpResponse::Ok().json(HealthBody::from(ProbeBody::ok())))
}
