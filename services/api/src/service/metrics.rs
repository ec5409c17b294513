//! The page with metrics.

use actix_web::HttpResponse;
use actix_web::web::Data;
use tonghop_metrics::{METRICS_TYPE, Metrics};

use crate::problem::Problem;
use crate::request::caller::Authorized;

/// Returns the metrics, to keys for monitoring and to administrators of the whole service.
pub(crate) async fn get_metrics(metrics: Data<Metrics>, store: Authorized) -> Result<HttpResponse, Problem> {
    store.require_monitor()?;
    let page = metrics.text().await;
    Ok(HttpResponse::Ok().content_type(METRICS_TYPE).body(page))
}
