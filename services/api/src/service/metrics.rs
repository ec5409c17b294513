//! The page with metrics.

use actix_web::HttpResponse;
use actix_web::web::Data;
use tonghop_metrics::{METRICS_TYPE, Metrics};

use crate::access::authorized::Access;
use crate::problem::Problem;

/// Answers the page, to administrators.
pub(crate) async fn get_metrics(metrics: Data<Metrics>, access: Access) -> Result<HttpResponse, Problem> {
    access.check_administers()?;
    let page = metrics.text().await;
    Ok(HttpResponse::Ok().content_type(METRICS_TYPE).body(page))
}
