//! `DELETE /v1/keys/{id}`

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse, delete};
use tonghop_domain::KeyId;

use crate::keys::body::KeyBody;
use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::problem::{Missing, Problem};
use crate::request::caller::Authorized;
use crate::request::media_type::{JSON, accepted};
use crate::request::query::Query;

/// Revoke a key
///
/// Every process rejects the key within 5 seconds. Revoking a revoked key changes nothing.
#[utoipa::path(
    tag = "keys",
    params(("id" = String, Path, description = "The key's id, the eight characters after `th_`", example = "8kQ2vY1c")),
    responses(
        (status = 200, description = "The key, revoked now or already before", body = KeyBody),
        BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[delete("/v1/keys/{id}")]
pub(crate) async fn revoke_key(
    request: HttpRequest,
    id: Path<String>,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    accepted(request.headers(), &[JSON])?;
    store.require_administrator()?;
    let id: KeyId = id.parse().map_err(|_| Problem::NotFound(Missing::Key))?;
    let key = store.revoke_key(id).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(KeyBody::new(&key, store.catalogue())))
}
