//! The examples of the OpenAPI document are what a running demonstration answers.
//!
//! `UPDATE_EXAMPLES=1` writes the answers into `openapi/examples.json`. Build the programs again afterwards, and export the
//! document.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tonghop_tests::http_client;
use uuid::Uuid;

use crate::demo::Demo;
use crate::mask::mask;
use crate::operation::{Operation, Request, operations};

/// Operations whose responses are the document itself.
const DOCUMENTS: [&str; 2] = ["get_openapi", "get_openapi_3_0"];
/// A report whose figures have several errors.
const INVALID_REPORT: &str = r#"{"form":"ngay-30-7","period":"2021-07","unit":"866","figures":[{"indicator":"TT.PT","value":-1},{"indicator":"TT.XYZ","value":1}]}"#;

type Examples = BTreeMap<String, BTreeMap<String, Value>>;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/examples.json")
}

#[tokio::test]
async fn the_document_shows_what_a_demonstration_answers() {
    let demo = Demo::start();
    let reader = Reader {
        client: http_client().build().unwrap(),
        demo,
    };
    let document = reader.document().await;
    let mut answered = Examples::new();
    for operation in operations(&document) {
        let answers = reader.answers(&operation).await;
        let succeeds = answers.keys().any(|status| status.starts_with('2'));
        assert!(
            succeeds || DOCUMENTS.contains(&&*operation.id) || operation.template.starts_with("/problems"),
            "the example of {} was not accepted",
            operation.id
        );
        answered.insert(operation.id, answers);
    }
    let shown: Examples = serde_json::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap();
    if std::env::var("UPDATE_EXAMPLES").is_ok() {
        keep_what_is_right(&mut answered, &shown);
        let text = serde_json::to_string_pretty(&answered).unwrap() + "\n";
        return std::fs::write(file(), text).unwrap();
    }
    for (id, answers) in &answered {
        for (status, answer) in answers {
            let shown = shown.get(id).and_then(|shown| shown.get(status));
            let shown = shown.unwrap_or_else(|| panic!("no example of {id}, {status}: {answer}"));
            assert_eq!(mask(shown), mask(answer), "{id}, {status}");
        }
    }
    let count = |examples: &Examples| examples.values().map(BTreeMap::len).sum::<usize>();
    assert_eq!(count(&shown), count(&answered), "an example is of no answer");
    for operation in operations(&document) {
        for (status, shown) in shown.get(&operation.id).into_iter().flatten() {
            let contents = operation.responses[status]["content"].as_object().unwrap();
            let content = contents.values().next().unwrap();
            assert_eq!(&content["example"], shown, "{}, {status}", operation.id);
        }
    }
}

/// Keeps each example that shows what was answered, so that an update changes only others.
fn keep_what_is_right(answered: &mut Examples, shown: &Examples) {
    for (id, answers) in answered {
        for (status, answer) in answers {
            let shown = shown.get(id).and_then(|shown| shown.get(status));
            if let Some(shown) = shown.filter(|shown| mask(shown) == mask(answer)) {
                answer.clone_from(shown);
            }
        }
    }
}

struct Reader {
    client: Client,
    demo: Demo,
}

impl Reader {
    async fn document(&self) -> Value {
        let address = format!("http://{}/openapi.json", self.demo.address);
        self.client
            .get(address)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// The answers to the example, and to requests like it that are rejected, by status.
    async fn answers(&self, operation: &Operation) -> BTreeMap<String, Value> {
        let mut answers = BTreeMap::new();
        for status in operation.responses.as_object().unwrap().keys() {
            let Some((request, key)) = self.provoking(operation, status) else {
                continue;
            };
            let (got, body) = self.send(operation, &request, key.as_deref()).await;
            if got == *status {
                answers.extend(body.map(|body| (got, body)));
            }
        }
        // The example itself comes last, since it changes what is stored.
        let admin = self.demo.key("ADMIN_KEY");
        for _ in 0..2 {
            let (status, body) = self.send(operation, &operation.request, Some(&admin)).await;
            assert!(status.starts_with('2'), "{}: {status}: {body:?}", operation.id);
            let is_new = !answers.contains_key(&status);
            answers.extend(body.filter(|_| is_new).map(|body| (status, body)));
            if operation.id != "create_submission" {
                break;
            }
        }
        answers
    }

    /// A request that should be rejected with this status, and its key.
    fn provoking(&self, operation: &Operation, status: &str) -> Option<(Request, Option<String>)> {
        let mut request = operation.request.clone();
        let mut key = operation.needs_key.then(|| self.demo.key("ADMIN_KEY"));
        match status {
            "400" => request.query.push(("unknown".into(), "1".into())),
            "401" => key = None,
            "403" if operation.method == "GET" => key = Some(self.demo.key("DISTRICT_KEY")),
            "403" => key = Some(self.demo.key("PROVINCE_KEY")),
            "404" => name_unknown(operation, &mut request),
            "406" => request.set_header("Accept", "image/png"),
            "412" => request.set_header("If-Match", "\"99\""),
            "415" => request.set_header("Content-Type", "text/plain"),
            "422" if operation.id == "create_submission" => request.body = Some(INVALID_REPORT.into()),
            "422" if operation.id == "create_key" => {
                request.body = Some(json!({"role": "submitter", "unit": "999", "label": ""}).to_string());
            }
            "428" => request.headers.retain(|(name, _)| name != "If-Match"),
            _ => return None,
        }
        Some((request, key))
    }

    /// The status of a response, and its body unless it is a page or the document.
    async fn send(
        &self,
        operation: &Operation,
        request: &Request,
        key: Option<&str>,
    ) -> (String, Option<Value>) {
        let address = format!("http://{}{}", self.demo.address, request.path.join("/"));
        let method: Method = operation.method.parse().unwrap();
        let mut sent = self.client.request(method, address).query(&request.query);
        for (name, value) in &request.headers {
            sent = sent.header(name, value);
        }
        if let Some(key) = key {
            sent = sent.bearer_auth(key);
        }
        if let Some(body) = &request.body {
            sent = sent.body(body.clone());
        }
        let response = sent.send().await.unwrap();
        let status = response.status().as_u16().to_string();
        let media_type = response.headers().get("content-type");
        let media_type = media_type.map_or(String::new(), |value| value.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        let body = match media_type {
            _ if text.is_empty() => None,
            _ if status == "200" && DOCUMENTS.contains(&&*operation.id) => None,
            html if html.contains("html") => None,
            // The schema is that of one line.
            ndjson if ndjson.contains("ndjson") => {
                serde_json::from_str(text.lines().next().unwrap()).unwrap()
            }
            stream if stream.contains("event-stream") => Some(Value::String(first_event(&text))),
            json if json.contains("+json") || json.starts_with("application/json") => {
                Some(serde_json::from_str(&text).unwrap())
            }
            _ => Some(Value::String(text)),
        };
        (status, body)
    }
}

/// A stream up to its first event: which of the later ones are of one moment differs from one demonstration to the next.
fn first_event(stream: &str) -> String {
    let parts: Vec<&str> = stream.split_inclusive("\n\n").take(2).collect();
    assert!(parts.concat().contains("data: "), "{stream}");
    parts.concat()
}

/// Names something that does not exist.
fn name_unknown(operation: &Operation, request: &mut Request) {
    let mut parts: Vec<String> = operation.template.split('/').map(str::to_owned).collect();
    let given = &operation.request.path;
    for (at, part) in parts.iter_mut().enumerate() {
        match part.as_str() {
            "{revision}" => *part = "99".into(),
            "{code}" => *part = "unknown".into(),
            "{id}" if operation.template.contains("{revision}") => part.clone_from(&given[at]),
            "{id}" if operation.template.contains("keys") => *part = "AAAAAAAA".into(),
            "{id}" => *part = Uuid::nil().to_string(),
            _ => {}
        }
    }
    request.path = parts;
    for (name, value) in &mut request.query {
        if name == "unit" || name == "parent" {
            *value = "99999".into();
        }
    }
}
