//! The OpenAPI document.

use std::sync::LazyLock;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};

use crate::openapi::problem_responses::BadRequest;
use crate::problem::Problem;
use crate::request::media_type::JSON;
use crate::request::preconditions::IfNoneMatchHeader;
use crate::request::query::Query;
use crate::request::tagged::NotModified;
use crate::service::static_file::{Lifetime, StaticFile};

/// The OpenAPI document of the process.
#[derive(Clone, Debug)]
pub(crate) struct Document(StaticFile);

impl Document {
    /// The document with this text.
    ///
    /// # Errors
    /// It cannot be compressed.
    pub(crate) fn new(text: &str) -> std::io::Result<Self> {
        StaticFile::new(JSON, text.as_bytes(), Lifetime::UntilChanged).map(Self)
    }
}

/// Read this document
///
/// The OpenAPI document of the service.
#[utoipa::path(
    tag = "service",
    params(IfNoneMatchHeader),
    responses(
        (status = 200, description = "The document of the service", body = Object, headers(
            ("ETag" = String, description = "A weak tag of the document")
        )),
        NotModified, BadRequest
    )
)]
#[get("/openapi.json")]
pub(crate) async fn get_openapi(
    request: HttpRequest,
    document: Data<Document>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    document.0.response(&request)
}

/// The document in OpenAPI 3.0, which a tool makes of `openapi/openapi.json`: see `openapi/lint`.
const RENDERING: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../openapi/openapi-3.0.json"
));

/// Read this document in OpenAPI 3.0
///
/// The same document for tools that do not know OpenAPI 3.1.
#[utoipa::path(
    tag = "service",
    params(IfNoneMatchHeader),
    responses(
        (status = 200, description = "The document of the service", body = Object, headers(
            ("ETag" = String, description = "A weak tag of the document")
        )),
        NotModified, BadRequest
    )
)]
#[get("/openapi-3.0.json")]
pub(crate) async fn get_openapi_3_0(request: HttpRequest) -> Result<HttpResponse, Problem> {
    static DOCUMENT: LazyLock<Result<Document, String>> =
        LazyLock::new(|| Document::new(RENDERING).map_err(|error| error.to_string()));
    Query::of(&request).finish()?;
    let document = DOCUMENT
        .as_ref()
        .map_err(|error| Problem::Internal(error.clone()))?;
    document.0.response(&request)
}
