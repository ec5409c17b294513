//! Holds the answers to the requests of tests to the OpenAPI document: status, header fields, media type, and body.
//!
//! With `TEST_CONTRACT_LOG`, a file, each answer adds a line with its operation and status; `tests/openapi/coverage`
//! counts them.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};

use crate::answer::Answer;

static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::new);

struct Contract {
    document: Value,
    components_of_chosen_fields: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
    log: Option<File>,
}

/// Fails the test unless the answer to a request is as the document says. Paths and methods that are not in the document are
/// left to their tests.
///
/// # Panics
/// Then.
pub fn check_answer(method: &Method, address: &str, answer: &Answer) {
    let contract = &*CONTRACT;
    let path = address.split('?').next().unwrap_or_default();
    let media_type = answer
        .header("content-type")
        .split(';')
        .next()
        .unwrap_or_default();
    let media_type = if is_ndjson(media_type) { NDJSON } else { media_type };
    let Some(path) = contract.path(path).map(|path| negotiated(path, media_type)) else {
        return;
    };
    let name = if *method == Method::HEAD {
        "get"
    } else {
        &method.as_str().to_lowercase()
    };
    let operation = &contract.document["paths"][path][name];
    if operation.is_null() {
        return;
    }
    let what = format!("{method} {path} {}", answer.status);
    let response = contract.resolve(&operation["responses"][answer.status.to_string()]);
    assert!(
        response.is_object(),
        "{what} is not in the document: {}",
        answer.text
    );
    for name in DECLARED.iter().filter(|name| answer.headers.contains_key(**name)) {
        let is_declared = response["headers"]
            .as_object()
            .is_some_and(|declared| declared.keys().any(|other| other.eq_ignore_ascii_case(name)));
        assert!(is_declared, "{what} does not declare {name}");
    }
    if *method != Method::HEAD {
        let components = match address.contains("fields=") {
            true => Components::OfChosenFields,
            false => Components::Whole,
        };
        contract.check_body(&what, response, (media_type, components), answer);
    }
    let id = operation["operationId"].as_str().unwrap_or_default();
    contract.record(&format!("{id} {}", answer.status));
}

/// Fails the test unless a value is as a schema of the document says.
///
/// # Panics
/// Then.
pub(crate) fn check_value(schema: &str, value: &Value) {
    let contract = &*CONTRACT;
    let reference = json!({"$ref": format!("#/components/schemas/{schema}")});
    let validator = contract.validator(schema, &reference, Components::Whole);
    check(schema, &validator, value);
}

/// Fails unless a value is valid.
fn check(what: &str, validator: &Validator, value: &Value) {
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(
        errors.is_empty(),
        "{what} is not as described: {errors:#?} in {value}"
    );
}

/// Header fields that a response has only if the document says so.
const DECLARED: [&str; 12] = [
    "accept-encoding",
    "content-language",
    "etag",
    "idempotency-replayed",
    "link",
    "location",
    "preference-applied",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "www-authenticate",
    "x-request-id",
];

const NDJSON: &str = "application/x-ndjson";

/// Responses may gain fields, but these do not have any that the document lacks. Schemas that others extend are left open.
fn forbid_other_fields(document: &mut Value) {
    let schemas = &document["components"]["schemas"];
    let extended: Vec<String> = schemas
        .as_object()
        .into_iter()
        .flat_map(|schemas| schemas.values())
        .flat_map(|schema| schema["allOf"].as_array().into_iter().flatten())
        .filter_map(|part| Some(part["$ref"].as_str()?.to_owned()))
        .collect();
    let schemas = document["components"]["schemas"].as_object_mut();
    for (name, schema) in schemas.into_iter().flatten() {
        let is_object = schema.get("properties").is_some() || schema.get("allOf").is_some();
        if is_object && !extended.contains(&format!("#/components/schemas/{name}")) {
            schema["unevaluatedProperties"] = json!(false);
        }
    }
}

/// The schemas to which an answer is held.
#[derive(Clone, Copy, Debug)]
enum Components {
    Whole,
    /// The entries of lists have only the members that the request names.
    OfChosenFields,
}

/// The components of a document in which the entries of lists require no members.
fn of_chosen_fields(document: &Value) -> Value {
    let mut components = document["components"].clone();
    let schemas = components["schemas"].as_object().into_iter().flatten();
    let lists = schemas.filter(|(name, _)| name.ends_with("List"));
    let members = lists.filter_map(|(_, schema)| schema["properties"].as_object());
    let entries: Vec<String> = members
        .flat_map(|members| members.values())
        .filter_map(|member| Some(member["items"]["$ref"].as_str()?.replace("#/components", "")))
        .collect();
    for entry in entries {
        let entry = components.pointer_mut(&entry).and_then(Value::as_object_mut);
        entry.expect("references lead to schemas").remove("required");
    }
    components
}

/// Whether this is one of the names of the media type of one JSON value per line.
fn is_ndjson(media_type: &str) -> bool {
    media_type.contains("jsonl") || media_type.contains("ndjson")
}

/// The path that describes an answer: those without a suffix also negotiate.
fn negotiated<'a>(path: &'a str, media_type: &str) -> &'a str {
    match (path, media_type) {
        ("/v1/submissions/batch", NDJSON) => "/v1/submissions/batch.ndjson",
        ("/v1/totals", "text/csv") => "/v1/totals.csv",
        ("/v1/changes", "text/event-stream") => "/v1/changes/stream",
        _ => path,
    }
}

impl Contract {
    fn new() -> Self {
        let mut document: Value =
            serde_json::from_str(&tonghop_api::openapi_json()).expect("the document is JSON");
        forbid_other_fields(&mut document);
        let log = std::env::var_os("TEST_CONTRACT_LOG").map(|path| {
            let file = File::options().create(true).append(true).open(path);
            file.expect("the log can be written")
        });
        Self {
            components_of_chosen_fields: of_chosen_fields(&document),
            document,
            validators: Mutex::default(),
            log,
        }
    }

    /// Fails unless the body is as described.
    fn check_body(
        &self,
        what: &str,
        response: &Value,
        (media_type, components): (&str, Components),
        answer: &Answer,
    ) {
        let Some(content) = response.get("content") else {
            assert_eq!(answer.text, "", "{what} has no body");
            return;
        };
        let described = &content[media_type];
        assert!(described.is_object(), "{what} has no {media_type:?}");
        let values: Vec<&str> = match media_type {
            NDJSON => answer.text.lines().collect(),
            _ if media_type.ends_with("json") => vec![&answer.text],
            _ => return,
        };
        let name = format!("{what} {media_type} {components:?}");
        let validator = self.validator(&name, &described["schema"], components);
        for text in values {
            let value: Value =
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{what}: {error}: {text}"));
            check(what, &validator, &value);
        }
    }

    /// The path of the document that an address has; a fixed one before one with a variable.
    fn path(&self, address: &str) -> Option<&str> {
        let paths = self.document["paths"].as_object()?;
        if let Some((path, _)) = paths.get_key_value(address) {
            return Some(path);
        }
        let matches = |path: &str| {
            let (wanted, given) = (path.split('/'), address.split('/'));
            wanted.clone().count() == given.clone().count()
                && wanted
                    .zip(given)
                    .all(|(wanted, given)| wanted == given || (wanted.starts_with('{') && !given.is_empty()))
        };
        paths.keys().map(String::as_str).find(|path| matches(path))
    }

    /// What a reference means; other values mean themselves.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let pointer = value["$ref"]
            .as_str()
            .and_then(|reference| reference.strip_prefix('#'));
        pointer.map_or(value, |pointer| {
            self.document.pointer(pointer).expect("references lead somewhere")
        })
    }

    fn validator(&self, name: &str, schema: &Value, components: Components) -> Arc<Validator> {
        let mut validators = self.validators.lock().expect("nobody panics with the lock");
        let made = validators.entry(name.to_owned()).or_insert_with(|| {
            // References lead into the components.
            let components = match components {
                Components::Whole => &self.document["components"],
                Components::OfChosenFields => &self.components_of_chosen_fields,
            };
            let whole = json!({"allOf": [schema], "components": components});
            let validator = jsonschema::draft202012::options()
                .should_validate_formats(true)
                .build(&whole);
            Arc::new(validator.unwrap_or_else(|error| panic!("{name}: {error}")))
        });
        made.clone()
    }

    fn record(&self, line: &str) {
        if let Some(mut log) = self.log.as_ref() {
            log.write_all(format!("{line}\n").as_bytes())
                .expect("the log can be written");
        }
    }
}
