//! `GET /v1/keys/{id}`

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse, get};
use tonghop_domain::KeyId;

use crate::keys::body::KeyBody;
use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::problem::{Missing, Problem};
use crate::request::caller::Authorized;
use crate::request::media_type::{JSON, accepted};
use crate::request::query::Query;

/// Read a key
///
/// Returns a key of a unit at or below the caller's, valid or not, without its secret.
#[utoipa::path(
    tag = "keys",
    params(("id" = String, Path, description = "The key's id, the eight characters after `th_`", example = "8kQ2vY1c")),
    responses(
        (status = 200, description = "The key, without its secret", body = KeyBody),
        BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/keys/{id}")]
pub(crate) async fn get_key(
    request: HttpRequest,
    id: Path<String>,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    accepted(request.headers(), &[JSON])?;
    store.require_administrator()?;
    let id: KeyId = id.parse().map_err(|_| Problem::NotFound(Missing::Key))?;
    let key = store.key(id).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(KeyBody::new(&key, store.catalogue())))
}
