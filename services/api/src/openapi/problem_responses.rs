//! Problem responses, each a type that handlers name among their responses.

use std::collections::BTreeMap;
use utoipa::ToSchema;

use serde_json::Value;
use utoipa::IntoResponses;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response};

use crate::problem::body::{PROBLEM_JSON, ProblemBody};
use crate::problem::kind::ProblemKind;
use crate::problem::text::Language;

/// Problem responses, each a type that handlers name among their responses.
macro_rules! problems {
    ($($name:ident $status:literal $($code:ident)+;)*) => {
        $(
            #[doc = concat!("Problems of status ", $status, ".")]
            pub(crate) struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    let reference = RefOr::Ref(Ref::from_response_name(stringify!($name)));
                    BTreeMap::from([($status.to_owned(), reference)])
                }
            }
        )*

        /// The kinds of problem of the response with this name.
        pub(crate) fn kinds_of(name: &str) -> &'static [ProblemKind] {
            match name {
                $(stringify!($name) => &[$(ProblemKind::$code),+],)*
                _ => &[],
            }
        }
    };
}

problems! {
    BadRequest "400" InvalidJson UnknownParameter InvalidParameter InvalidHeader BrokenBody;
    Unauthorized "401" MissingKey InvalidKey;
    Denied "403" Forbidden;
    NotFound "404" NotFound;
    NotAcceptable "406" NotAcceptable;
    TooSlow "408" BodyTimeout;
    Conflict "409" TooManyKeys;
    ConditionFailed "412" RevisionConflict;
    TooLarge "413" BodyTooLarge TooManyValues;
    WrongMedia "415" UnsupportedMediaType;
    Unprocessable "422" InvalidSubmission IdempotencyKeyReused;
    UnprocessableKey "422" InvalidKeyRequest;
    ConditionRequired "428" PreconditionRequired;
    TooMany "429" RateLimited;
    Busy "429" ShareUsedUp RateLimited;
    Failed "500" Internal;
    Unavailable "503" Unavailable Overloaded CatalogueMismatch NotMigrated;
}

/// The headers of responses to requests with a key that was admitted.
pub(crate) const RATE_LIMIT_HEADERS: [&str; 2] = ["RateLimit-Policy", "RateLimit"];

/// A problem response: the meaning of its codes, and an example.
pub(crate) fn response(codes: &[ProblemKind], has_quota: bool, example: Option<Value>) -> Response {
    let line = |code: &ProblemKind| format!("{} (`{}`).", code.title().get(Language::En), code.slug());
    let described: Vec<String> = codes.iter().map(line).collect();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemBody::name())));
    let mut response = ResponseBuilder::new()
        .description(described.join(" "))
        .content(PROBLEM_JSON, content.example(example).build())
        .header_ref("X-Request-Id", header_reference("X-Request-Id"))
        .header(
            "Content-Language",
            header("The language of the texts: `en` or `vi`"),
        );
    if codes.iter().any(|code| code.status().as_u16() == 401) {
        response = response.header(
            "WWW-Authenticate",
            header("`Bearer`, with `error=\"invalid_token\"` if the key is not valid"),
        );
    }
    if codes.contains(&ProblemKind::UnsupportedMediaType) {
        response = response.header(
            "Accept-Encoding",
            header("`identity`, if the request has a compressed body, which is not accepted"),
        );
    }
    let has_status = |wanted: &[u16]| codes.iter().any(|code| wanted.contains(&code.status().as_u16()));
    if has_status(&[429, 503]) {
        response = response.header_ref("Retry-After", header_reference("Retry-After"));
    }
    if has_quota && !has_status(&[401]) {
        for name in RATE_LIMIT_HEADERS {
            response = response.header_ref(name, header_reference(name));
        }
    }
    response.build()
}

/// A reference to one of the headers that many responses have.
pub(crate) fn header_reference(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

pub(crate) fn header(description: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    HeaderBuilder::new()
        .schema(Some(text))
        .description(Some(description))
        .build()
}
