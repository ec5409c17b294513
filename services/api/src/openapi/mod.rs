//! The OpenAPI document: its frame, and what all operations have in common. Each handler documents its own operation.

pub(crate) mod constraints;
pub(crate) mod nullability;
pub(crate) mod operations;
pub(crate) mod problem_responses;
pub(crate) mod public_paths;
pub(crate) mod text_types;

use utoipa::openapi::info::{ContactBuilder, LicenseBuilder};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, ServerBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::openapi::constraints::add_constraints;
use crate::openapi::nullability::remove_null_from_optional;
use crate::openapi::problem_responses::{Denied, Failed, TooMany, Unauthorized, header, problems};
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
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new()
            .url("/")
            .description(Some("This service"))
            .build()]))
        .tags(Some([
            tag(
                "submissions",
                "Reports of units: submit, correct, withdraw and read them.",
            ),
            tag(
                "totals",
                "The totals of units, their contributions and completeness, and their verification.",
            ),
            tag("catalogue", "Units, indicators and forms."),
            tag(
                "keys",
                "Access keys, for administrators: who may access which units.",
            ),
            tag(
                "service",
                "The service itself: health, this document, and problems.",
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
        [&mut item.get, &mut item.post, &mut item.delete].map(|operation| (needs_key, is_limited, operation))
    });
    for (needs_key, is_limited, operation) in operations {
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
        for response in operation.responses.responses.values_mut() {
            if let RefOr::T(response) = response {
                let reference = Ref::new("#/components/headers/X-Request-Id");
                response
                    .headers
                    .insert("X-Request-Id".into(), RefOr::Ref(reference));
            }
        }
        operation.responses.responses.extend(Failed::responses());
    }
}

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
    components.headers.insert(
        "X-Request-Id".into(),
        RefOr::T(header(
            "The id of the request: the one that you sent, or a new one",
        )),
    );
    for (name, response) in problems() {
        components.responses.insert(name.into(), RefOr::T(response));
    }
    components
}
