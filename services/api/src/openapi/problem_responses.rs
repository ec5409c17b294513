//! Problem responses, each a type that handlers name among their responses.

use std::collections::BTreeMap;
use utoipa::ToSchema;

use serde_json::json;
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

        pub(crate) fn problems() -> Vec<(&'static str, Response)> {
            vec![$((stringify!($name), response(&[$(ProblemKind::$code),+]))),*]
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

/// A problem response: the meaning of its codes, and an example of the first.
pub(crate) fn response(codes: &[ProblemKind]) -> Response {
    let line = |code: &ProblemKind| format!("`{}`: {}.", code.slug(), code.title().get(Language::En));
    let described: Vec<String> = codes.iter().map(line).collect();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemBody::name())));
    let example = codes.first().map(|code| {
        json!({
            "type": format!("/problems/{}", code.slug()),
            "title": code.title().get(Language::En),
            "status": code.status().as_u16(),
            "detail": code.help().get(Language::En),
            "instance": "/v1/submissions",
            "code": code.slug(),
            "request_id": "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11",
        })
    });
    let mut response = ResponseBuilder::new()
        .description(described.join(" "))
        .content(PROBLEM_JSON, content.example(example).build())
        .header_ref("X-Request-Id", Ref::new("#/components/headers/X-Request-Id"))
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
    if codes
        .iter()
        .any(|code| matches!(code.status().as_u16(), 429 | 503))
    {
        response = response.header("Retry-After", header("The seconds after which to retry"));
    }
    response.build()
}

pub(crate) fn header(description: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    HeaderBuilder::new()
        .schema(Some(text))
        .description(Some(description))
        .build()
}
