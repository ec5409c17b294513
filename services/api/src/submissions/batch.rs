//! `POST /v1/submissions/batch`: many submissions in one request, one per line, answered line by line as they arrive.

use std::convert::Infallible;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse, post};
use futures_util::{FutureExt, Stream, StreamExt};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonghop_access::{AuthorizedStore, KeyRefusal, RefusedLines, Resource, Share};
use tonghop_domain::{Catalogue, Change, Precondition, Submission};
use tonghop_storage::Write;
use utoipa::ToSchema;

use crate::middleware::audit::cause;
use crate::openapi::problem_responses::{BadRequest, Busy, NotAcceptable, Unavailable, WrongMedia};
use crate::problem::Problem;
use crate::problem::body::{Context, ProblemBody};
use crate::problem::text::localized;
use crate::request::body::{MAX_BODY_BYTES, drop_body};
use crate::request::caller::Authorized;
use crate::request::idempotency::BatchIdempotencyKeyHeader;
use crate::request::media_type::{NDJSON_NAMES, accepted, check_content_type};
use crate::request::ndjson::{LineError, NdjsonLine, lines};
use crate::request::query::Query;
use crate::submissions::body::SubmissionBody;
use crate::submissions::parse::read_beside;
use crate::submissions::per_key_order::{LINES_IN_FLIGHT, PerKeyOrder};
use crate::submissions::record::record;
use crate::submissions::write_headers::{DryRunQuery, WriteHeaders};

/// The bytes of lines that a batch holds at once, each from its arrival to its result; the longest line fits.
const BYTES_IN_FLIGHT: usize = MAX_BODY_BYTES + 1;
/// The result of one line of a batch.
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
    /// The number of the line, from 1. Blank lines are counted, and have no result.
    line: u64,
    /// The status that the line would have got as a request of its own.
    status: u16,
    /// The submission, if it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    submission: Option<SubmissionBody>,
    /// The problem, if it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemBody>,
}

/// Submit many reports
///
/// The body has one submission per line, of at most 1 MiB each, and any number of lines. The response has one result per
/// line, in the same order, while further lines arrive. Read the response while you send: the service reads no more lines
/// than it can answer. Each line is stored or rejected on its own. Lines on the same form, period and unit are applied in
/// their order. If the body ends early or no line arrives for a minute, the last result says so, with the status 400 or 408;
/// the lines before it are stored. With the `Idempotency-Key` k,
/// line n has the key `k/n`.
#[utoipa::path(
    tag = "submissions",
    request_body(content = String, content_type = "application/x-ndjson", description = "One submission per line", example = "{\"form\":\"ngay-30-7\",\"period\":\"2021-07\",\"unit\":\"866\",\"figures\":[{\"indicator\":\"TT.PT\",\"value\":63}]}\n{\"form\":\"ngay-30-7\",\"period\":\"2021-07\",\"unit\":\"867\",\"figures\":[{\"indicator\":\"TT.PANO\",\"state\":\"done_no_number\"}]}\n"),
    params(
        DryRunQuery,
        BatchIdempotencyKeyHeader,
    ),
    responses(
        (status = 200, description = "One result per line", body = BatchResult, content_type = "application/x-ndjson"),
        BadRequest, NotAcceptable, WrongMedia, Busy, Unavailable
    )
)]
#[post("/v1/submissions/batch")]
pub(crate) async fn create_submission_batch(
    request: HttpRequest,
    payload: Payload,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    let (batch, media_type) = match begin(&request, &store) {
        Ok(begun) => begun,
        Err(problem) => return Err(drop_body(payload, &store, problem).await),
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, media_type))
        .insert_header((CACHE_CONTROL, "no-store"));
    Ok(response.streaming(results(batch, payload).map(Ok::<Bytes, Infallible>)))
}

/// Checks everything but the lines, and returns the batch with the media type of its results. Whoever may not submit gets
/// one problem, not one for each line.
fn begin(request: &HttpRequest, store: &Authorized) -> Result<(Batch, &'static str), Problem> {
    store.require_submitter()?;
    let mut query = Query::of(request);
    let DryRunQuery { dry_run } = DryRunQuery::read(&mut query);
    query.finish()?;
    let media_type = accepted(request.headers(), NDJSON_NAMES)?;
    check_content_type(request.headers(), NDJSON_NAMES)?;
    let headers = WriteHeaders::of(request, store.caller())?;
    if headers.if_match.is_some() || headers.first_only {
        return Err(no_condition());
    }
    let mut share = store.share(Resource::Batches);
    share.take(1)?;
    let batch = Batch {
        _share: share,
        context: Context::of(request),
        store: store.clone(),
        dry_run,
        headers,
        order: PerKeyOrder::default(),
        refused: store.refused_lines(),
    };
    Ok((batch, media_type))
}

/// The results of the lines of a body, in their order.
fn results(mut batch: Batch, payload: Payload) -> impl Stream<Item = Bytes> {
    let budget = Arc::new(Semaphore::new(BYTES_IN_FLIGHT));
    let catalogue = batch.store.catalogue().clone();
    let store = batch.store.clone();
    let until_invalid = async move { drop(store.until_invalid().await) };
    lines(payload, until_invalid)
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
                refused.count(key.as_ref(), problem.kind().slug(), cause(problem));
            }
            batch_result(line, result, &context)
        }
    }

    fn change(&self, submission: Submission, key: Option<String>, content: &[u8]) -> Write {
        Write {
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
