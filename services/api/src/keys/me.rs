//! `GET /v1/me`

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use crate::keys::body::KeyBody;
use crate::openapi::problem_responses::{BadRequest, NotAcceptable, Unavailable};
use crate::problem::Problem;
use crate::request::body::MAX_BODY_BYTES;
use crate::request::caller::Authorized;
use crate::request::media_type::{JSON, accepted};
use crate::request::query::Query;
use crate::submissions::batch_body::{MAX_BATCH_BYTES, MAX_SUBMISSIONS};

/// What a caller may do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// The key of the request, without its secret.
    key: KeyBody,
    limits: LimitsBody,
}

/// The limits of a key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limits)]
pub(crate) struct LimitsBody {
    /// The requests per second on average; none without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_second: Option<u32>,
    /// The requests that may come at once; none without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<u32>,
    /// The largest submission, in bytes.
    submission_bytes: usize,
    /// The most submissions of a batch in JSON.
    batch_submissions: usize,
    /// The largest batch in JSON, in bytes.
    batch_bytes: usize,
}

/// Read the caller's own key
///
/// Returns the key with which the request was sent, its role and unit, and its limits.
#[utoipa::path(
    tag = "keys",
    responses(
        (status = 200, description = "The key and its limits", body = Me),
        BadRequest, NotAcceptable, Unavailable
    )
)]
#[get("/v1/me")]
pub(crate) async fn get_me(request: HttpRequest, store: Authorized) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    Query::of(&request).finish()?;
    let (key, quota) = (store.own_key().await?, store.quota());
    let limits = LimitsBody {
        requests_per_second: quota.map(|(rate, _)| rate.get()),
        burst: quota.map(|(_, burst)| burst.get()),
        submission_bytes: MAX_BODY_BYTES,
        batch_submissions: MAX_SUBMISSIONS,
        batch_bytes: MAX_BATCH_BYTES,
    };
    let key = KeyBody::new(&key, store.catalogue());
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(Me { key, limits }))
}
