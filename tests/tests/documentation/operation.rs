//! The requests that the OpenAPI document of a service shows as examples.

use serde_json::Value;

/// An operation, and the request that its examples make.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: String,
    /// The path with the names of its parameters.
    pub(crate) template: String,
    pub(crate) request: Request,
    /// The responses by status.
    pub(crate) responses: Value,
    pub(crate) needs_key: bool,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
}

/// The operations of a document; those that change nothing come first, and those that withdraw or revoke come last.
pub(crate) fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (template, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                template: template.clone(),
                request: Request::of(document, template, operation),
                responses: operation["responses"].clone(),
                needs_key: operation["security"].is_null(),
            });
        }
    }
    assert!(operations.len() > 20, "the document has few operations");
    operations.sort_by_key(|operation| ["GET", "POST", "DELETE"].map(|method| method != operation.method));
    operations
}

impl Request {
    fn of(document: &Value, template: &str, operation: &Value) -> Self {
        let mut request = Self {
            path: template.split('/').map(str::to_owned).collect(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
        };
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let example = &parameter["example"];
            if example.is_null() {
                let is_required = parameter["required"] == true;
                assert!(!is_required, "{template}: {parameter} has no example");
                continue;
            }
            let name = parameter["name"].as_str().unwrap();
            let values = match example {
                Value::Array(values) => values.iter().map(text).collect(),
                value => vec![text(value)],
            };
            for value in values {
                match parameter["in"].as_str().unwrap() {
                    "path" => request.set_path(name, &value),
                    "query" => request.query.push((name.to_owned(), value)),
                    "header" => request.headers.push((name.to_owned(), value)),
                    other => panic!("{other}"),
                }
            }
        }
        let contents = operation["requestBody"]["content"].as_object();
        for (media_type, content) in contents.into_iter().flatten() {
            let schema = resolve(document, &content["schema"]);
            let example = [&content["example"], &schema["example"]]
                .into_iter()
                .find(|example| !example.is_null());
            request.body = Some(text(
                example.unwrap_or_else(|| panic!("{template}: the body has no example")),
            ));
            request
                .headers
                .push(("Content-Type".to_owned(), media_type.clone()));
        }
        request
    }

    /// Replaces a parameter of the path.
    pub(crate) fn set_path(&mut self, name: &str, value: &str) {
        let named = format!("{{{name}}}");
        let part = self.path.iter_mut().find(|part| **part == named);
        *part.expect("the path has its parameters") = value.to_owned();
    }

    /// Sets a field of the header.
    pub(crate) fn set_header(&mut self, name: &str, value: &str) {
        self.headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }
}

/// A value as it appears in a path, in a query or in a body.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => schema,
    }
}
