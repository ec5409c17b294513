//! `POST /v1/keys`

use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, post};
use chrono::Utc;

use crate::keys::body::{KeyBody, NewKeyBody};
use crate::keys::parse::read_new_key;
use crate::openapi::problem_responses::{
    BadRequest, Busy, Conflict, NotAcceptable, TooLarge, TooSlow, Unavailable, UnprocessableKey, WrongMedia,
};
use crate::problem::Problem;
use crate::request::body::read_body;
use crate::request::caller::Authorized;
use crate::request::media_type::{JSON, accepted, check_content_type};
use crate::request::query::Query;

/// Create a key
///
/// Creates a key for a unit at or below the caller's. Only this response contains the key itself: the service stores
/// a digest of it. The response names the unit, so that you can check that the code means the unit you expect.
#[utoipa::path(
    tag = "keys",
    request_body(content = NewKeyBody, content_type = "application/json", description = "The role and unit of the key"),
    responses(
        (status = 201, description = "The key, with its secret", body = KeyBody, headers(
            ("Location" = String, description = "The path of the key")
        )),
        BadRequest, NotAcceptable, TooSlow, Conflict, TooLarge, WrongMedia, UnprocessableKey, Busy, Unavailable
    )
)]
#[post("/v1/keys")]
pub(crate) async fn create_key(
    request: HttpRequest,
    payload: Payload,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    store.require_administrator()?;
    let body = read_body(&request, payload, &store).await?;
    Query::of(&request).finish()?;
    accepted(request.headers(), &[JSON])?;
    check_content_type(request.headers(), &[JSON])?;
    let new = read_new_key(
        &body.bytes,
        store.catalogue(),
        store.key_rules().max_age,
        Utc::now(),
    )?;
    let (key, token) = store.create_key(new).await?;
    let mut body = KeyBody::new(&key, store.catalogue());
    body.token = Some(token.reveal().to_owned());
    Ok(HttpResponse::Created()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((LOCATION, format!("/v1/keys/{}", key.id)))
        .json(body))
}
