//! The OpenAPI document, and the interactive page about it.

use actix_web::dev::HttpServiceFactory;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{Bytes, Data, scope};
use actix_web::{HttpRequest, HttpResponse, get};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::openapi::problem_responses::BadRequest;
use crate::problem::Problem;
use crate::request::media_type::JSON;
use crate::request::query::Query;

/// The bytes of the OpenAPI document.
#[derive(Clone, Debug)]
pub(crate) struct Document(pub(crate) Bytes);

/// The page loads nothing from elsewhere, and sends requests only to the service itself.
const DOCS_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; object-src 'none'; frame-ancestors 'none'";

/// Redirects to the address with a slash, to which the links of the page are relative.
pub(crate) async fn redirect_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "/docs/"))
        .finish()
}

/// The interactive documentation of the API. All its files come from this service.
pub(crate) fn docs() -> impl HttpServiceFactory {
    let config = Config::from("/openapi.json")
        .validator_url("none")
        .use_base_layout();
    let policy = DefaultHeaders::new().add((CONTENT_SECURITY_POLICY, DOCS_POLICY));
    scope("/docs")
        .wrap(policy)
        .service(SwaggerUi::new("/{_:.*}").config(config))
}

/// Read this document
///
/// The OpenAPI document of the service.
#[utoipa::path(tag = "service", responses((status = 200, description = "The document of the service", body = Object), BadRequest))]
#[get("/openapi.json")]
pub(crate) async fn get_openapi(
    request: HttpRequest,
    document: Data<Document>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    Ok(document_response(document.0.clone()))
}

/// The document in OpenAPI 3.0, which a tool makes of `openapi/openapi.json`: see `openapi/lint`.
const RENDERING: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../openapi/openapi-3.0.json"
));

/// Read this document in OpenAPI 3.0
///
/// The same document for tools that do not know OpenAPI 3.1.
#[utoipa::path(tag = "service", responses((status = 200, description = "The document of the service", body = Object), BadRequest))]
#[get("/openapi-3.0.json")]
pub(crate) async fn get_openapi_3_0(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    Ok(document_response(Bytes::from_static(RENDERING.as_bytes())))
}

fn document_response(document: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, JSON))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(document)
}
