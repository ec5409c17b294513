//! Responses with an entity tag made from their bodies.

use std::collections::BTreeMap;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::IntoResponses;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::{RefOr, Response};

use crate::openapi::problem_responses::header;
use crate::problem::Problem;
use crate::request::media_type::JSON;
use crate::request::preconditions::Tags;

/// The response to a client that has what it asks for.
pub(crate) struct NotModified;

impl IntoResponses for NotModified {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let response = ResponseBuilder::new()
            .description("The response that you have is current")
            .header("ETag", header("Its tag"));
        BTreeMap::from([("304".to_owned(), RefOr::T(response.build()))])
    }
}

/// Responds with a body in JSON and its tag, or without it if the client has it already.
///
/// # Errors
/// The condition of the request is malformed.
pub(crate) fn tagged_response(request: &HttpRequest, body: &impl Serialize) -> Result<HttpResponse, Problem> {
    let known = Tags::if_none_match(request.headers())?;
    let bytes = serde_json::to_vec(body).map_err(|error| Problem::Internal(error.to_string()))?;
    let tag = format!(
        "W/\"{}\"",
        base16ct::lower::encode_string(&Sha256::digest(&bytes)[..16])
    );
    let is_known = known.is_some_and(|tags| tags.match_weakly(&tag));
    let mut response = match is_known {
        true => HttpResponse::NotModified(),
        false => HttpResponse::Ok(),
    };
    response
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((ETAG, tag));
    if is_known {
        return Ok(response.finish());
    }
    Ok(response.insert_header((CONTENT_TYPE, JSON)).body(bytes))
}
