//! What holds of every body, batch and connection, whatever its bytes: for `fuzz/` and for the property tests.
#![expect(clippy::expect_used, reason = "it is only compiled to find what breaks")]

use std::sync::LazyLock;
use std::time::Duration;

use actix_service::{Service, ServiceFactory};
use actix_web::App;
use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::{Bytes, to};
use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::timeout;
use tokio_util::either::Either;
use tonghop_domain::{Catalogue, FieldError, FieldErrorKind, Submission};

use crate::middleware::response::complete_response;
use crate::problem::Problem;
use crate::problem::json_pointer::json_pointer;
use crate::request::body::MAX_BODY_BYTES;
use crate::request::json::{self, BYTE_ORDER_MARK, Unread};
use crate::request::json_number::{is_beyond_floats, number_places};
use crate::request::ndjson::{LineError, NdjsonLine, lines};
use crate::server::connection::Connection;
use crate::server::http;
use crate::submissions::figure::FigureBody;
use crate::submissions::parse::read_submission;

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| tonghop_catalogue::built_in().expect("the built-in catalogue has no errors"));

/// Reads a body, and panics when a promise about it is broken. True if it is a valid submission.
pub fn submission(body: &[u8]) -> bool {
    let plain = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    if number_places(plain).any(|place| is_beyond_floats(&plain[place])) {
        // serde_json, with which the rest compares, rejects such numbers.
        return json::parse(body).is_ok();
    }
    let json: Option<Value> = serde_json::from_slice(plain).ok();
    match json::parse(body) {
        Ok(_) => assert!(json.is_some(), "JSON is what serde_json accepts"),
        Err(Unread::NotJson { line, column }) => {
            assert!(line > 0 && column > 0);
            let opened = body.iter().filter(|byte| b"[{".contains(byte)).count();
            assert!(json.is_none() || opened > 32, "only depth makes JSON unreadable");
        }
        Err(Unread::TooManyValues) => assert!(body.len() > json::MAX_VALUES),
    }
    match read_submission(body, &CATALOGUE) {
        Ok(read) => {
            assert_is_read_as_it_is_rendered(&json.expect("it is JSON"), &read);
            true
        }
        Err(Problem::InvalidSubmission(errors)) => {
            assert_have_places(&json.expect("it is JSON"), &errors);
            false
        }
        Err(Problem::InvalidJson { .. } | Problem::TooManyValues) => false,
        Err(other) => unreachable!("{other:?}"),
    }
}

/// A submission that is rendered is read as the same submission.
fn assert_is_read_as_it_is_rendered(sent: &Value, read: &Submission) {
    let figures: Vec<FigureBody> = read.content.figures.iter().map(FigureBody::from).collect();
    let mut rendered = json!({
        "form": read.key.form.as_str(), "period": read.key.period.to_string(), "unit": sent["unit"],
        "figures": figures,
    });
    if let Some(note) = &read.content.note {
        rendered["note"] = json!(note);
    }
    let again = read_submission(rendered.to_string().as_bytes(), &CATALOGUE).expect("it was valid");
    assert_eq!(
        (again.key, again.content),
        (read.key.clone(), read.content.clone())
    );
}

/// Asserts that each error has a place in the body, or names a field that is missing there.
fn assert_have_places(sent: &Value, errors: &[FieldError]) {
    assert!(!errors.is_empty());
    let has_repeated_field = errors
        .iter()
        .any(|error| matches!(error.kind, FieldErrorKind::RepeatedField(_)));
    for error in errors {
        let pointer = json_pointer(&error.path);
        let parent = pointer.rsplit_once('/').map(|(parent, _)| parent);
        let exists = sent.pointer(&pointer).is_some();
        let is_missing = parent.is_some_and(|parent| sent.pointer(parent).is_some_and(Value::is_object));
        // An error can be within a repeated field whose value serde_json replaced by a later one.
        assert!(exists || is_missing || has_repeated_field, "{error:?} of {sent}");
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
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .map(|line| line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line));
    let expected = (1..).zip(plain).filter(|(_, line)| !line.trim_ascii().is_empty());
    let expected = expected.map(|(number, line)| NdjsonLine {
        number,
        content: if line.len() <= MAX_BODY_BYTES {
            Ok(Bytes::copy_from_slice(line))
        } else {
            Err(LineError::TooLong)
        },
    });
    assert_eq!(found, expected.collect::<Vec<_>>());
    found
        .into_iter()
        .filter_map(|line| line.content.ok())
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
        .block_on(lines(body, std::future::pending()).collect())
}

/// Serves a client that sends these bytes, in pieces of these sizes, and then nothing more. Panics when the service does not
/// end the connection, or when the responses depend on the sizes. The number of responses.
pub fn connection(sent: &[u8], sizes: &[u8]) -> usize {
    let mut rest = sent;
    let mut pieces = Vec::new();
    for size in sizes {
        let (piece, after) = rest.split_at(rest.len().min(usize::from(*size)));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    match (responses(&pieces), responses(&[sent])) {
        (Some(found), Some(at_once)) => {
            assert_eq!(found, at_once);
            found.len()
        }
        _ => 0,
    }
}

/// The responses to a client that sends these pieces, without what differs each time. None if the service closed the
/// connection because of an invalid request while the client was still sending: what was on its way is then lost.
fn responses(pieces: &[&[u8]]) -> Option<Vec<String>> {
    let served = async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let mut client = TcpStream::connect(address).await.expect("it listens");
        let (accepted, _) = listener.accept().await.expect("the client connects");
        let connection = Connection::new(Either::Left(accepted), None, Duration::from_secs(60));
        let app = App::new()
            .default_service(to(async |body: Bytes| format!("{}\n", body.len())))
            .wrap(from_fn(complete_response));
        let stopping = Server::build().graceful_shutdown_signal();
        let service = http(app, &stopping)
            .new_service(())
            .await
            .expect("it needs nothing");
        let serving = async { drop(service.call((connection, None)).await) };
        let mut received = Vec::new();
        let asking = async {
            let mut sent = Ok(());
            for piece in pieces {
                sent = sent.and(client.write_all(piece).await);
                tokio::task::yield_now().await;
            }
            sent = sent.and(client.shutdown().await);
            client.read_to_end(&mut received).await.and(sent)
        };
        let both = timeout(Duration::from_secs(20), async { tokio::join!(serving, asking) });
        let ((), read) = both.await.expect("the service ends the connection");
        read.ok().map(|()| received)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let received = LocalSet::new().block_on(&runtime.expect("a runtime can be made"), served)?;
    let received = String::from_utf8_lossy(&received);
    let differs = |line: &&str| line.starts_with("date: ") || line.starts_with("x-request-id: ");
    let same: Vec<&str> = received.lines().filter(|line| !differs(line)).collect();
    let same = same.join("\n");
    Some(same.split("HTTP/1.").skip(1).map(in_order).collect())
}

/// A response with its fields in order, and without the id of its request at the end of a problem.
fn in_order(response: &str) -> String {
    let (head, body) = response.split_once("\n\n").unwrap_or((response, ""));
    let mut fields: Vec<&str> = head.lines().collect();
    fields.sort_unstable();
    let (body, _) = body.split_once(r#""request_id""#).unwrap_or((body, ""));
    format!("{}\n\n{body}", fields.join("\n"))
}
