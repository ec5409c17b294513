//! The OpenAPI document, as far as it is not said beside each handler.

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
use crate::openapi::public_paths::is_public;
use crate::problem::body::ProblemBody;

const DESCRIPTION: &str = "\
Takes the reports of district offices and answers what they add up to for a province, at any moment.

A unit reports figures on a form for a period with `POST /v1/submissions`. `GET /v1/totals` answers the figures of a \
unit with all below it, who has not reported yet, and how fresh the answer is; `GET /v1/totals/contributions` where \
each number comes from. Totals follow a report within a fraction of a second: `freshness.pending` is 0 when nothing \
is on its way.

Five things are kept apart everywhere: a number (0 is one), done without a number, not done, not applicable, and not \
reported.

Every request but those for health and documentation names a key: `Authorization: Bearer th_…`. A key acts on its own \
unit and all below it, in the period that the data is about; what is another's is answered with 403.

Errors are problems as in RFC 9457, with a page about each kind at `/problems`. They are told in English, or in \
Vietnamese with `Accept-Language: vi`. Unknown fields and query parameters are errors.";

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
            tag("submissions", "Reports of units: send, correct, withdraw, read."),
            tag(
                "totals",
                "What the reports add up to, of whom, and whether that is right.",
            ),
            tag(
                "catalogue",
                "Units, indicators and forms: what is agreed before anyone reports.",
            ),
            tag(
                "keys",
                "Access keys, for administrators: who may call, and on whose figures.",
            ),
            tag("service", "The service itself: health, this document, problems."),
        ]))
        .components(Some(components()))
        .security(Some([bearer()]))
        .build()
}

/// A key in the Authorization header.
fn bearer() -> SecurityRequirement {
    SecurityRequirement::new("key", Vec::<String>::new())
}

/// Says of every operation what is true of all: its answers carry the request's id, it can fail, and it needs a key
/// unless it is public.
pub(crate) fn complete(document: &mut OpenApi) {
    remove_null_from_optional(document);
    add_constraints(document);
    let items = document.paths.paths.iter_mut();
    let operations = items.flat_map(|(path, item)| {
        let needs_key = !is_public(path);
        [&mut item.get, &mut item.post, &mut item.delete].map(|operation| (needs_key, operation))
    });
    for (needs_key, operation) in operations {
        let Some(operation) = operation else { continue };
        if needs_key {
            operation.responses.responses.extend(Unauthorized::responses());
            operation.responses.responses.extend(Denied::responses());
            for (status, response) in TooMany::responses() {
                operation.responses.responses.entry(status).or_insert(response);
            }
        } else {
            operation.security = Some(Vec::new());
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
            "A key acts on its own unit and all below it: submitters report and read, readers read, administrators also \
             give out keys.",
        ))
        .build();
    components.add_security_scheme("key", SecurityScheme::Http(scheme));
    let mut schemas = vec![(ProblemBody::name().into_owned(), ProblemBody::schema())];
    ProblemBody::schemas(&mut schemas);
    components.schemas.extend(schemas);
    components.headers.insert(
        "X-Request-Id".into(),
        RefOr::T(header("The id of the request, yours if you sent one")),
    );
    for (name, response) in problems() {
        components.responses.insert(name.into(), RefOr::T(response));
    }
    components
}
