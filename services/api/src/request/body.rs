//! Reads the body of a request, bounded in size and time, and all of them together in size.

use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut, Payload};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::problem::Problem;

/// The largest body of one submission.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;

/// How much of a body that is too large is read and dropped, so that the caller, who writes before reading, sees the
/// answer and not a broken connection.
const MAX_DROPPED_BYTES: usize = 32 << 20;

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes of bodies a process holds, each from its beginning to its answer. What a body is read into takes
/// some times more.
const MAX_HELD_BYTES: usize = 32 << 20;

/// What a request takes besides its body.
const REQUEST_BYTES: usize = 4 << 10;

/// The room for bodies of a process. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct BodyBudget(Arc<Semaphore>);

impl Default for BodyBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_HELD_BYTES)))
    }
}

/// A whole body. Keep it until its request is answered: it keeps the room, too.
#[derive(Debug)]
pub(crate) struct Body {
    /// The bytes.
    pub(crate) bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// The whole body. Refused when there is no room for it.
pub(crate) async fn read_body(
    request: &HttpRequest,
    payload: Payload,
    room: &BodyBudget,
) -> Result<Body, Problem> {
    let length = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let announced: Option<usize> = length.and_then(|length| length.parse().ok());
    let held = announced.unwrap_or(MAX_BODY_BYTES).min(MAX_BODY_BYTES) + REQUEST_BYTES;
    let room = room.0.clone().try_acquire_many_owned(held as u32);
    let kept = if room.is_ok() { MAX_BODY_BYTES } else { 0 };
    let body = timeout(
        BODY_TIMEOUT,
        collect(payload, announced.unwrap_or_default(), kept),
    )
    .await;
    let room = room.map_err(|_| Problem::Overloaded("no room for another body".into()))?;
    let bytes = body.map_err(|_| Problem::BodyTimeout)??;
    Ok(Body { bytes, _room: room })
}

/// Keeps the first bytes and drops the rest.
async fn collect(mut payload: Payload, announced: usize, kept: usize) -> Result<Bytes, Problem> {
    if announced > MAX_DROPPED_BYTES {
        return Err(Problem::BodyTooLarge);
    }
    let mut body = BytesMut::with_capacity(announced.min(kept));
    let mut received = 0;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::BrokenBody)?;
        received += chunk.len();
        if received > MAX_DROPPED_BYTES {
            break;
        }
        if received <= kept {
            body.extend_from_slice(&chunk);
        }
    }
    if received > MAX_BODY_BYTES {
        return Err(Problem::BodyTooLarge);
    }
    Ok(body.freeze())
}
