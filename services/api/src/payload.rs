//! Reads the body of a request, bounded in size and time.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::problem::Problem;

/// The largest body of one submission.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;

/// How much of a body that is too large is read and dropped, so that the caller, who writes before reading, sees the
/// answer and not a broken connection.
const MAX_DROPPED_BYTES: usize = 32 << 20;

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The whole body.
pub(crate) async fn read_body(request: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    let length = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let announced: usize = length.and_then(|length| length.parse().ok()).unwrap_or_default();
    match timeout(BODY_TIMEOUT, collect(payload, announced)).await {
        Ok(body) => body,
        Err(_) => Err(Problem::BodyTimeout),
    }
}

async fn collect(mut payload: Payload, announced: usize) -> Result<Bytes, Problem> {
    if announced > MAX_DROPPED_BYTES {
        return Err(Problem::BodyTooLarge);
    }
    let mut body = BytesMut::with_capacity(announced.min(MAX_BODY_BYTES));
    let mut received = 0;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::BrokenBody)?;
        received += chunk.len();
        if received > MAX_DROPPED_BYTES {
            break;
        }
        if received <= MAX_BODY_BYTES {
            body.extend_from_slice(&chunk);
        }
    }
    if received > MAX_BODY_BYTES {
        return Err(Problem::BodyTooLarge);
    }
    Ok(body.freeze())
}
