//! Reads request bodies, within a limit of size and time for each and a limit of size for all together.

use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut, Payload};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::problem::Problem;

/// The largest body of one submission, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;

/// The bytes of a body that are read and dropped after it is known to be too large, so that a client that writes before
/// it reads receives the response instead of a broken connection.
const MAX_DROPPED_BYTES: usize = 32 << 20;

/// The time for receiving a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The bytes of bodies that a process holds, each from its first byte to its response. What is parsed from a body takes a
/// few times more.
const MAX_HELD_BYTES: usize = 32 << 20;

/// The bytes that count for a request besides its body.
const REQUEST_BYTES: usize = 4 << 10;

/// The bytes of bodies that the process may still hold. Clones share the budget.
#[derive(Clone, Debug)]
pub(crate) struct BodyBudget(Arc<Semaphore>);

impl Default for BodyBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_HELD_BYTES)))
    }
}

/// A whole body. It holds its part of the budget, so it is kept until the response is complete.
#[derive(Debug)]
pub(crate) struct Body {
    /// The bytes.
    pub(crate) bytes: Bytes,
    _budget: OwnedSemaphorePermit,
}

/// Reads the whole body.
///
/// # Errors
/// The body is too large, incomplete or too slow, or exceeds the budget of the process.
pub(crate) async fn read_body(
    request: &HttpRequest,
    payload: Payload,
    budget: &BodyBudget,
) -> Result<Body, Problem> {
    let length = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let announced: Option<usize> = length.and_then(|length| length.parse().ok());
    let held = announced.unwrap_or(MAX_BODY_BYTES).min(MAX_BODY_BYTES) + REQUEST_BYTES;
    let permit = budget.0.clone().try_acquire_many_owned(held as u32);
    let kept = if permit.is_ok() { MAX_BODY_BYTES } else { 0 };
    let body = timeout(
        BODY_TIMEOUT,
        collect(payload, announced.unwrap_or_default(), kept),
    )
    .await;
    let permit = permit.map_err(|_| Problem::Overloaded("the budget for bodies is used up".into()))?;
    let bytes = body.map_err(|_| Problem::BodyTimeout)??;
    Ok(Body {
        bytes,
        _budget: permit,
    })
}

/// Keeps the first bytes of a body and drops the rest.
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
