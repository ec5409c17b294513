//! `POST /v1/submissions/batch` and `POST /v1/submissions/batch.ndjson`: many submissions in one request, in a list or
//! one per line.

use std::convert::Infallible;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse, post};
use futures_util::FutureExt;
use futures_util::future::ready;
use futures_util::stream::{Stream, StreamExt, iter, once};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonghop_access::{AuthorizedStore, KeyRefusal, RefusedLines, Resource, Share};
use tonghop_domain::{Catalogue, Change, Precondition, Submission, SubmissionId};
use tonghop_storage::Write;
use utoipa::ToSchema;

use crate::middleware::audit::cause;
use crate::openapi::problem_responses::{
    BadRequest, Busy, NotAcceptable, TooLarge, TooSlow, Unavailable, Unprocessable, WrongMedia,
};
use crate::problem::Problem;
use crate::problem::body::{Context, ProblemBody};
use crate::problem::text::localized;
use crate::request::body::{Body, MAX_BODY_BYTES, read_body_up_to};
use crate::request::caller::Authorized;
use crate::request::idempotency::BatchIdempotencyKeyHeader;
use crate::request::media_type::{JSON, NDJSON_NAMES, accepted, check_content_type};
use crate::request::ndjson::{LineError, NdjsonLine, lines};
use crate::request::query::Query;
use crate::submissions::batch_body::{MAX_BATCH_BYTES, NewBatch, numbered, submission_texts};
use crate::submissions::body::SubmissionBody;
use crate::submissions::parse::read_beside;
use crate::submissions::per_key_order::{LINES_IN_FLIGHT, PerKeyOrder};
use crate::submissions::record::record;
use crate::submissions::spool::{Begin, spooled};
use crate::submissions::write_headers::{DryRunQuery, WriteHeaders};

/// The bytes of lines that a batch holds at once, each from its arrival to its result; the longest line fits.
const BYTES_IN_FLIGHT: usize = MAX_BODY_BYTES + 1;

/// The result of one submission of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "line": 2, "status": 400,
    "problem": {
        "type": "/problems/invalid-json", "title": "The body is not JSON", "status": 400,
        "detail": "The body is invalid at line 1, column 2: it is not JSON, or nested more than 32 levels deep.",
        "instance": "/v1/submissions/batch", "code": "invalid-json",
        "request_id": "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11"
    }
}))]
pub(crate) struct BatchResult {
    /// The number of the submission, from 1. In NDJSON, it is the number of the line: blank lines are counted, and have no
    /// result.
    line: u64,
    /// The status that the submission would have got as a request of its own.
    status: u16,
    /// The submission, if it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    submission: Option<SubmissionBody>,
    /// The problem, if it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemBody>,
}

/// The results of a batch in JSON.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it describes the response for the OpenAPI document; the results are sent one by one"
)]
pub(crate) struct BatchResults {
    /// One result per submission, in their order.
    results: Vec<BatchResult>,
}

/// Submit many reports
///
/// The body has up to 1,000 submissions and 8 MiB, and the response has one result per submission, in their order. A
/// submission has at most 1 MiB, and is stored or rejected on its own. Submissions on the same form, period and unit are
/// applied in their order. With the `Idempotency-Key` k, submission n has the key `k/n`.
///
/// A body with `Content-Type: application/x-ndjson` is taken as by `/v1/submissions/batch.ndjson`.
#[utoipa::path(
    tag = "submissions",
    request_body(description = "The submissions", content((NewBatch = "application/json"))),
    params(
        DryRunQuery,
        BatchIdempotencyKeyHeader,
    ),
    responses(
        (status = 200, description = "One result per submission", body = BatchResults),
        BadRequest, NotAcceptable, TooSlow, TooLarge, WrongMedia, Unprocessable, Busy, Unavailable
    )
)]
#[post("/v1/submissions/batch")]
pub(crate) async fn create_submission_batch(
    request: HttpRequest,
    payload: Payload,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    let (mut batch, format) = begin(&request, &store, Format::of)?;
    match format {
        Format::Json => {
            let body = read_body_up_to(MAX_BATCH_BYTES, &request, payload, &store).await?;
            let lines = numbered(submission_texts(&body.bytes)?);
            batch.body = Some(body);
            let results = as_list(results(batch, iter(lines)));
            Ok(response(JSON, results.map(Ok::<_, Infallible>)))
        }
        Format::Ndjson(media_type) => Ok(answer_lines(batch, &request, payload, &store, media_type)),
    }
}

/// Submit any number of reports, one per line
///
/// The body has one submission per line and any number of lines, and the response has one result per line, in their order,
/// while further lines arrive. Otherwise it is a batch like that of `/v1/submissions/batch`.
///
/// A client may send all its lines before it reads, if it announces the `Content-Length` and the results have at most 32
/// MiB. Otherwise it reads while it sends: a connection whose client accepts no bytes for 10 seconds is closed. If the body
/// ends early or no line arrives for a minute, the last result says so, with the status 400 or 408; the lines before it
/// are stored.
#[utoipa::path(
    tag = "submissions",
    request_body(description = "The submissions", content(
        (String = "application/x-ndjson", example = "{\"form\":\"ngay-30-7\",\"period\":\"2021-07\",\"unit\":\"866\",\"figures\":[{\"indicator\":\"TT.PT\",\"value\":63}]}\n{\"form\":\"ngay-30-7\",\"period\":\"2021-07\",\"unit\":\"867\",\"figures\":[{\"indicator\":\"TT.PANO\",\"state\":\"done_no_number\"}]}\n")
    )),
    params(
        DryRunQuery,
        BatchIdempotencyKeyHeader,
    ),
    responses(
        (status = 200, description = "One result per line", content((BatchResult = "application/x-ndjson"))),
        BadRequest, NotAcceptable, WrongMedia, Busy, Unavailable
    )
)]
#[post("/v1/submissions/batch.ndjson")]
pub(crate) async fn create_submission_lines(
    request: HttpRequest,
    payload: Payload,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    let (batch, media_type) = begin(&request, &store, ndjson)?;
    Ok(answer_lines(batch, &request, payload, &store, media_type))
}

/// The response to a batch in NDJSON.
fn answer_lines(
    batch: Batch,
    request: &HttpRequest,
    payload: Payload,
    store: &Authorized,
    media_type: &'static str,
) -> HttpResponse {
    let begin = match request.headers().contains_key(CONTENT_LENGTH) {
        true => Begin::WhenComplete,
        false => Begin::AtOnce,
    };
    let lines = lines(payload, until_invalid(store));
    response(media_type, spooled(results(batch, lines), begin))
}

/// How the submissions and results of a batch are written.
enum Format {
    /// One JSON value.
    Json,
    /// One JSON value per line, under this media type.
    Ndjson(&'static str),
}

impl Format {
    /// The format of the body, in which the results must be acceptable.
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        if check_content_type(headers, NDJSON_NAMES).is_ok() {
            return ndjson(headers).map(Self::Ndjson);
        }
        check_content_type(headers, &[JSON])?;
        accepted(headers, &[JSON]).map(|_| Self::Json)
    }
}

/// The name of the media type of the results, for a body of lines.
fn ndjson(headers: &HeaderMap) -> Result<&'static str, Problem> {
    check_content_type(headers, NDJSON_NAMES)?;
    accepted(headers, NDJSON_NAMES)
}

fn response<E: std::error::Error + 'static>(
    media_type: &'static str,
    results: impl Stream<Item = Result<Bytes, E>> + 'static,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, media_type))
        .insert_header((CACHE_CONTROL, "no-store"))
        // A proxy must pass on each result at once.
        .insert_header(("X-Accel-Buffering", "no"));
    response.streaming(results)
}

/// The results as one JSON value.
fn as_list(results: impl Stream<Item = Bytes>) -> impl Stream<Item = Bytes> {
    let text = |text: &'static str| once(ready(Bytes::from_static(text.as_bytes())));
    let separated = results.enumerate().map(|(at, result)| match at {
        0 => result,
        _ => [b",", result.as_ref()].concat().into(),
    });
    text("{\"results\":[").chain(separated).chain(text("]}\n"))
}

/// Ends when the caller's key becomes invalid.
fn until_invalid(store: &Authorized) -> impl Future<Output = ()> + 'static {
    let store = store.clone();
    async move { drop(store.until_invalid().await) }
}

/// Checks everything but the submissions, and returns the batch with its format. Whoever may not submit gets one problem,
/// not one for each submission.
fn begin<F>(
    request: &HttpRequest,
    store: &Authorized,
    format: fn(&HeaderMap) -> Result<F, Problem>,
) -> Result<(Batch, F), Problem> {
    store.require_submitter()?;
    let mut query = Query::of(request);
    let DryRunQuery { dry_run } = DryRunQuery::read(&mut query);
    query.finish()?;
    let format = format(request.headers())?;
    let headers = WriteHeaders::of(request, store.caller())?;
    if headers.if_match.is_some() || headers.first_only {
        return Err(no_condition());
    }
    let mut share = store.share(Resource::Batches);
    share.take(1)?;
    let batch = Batch {
        _share: share,
        body: None,
        context: Context::of(request),
        store: store.clone(),
        dry_run,
        headers,
        order: PerKeyOrder::default(),
        refused: store.refused_lines(),
    };
    Ok((batch, format))
}

/// The results of lines, in their order.
fn results(mut batch: Batch, lines: impl Stream<Item = NdjsonLine>) -> impl Stream<Item = Bytes> {
    let budget = Arc::new(Semaphore::new(BYTES_IN_FLIGHT));
    let catalogue = batch.store.catalogue().clone();
    lines
        .then(move |line| read(line, budget.clone(), catalogue.clone()))
        .map(move |(read, permit)| batch.begin(read).map(|result| (result, permit)))
        .buffered(LINES_IN_FLIGHT)
        .map(|(result, _permit)| result)
}

fn no_condition() -> Problem {
    Problem::InvalidHeader {
        expected: localized(
            "A batch does not support If-Match and If-None-Match. Send reports that depend on a revision individually.",
            "Gửi theo lô không dùng If-Match hay If-None-Match. Báo cáo nào phụ thuộc phiên bản thì gửi riêng.",
        ),
    }
}

/// A line, and the submission that it contains or what is wrong with it.
struct ParsedLine {
    line: u64,
    submission: Result<(Bytes, Submission), Problem>,
}

/// Waits until the lines before it leave room, then parses a line.
async fn read(
    line: NdjsonLine,
    budget: Arc<Semaphore>,
    catalogue: Arc<Catalogue>,
) -> (ParsedLine, Option<OwnedSemaphorePermit>) {
    let bytes = line.content.as_ref().map_or(0, Bytes::len);
    let permit = budget.acquire_many_owned(bytes as u32).await;
    let submission = match line.content {
        Ok(content) => read_beside(content.clone(), &catalogue)
            .await
            .map(|submission| (content, submission)),
        Err(LineError::TooLong) => Err(Problem::BodyTooLarge),
        Err(LineError::Incomplete) => Err(Problem::BrokenBody),
        Err(LineError::TooSlow) => Err(Problem::BodyTimeout),
        Err(LineError::Stopped) => Err(Problem::InvalidKey(KeyRefusal::Revoked)),
    };
    let line = line.number;
    (ParsedLine { line, submission }, permit.ok())
}

struct Batch {
    _share: Share,
    /// The body of a batch in JSON, which counts for the caller's share until the results are complete.
    body: Option<Body>,
    context: Context,
    store: Authorized,
    dry_run: bool,
    headers: WriteHeaders,
    order: PerKeyOrder,
    refused: RefusedLines,
}

impl Batch {
    /// Queues a line now; the rest happens when the future is polled.
    fn begin(&mut self, ParsedLine { line, submission }: ParsedLine) -> impl Future<Output = Bytes> + use<> {
        let begun = submission.map(|(content, submission)| {
            let key = self.headers.key.as_ref().filter(|_| !self.dry_run);
            let key = key.map(|key| format!("{key}/{line}"));
            let turn = self.order.enqueue(&submission.key);
            (turn, self.change(submission, key, &content))
        });
        let (store, context, dry_run) = (self.store.clone(), self.context.clone(), self.dry_run);
        let refused = self.refused.clone();
        async move {
            let (key, result) = match begun {
                Ok((turn, change)) => {
                    let key = change.key.clone();
                    (Some(key), turn.run(apply(&store, change, dry_run)).await)
                }
                Err(problem) => (None, Err(problem)),
            };
            if let Err(problem) = &result {
                refused
                    .count(key.as_ref(), problem.kind().slug(), cause(problem))
                    .await;
            }
            batch_result(line, result, &context)
        }
    }

    fn change(&self, submission: Submission, key: Option<String>, content: &[u8]) -> Write {
        Write {
            new_id: SubmissionId::generate(),
            key: submission.key,
            change: Change::Report(Arc::new(submission.content)),
            condition: Precondition::None,
            idempotency: self.headers.idempotency(key, content),
            origin: self.store.context().origin().clone(),
            action: self.store.context().action().to_owned(),
        }
    }
}

async fn apply(
    store: &AuthorizedStore,
    change: Write,
    dry_run: bool,
) -> Result<(StatusCode, SubmissionBody), Problem> {
    let recorded = record(store, change, dry_run).await?;
    let aggregated_at = recorded.known_aggregated_at(store).await;
    let mut submission = SubmissionBody::new(&recorded.revision, aggregated_at, store.catalogue())?;
    submission.dry_run = dry_run.then_some(true);
    Ok((recorded.status(dry_run), submission))
}

/// The result of a line.
fn batch_result(
    line: u64,
    result: Result<(StatusCode, SubmissionBody), Problem>,
    context: &Context,
) -> Bytes {
    let result = match result {
        Ok((status, submission)) => BatchResult {
            line,
            status: status.as_u16(),
            submission: Some(submission),
            problem: None,
        },
        Err(problem) => {
            problem.log(&context.request_id, Some(line));
            BatchResult {
                line,
                status: problem.kind().status().as_u16(),
                submission: None,
                problem: Some(context.body(&problem)),
            }
        }
    };
    let mut text = serde_json::to_vec(&result).unwrap_or_default();
    text.push(b'\n');
    Bytes::from(text)
}
