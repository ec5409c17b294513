//! What holds of every body and batch, whatever its bytes: for `fuzz/` and for the property tests.
#![expect(clippy::expect_used, reason = "it is only compiled to find what breaks")]

use std::sync::LazyLock;

use actix_web::web::Bytes;
use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::{Value, json};
use tonghop_domain::{Catalogue, Fault, Submission};

use crate::problem::Problem;
use crate::request::body::MAX_BODY_BYTES;
use crate::request::json::{self, Unread};
use crate::request::ndjson::{NdjsonLine, lines};
use crate::submissions::figure::FigureBody;
use crate::submissions::parse::read_submission;

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| tonghop_catalogue::built_in().expect("the built-in catalogue has no faults"));

/// Reads a body, and panics when a promise about it is broken. True if it is a sound submission.
pub fn submission(body: &[u8]) -> bool {
    let told: Option<Value> = serde_json::from_slice(body).ok();
    match json::parse(body) {
        Ok(_) => assert!(told.is_some(), "JSON is what serde_json takes"),
        Err(Unread::NotJson { line, column }) => {
            assert!(line > 0 && column > 0);
            let opened = body.iter().filter(|byte| b"[{".contains(byte)).count();
            assert!(told.is_none() || opened > 32, "only depth makes JSON unreadable");
        }
        Err(Unread::TooManyValues) => assert!(body.len() > json::MAX_VALUES),
    }
    match read_submission(body, &CATALOGUE) {
        Ok(read) => {
            assert_is_read_as_it_is_told(&told.expect("it is JSON"), &read);
            true
        }
        Err(Problem::InvalidSubmission(faults)) => {
            assert_lead_somewhere(&told.expect("it is JSON"), &faults);
            false
        }
        Err(Problem::InvalidJson { .. } | Problem::TooManyValues) => false,
        Err(other) => unreachable!("{other:?}"),
    }
}

/// What is told of a submission is read as the same submission.
fn assert_is_read_as_it_is_told(sent: &Value, read: &Submission) {
    let figures: Vec<FigureBody> = read.content.figures.iter().map(FigureBody::from).collect();
    let mut told = json!({
        "form": read.key.form.as_str(), "period": read.key.period.to_string(), "unit": sent["unit"],
        "figures": figures,
    });
    if let Some(note) = &read.content.note {
        told["note"] = json!(note);
    }
    let again = read_submission(told.to_string().as_bytes(), &CATALOGUE).expect("it was sound");
    assert_eq!(
        (again.key, again.content),
        (read.key.clone(), read.content.clone())
    );
}

/// A fault names a place in the body, or what is missing at a place in it.
fn assert_lead_somewhere(sent: &Value, faults: &[Fault]) {
    assert!(!faults.is_empty());
    for fault in faults {
        let parent = fault.pointer.rsplit_once('/').map(|(parent, _)| parent);
        let is_there = sent.pointer(&fault.pointer).is_some();
        // A repeated field may stand within one that serde_json has replaced by a later one.
        let is_missing = parent.is_some_and(|parent| sent.pointer(parent).is_some_and(Value::is_object));
        let repeated = faults
            .iter()
            .any(|fault| matches!(fault.kind, tonghop_domain::FaultKind::RepeatedField(_)));
        assert!(is_there || is_missing || repeated, "{fault:?} of {sent}");
    }
}

/// Cuts a batch that comes in chunks of these sizes, and panics when that depends on them or a line is wrong. The
/// lines that are kept.
pub fn batch(body: &[u8], sizes: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = body;
    let mut chunks = Vec::new();
    for size in sizes {
        let (chunk, after) = rest.split_at(rest.len().min(usize::from(*size)));
        chunks.push(Bytes::copy_from_slice(chunk));
        rest = after;
    }
    chunks.push(Bytes::copy_from_slice(rest));
    let found = cut(chunks);
    assert_eq!(found, cut(vec![Bytes::copy_from_slice(body)]));
    let plain = body
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let expected = (1..).zip(plain).filter(|(_, line)| !line.trim_ascii().is_empty());
    let expected = expected.map(|(number, line)| NdjsonLine {
        number,
        content: (line.len() <= MAX_BODY_BYTES).then(|| Bytes::copy_from_slice(line)),
    });
    assert_eq!(found, expected.collect::<Vec<_>>());
    found
        .into_iter()
        .filter_map(|line| line.content)
        .map(|line| line.to_vec())
        .collect()
}

fn cut(chunks: Vec<Bytes>) -> Vec<NdjsonLine> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let body = iter(chunks.into_iter().map(Ok));
    runtime
        .expect("a runtime can be made")
        .block_on(lines(body).collect())
}
