//! The OpenAPI document: its frame, and what all operations have in common. Each handler documents its own operation.

pub(crate) mod constraints;
pub(crate) mod examples;
pub(crate) mod nullability;
pub(crate) mod operations;
pub(crate) mod problem_responses;
pub(crate) mod public_paths;
pub(crate) mod text_types;

use utoipa::openapi::info::{ContactBuilder, LicenseBuilder};
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required, ServerBuilder,
};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::openapi::constraints::add_constraints;
use crate::openapi::examples::add_examples;
use crate::openapi::nullability::remove_null_from_optional;
use crate::openapi::problem_responses::{
    Denied, Failed, RATE_LIMIT_HEADERS, TooMany, Unauthorized, header, header_reference,
};
use crate::openapi::public_paths::{is_document, is_public};
use crate::problem::body::ProblemBody;

const DESCRIPTION: &str = "\
Collects the reports of district offices, and returns the totals of a province at any moment.

A unit submits figures on a form for a period with `POST /v1/submissions`. `GET /v1/totals` returns the figures of a \
unit and all units below it, the units that have not reported, and the freshness of the total. \
`GET /v1/totals/contributions` returns the contributions to one number. A total contains a report within a fraction of \
a second: `freshness.pending` is 0 when it contains all of them.

Five cases are distinguished everywhere: a number (0 is a number), done without a number, not done, not applicable, and \
not reported.

Every request except those for health and documentation needs an access key: `Authorization: Bearer th_…`. A key gives \
access to its own unit and all units below it, in the tree of the period. Requests for another unit's data get 403.

Errors are problems (RFC 9457), in English, or in Vietnamese with `Accept-Language: vi`. A page at `/problems` describes \
each kind. Unknown fields and query parameters are errors.";

/// The document without its paths.
pub(crate) fn frame() -> OpenApi {
    let tag = |name: &str, description: &str| {
        TagBuilder::new()
            .name(name)
            .description(Some(description))
            .build()
    };
    let info = InfoBuilder::new()
        .title("tonghop")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .contact(Some(ContactBuilder::new().name(Some("tonghop")).build()))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache License 2.0")
                .url(Some("https://www.apache.org/licenses/LICENSE-2.0"))
                .build(),
        ))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new()
            .url("/")
            .description(Some("The service that sent this document."))
            .build()]))
        .tags(Some([
            tag("catalogue", "Units, indicators and forms."),
            tag("changes", "What has changed: page by page, or as it happens."),
            tag(
                "keys",
                "Access keys: your own, and for administrators those of their units.",
            ),
            tag(
                "service",
                "The service itself: health, this document, and problems.",
            ),
            tag(
                "submissions",
                "Reports of units: submit, correct, withdraw and read them.",
            ),
            tag(
                "totals",
                "The totals of units, their contributions and completeness, and their verification.",
            ),
        ]))
        .components(Some(components()))
        .security(Some([bearer()]))
        .build()
}

/// A key in the Authorization header.
fn bearer() -> SecurityRequirement {
    SecurityRequirement::new("key", Vec::<String>::new())
}

/// Completes every operation with what all have in common: the request id in responses, failures, and the access key
/// unless the path is public.
pub(crate) fn complete(document: &mut OpenApi) {
    remove_null_from_optional(document);
    add_constraints(document);
    let items = document.paths.paths.iter_mut();
    let operations = items.flat_map(|(path, item)| {
        let (needs_key, is_limited) = (!is_public(path), !is_public(path) || is_document(path));
        [&mut item.get, &mut item.post, &mut item.delete]
            .map(|operation| (path.as_str(), needs_key, is_limited, operation))
    });
    for (path, needs_key, is_limited, operation) in operations {
        let Some(operation) = operation else { continue };
        if needs_key {
            operation.responses.responses.extend(Unauthorized::responses());
            operation.responses.responses.extend(Denied::responses());
        } else {
            operation.security = Some(Vec::new());
        }
        if is_limited {
            for (status, response) in TooMany::responses() {
                operation.responses.responses.entry(status).or_insert(response);
            }
        }
        let quota: &[&str] = if needs_key { &RATE_LIMIT_HEADERS } else { &[] };
        for response in operation.responses.responses.values_mut() {
            if let RefOr::T(response) = response {
                end_sentence(&mut response.description);
                for name in quota.iter().copied().chain(["X-Request-Id"]) {
                    let reference = RefOr::Ref(header_reference(name));
                    response.headers.insert(name.into(), reference);
                }
            }
        }
        let parameters = operation.parameters.get_or_insert_default();
        for parameter in parameters.iter_mut() {
            if let RefOr::T(parameter) = parameter {
                parameter.description.iter_mut().for_each(end_sentence);
            }
        }
        for (name, _) in REQUEST_HEADERS {
            parameters.push(RefOr::Ref(Ref::new(format!("#/components/parameters/{name}"))));
        }
        operation.responses.responses.extend(Failed::responses());
        add_examples(path, operation, needs_key);
    }
}

/// Ends a description with a full stop.
fn end_sentence(description: &mut String) {
    if !description.ends_with('.') {
        description.push('.');
    }
}

/// The headers that every operation reads, as parameters among the components.
const REQUEST_HEADERS: [(&str, &str); 2] = [
    (
        "Accept-Language",
        "The language of texts: `vi` or `en`, English by default.",
    ),
    (
        "X-Request-Id",
        "An id of your choice for the request: 1 to 64 letters, digits, `.`, `_` and `-`. It is in the response and in the log; any other is replaced.",
    ),
];

fn components() -> Components {
    let mut components = Components::new();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("th_ and 44 letters and digits")
        .description(Some(
            "A key gives access to its own unit and all units below it: a submitter submits and reads, a reader reads, and \
             an administrator also manages keys.",
        ))
        .build();
    components.add_security_scheme("key", SecurityScheme::Http(scheme));
    let mut schemas = vec![(ProblemBody::name().into_owned(), ProblemBody::schema())];
    ProblemBody::schemas(&mut schemas);
    components.schemas.extend(schemas);
    for (name, description) in [
        (
            "X-Request-Id",
            "The id of the request: the one that you sent, or a new one.",
        ),
        ("Retry-After", "The seconds after which to retry."),
        (
            "RateLimit-Policy",
            "The quota of the key: `\"key\";q=200;w=2` is 200 requests in 2 seconds. Only with a key that was admitted, and has a limit.",
        ),
        (
            "RateLimit",
            "The requests left of the quota of the key, and the seconds until all of it is available again: `\"key\";r=150;t=1`. Only with a key that was admitted, and has a limit.",
        ),
    ] {
        components
            .headers
            .insert(name.into(), RefOr::T(header(description)));
    }
    for (name, description) in REQUEST_HEADERS {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build();
        components.parameters.insert(name.into(), RefOr::T(parameter));
    }
    components
}
