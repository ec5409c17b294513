//! Examples of responses: those of a running demonstration, which a test compares with this file and can write again.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::{Ref, RefOr};

use crate::openapi::problem_responses::{kinds_of, response};
use crate::problem::body::Context;
use crate::problem::kind::ProblemKind;
use crate::problem::text::Language;

/// The responses by operation and status.
const EXAMPLES: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../openapi/examples.json"
));

type Examples = BTreeMap<String, BTreeMap<String, Value>>;

/// The text is compiled into the program; a test reads it.
static BY_OPERATION: LazyLock<Examples> =
    LazyLock::new(|| serde_json::from_str(EXAMPLES).unwrap_or_default());

/// The problems that only requests with a body can have.
const OF_BODIES: [ProblemKind; 3] = [
    ProblemKind::InvalidJson,
    ProblemKind::BrokenBody,
    ProblemKind::InvalidSubmission,
];

/// Gives each response of an operation its example, and each problem response the codes that the operation can have.
pub(crate) fn add_examples(path: &str, operation: &mut Operation, has_quota: bool) {
    let id = operation.operation_id.clone().unwrap_or_default();
    let examples = BY_OPERATION.get(&id);
    let instance = example_path(path, operation.parameters.as_deref().unwrap_or_default());
    let has_body = operation.request_body.is_some();
    for (status, of_status) in &mut operation.responses.responses {
        let example = examples.and_then(|examples| examples.get(status)).cloned();
        match of_status {
            RefOr::T(response) => {
                // A response has one media type, if it has a body.
                if let (Some(RefOr::T(content)), Some(example)) =
                    (response.content.values_mut().next(), example)
                {
                    content.example = Some(example);
                }
            }
            RefOr::Ref(Ref { ref_location, .. }) => {
                let name = ref_location.rsplit('/').next().unwrap_or_default();
                let kinds = kinds_of(name).iter().copied();
                let kinds: Vec<ProblemKind> = kinds
                    .filter(|kind| has_body || !OF_BODIES.contains(kind))
                    .collect();
                let example = example.or_else(|| kinds.first().map(|kind| example_problem(*kind, &instance)));
                *of_status = RefOr::T(response(&kinds, has_quota, example));
            }
        }
    }
}

/// A problem that the demonstration does not have, such as a fault of the service.
fn example_problem(kind: ProblemKind, instance: &str) -> Value {
    let context = Context {
        request_id: "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11".to_owned(),
        language: Language::En,
        instance: instance.to_owned(),
    };
    serde_json::to_value(context.example(kind)).unwrap_or_default()
}

/// The path with the examples of its parameters.
fn example_path(path: &str, parameters: &[RefOr<Parameter>]) -> String {
    let mut path = path.to_owned();
    for parameter in parameters {
        let RefOr::T(parameter) = parameter else { continue };
        if parameter.parameter_in != ParameterIn::Path {
            continue;
        }
        // Only its JSON shows the example of a parameter.
        let shown = serde_json::to_value(parameter).unwrap_or_default();
        let example = match &shown["example"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        path = path.replace(&format!("{{{}}}", parameter.name), &example);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_can_be_read() {
        let examples: Examples = serde_json::from_str(EXAMPLES).unwrap();
        assert_eq!(examples, *BY_OPERATION);
        assert!(examples.len() > 20);
    }
}
