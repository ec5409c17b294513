//! `GET /v1/verification`: compares totals with a new count of the reports.

use std::collections::BTreeMap;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use tonghop_storage::Difference;
use utoipa::ToSchema;

use crate::openapi::problem_responses::{BadRequest, Busy, NotAcceptable, NotFound, Unavailable};
use crate::problem::Problem;
use crate::request::caller::Authorized;
use crate::request::media_type::{JSON, accepted};
use crate::request::total_ref::{TotalQuery, read_total_ref};

/// The outcome of a verification.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Verification, example = json!({"checked": 5890, "skipped": 0, "differing": []}))]
pub(crate) struct VerificationBody {
    /// The number of numbers compared.
    checked: u64,
    /// The number of totals skipped, because they do not contain all changes yet.
    skipped: u64,
    differing: Vec<DifferenceBody>,
}

/// A number that is served, but is not what the reports add up to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Difference)]
pub(crate) struct DifferenceBody {
    /// The total's unit.
    unit: String,
    /// The indicator; null for a number of the completeness.
    #[schema(required = true)]
    indicator: Option<String>,
    /// For a cell, the codes of its dimensions, each with the code of a category.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    breakdown: BTreeMap<String, String>,
    /// The name of the number: `value`, `reporting`, `items`, `expected` …; `total` for a stored total that cannot be read.
    number: &'static str,
    /// The number that is served; null if none is.
    #[schema(required = true)]
    served: Option<String>,
    /// What the reports add up to; null if there is nothing.
    #[schema(required = true)]
    recomputed: Option<String>,
}

/// Verify totals
///
/// Recounts the current reports of the unit and all units below it without the stored totals, and compares the result with
/// what is served, number by number. Totals that do not contain all changes yet are skipped. A key can run few
/// verifications at a time.
#[utoipa::path(
    tag = "totals",
    params(TotalQuery),
    responses(
        (status = 200, description = "The comparison, and what differs", body = VerificationBody),
        BadRequest, NotFound, NotAcceptable, Busy, Unavailable
    )
)]
#[get("/v1/verification")]
pub(crate) async fn get_verification(
    request: HttpRequest,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let about = read_total_ref(&request, store.catalogue())?;
    let outcome = store.verify(&about).await?;
    let body = VerificationBody {
        checked: outcome.checked,
        skipped: outcome.skipped,
        differing: outcome.differing.into_iter().map(DifferenceBody::from).collect(),
    };
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(body))
}

impl From<Difference> for DifferenceBody {
    fn from(difference: Difference) -> Self {
        Self {
            unit: difference.unit.to_string(),
            indicator: difference.indicator.map(|code| code.to_string()),
            breakdown: difference.breakdown.into_iter().collect(),
            number: difference.number,
            served: difference.served,
            recomputed: difference.recomputed,
        }
    }
}
