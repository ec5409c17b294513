//! Reads request bodies, within a limit of size for each, a minimum rate, and the caller's share of memory.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::{Stream, StreamExt};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonghop_access::{AuthorizedStore, Resource, Share};

use crate::problem::Problem;
use crate::request::deadline::Deadline;

/// The largest body of one submission, and of any request but a batch, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;

/// The bytes of a body that are read and dropped after it is known to be too large or refused, so that a client that
/// writes before it reads receives the response instead of a broken connection.
pub(crate) const MAX_DROPPED_BYTES: usize = 32 << 20;

/// The bytes per second of a body that is dropped, so that it does not delay other requests.
const DROPPED_BYTES_PER_SECOND: usize = 8 << 20;

/// The time in which a body must arrive, besides the time that its bytes may take.
const BODY_GRACE: Duration = Duration::from_secs(10);

/// The same for a body that is dropped.
const DROP_GRACE: Duration = Duration::from_secs(2);

/// The longest time for which a body is dropped: then the connection is closed.
const MAX_DROP_TIME: Duration = Duration::from_secs(30);

/// The bytes that count for a request besides its body.
const REQUEST_BYTES: usize = 4 << 10;

/// A whole body. It holds its part of the caller's share, so it is kept until the response is complete.
#[derive(Debug)]
pub(crate) struct Body {
    /// The bytes.
    pub(crate) bytes: Bytes,
    _share: Share,
}

/// Reads the whole body of a request, up to [`MAX_BODY_BYTES`].
///
/// # Errors
/// As for [`read_body_up_to`].
pub(crate) async fn read_body(
    request: &HttpRequest,
    payload: Payload,
    store: &AuthorizedStore,
) -> Result<Body, Problem> {
    read_body_up_to(MAX_BODY_BYTES, request, payload, store).await
}

/// Reads the whole body of a request, up to a size.
///
/// # Errors
/// The body is too large, incomplete or too slow, the caller's share of memory is used up, or the key became invalid
/// meanwhile.
pub(crate) async fn read_body_up_to(
    max_bytes: usize,
    request: &HttpRequest,
    payload: Payload,
    store: &AuthorizedStore,
) -> Result<Body, Problem> {
    let announced = announced(request);
    if announced > max_bytes {
        return Err(Problem::BodyTooLarge);
    }
    let mut share = store.share(Resource::BodyBytes);
    share.take(REQUEST_BYTES)?;
    let body = BytesMut::with_capacity(announced.min(REQUEST_BYTES));
    // The framework decodes a body after its head has been passed to a handler. Most bodies are here then.
    yield_now().await;
    tokio::select! {
        // Then no timer is set, and the key is not watched.
        biased;
        collected = collect(body, max_bytes, payload, &mut share) => {
            Ok(Body { bytes: collected?, _share: share })
        }
        refusal = store.until_invalid() => Err(refusal.into()),
    }
}

/// The length that a request announces.
fn announced(request: &HttpRequest) -> usize {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
    length.unwrap_or_default()
}

async fn collect(
    mut body: BytesMut,
    max_bytes: usize,
    mut payload: Payload,
    share: &mut Share,
) -> Result<Bytes, Problem> {
    let mut deadline = Deadline::new(BODY_GRACE);
    loop {
        let chunk = match timeout_at(deadline.instant(), payload.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(None) => return Ok(body.freeze()),
            Ok(Some(Err(_))) => return Err(Problem::BrokenBody),
            Err(_) => return Err(Problem::BodyTimeout),
        };
        deadline.extend(chunk.len());
        if body.len() + chunk.len() > max_bytes {
            return Err(Problem::BodyTooLarge);
        }
        share.take(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
}

/// Receives and drops the rest of a body, at a limited rate. Returns whether it was received to its end.
pub(crate) async fn drop_body(body: &mut (impl Stream<Item = Result<Bytes, PayloadError>> + Unpin)) -> bool {
    let mut deadline = Deadline::new(DROP_GRACE);
    let (began, mut dropped) = (Instant::now(), 0);
    while dropped <= MAX_DROPPED_BYTES {
        let end = deadline.instant().min(began + MAX_DROP_TIME);
        match timeout_at(end, body.next()).await {
            Ok(Some(Ok(chunk))) => {
                deadline.extend(chunk.len());
                dropped += chunk.len();
            }
            Ok(None) => return true,
            Ok(Some(Err(_))) | Err(_) => return false,
        }
        let pace = Duration::from_secs(1) * dropped as u32 / DROPPED_BYTES_PER_SECOND as u32;
        sleep_until(began + pace).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{iter, repeat};
    use tokio::time::sleep;

    use super::*;

    /// How long a body without an end is received, whose chunks have this size and come after this time each.
    async fn received_for(size: usize, after: Duration) -> Duration {
        let chunks = repeat(Bytes::from(vec![b' '; size])).then(|chunk| async move {
            sleep(after).await;
            Ok(chunk)
        });
        let begun = Instant::now();
        assert!(!drop_body(&mut Box::pin(chunks)).await);
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_body_is_dropped_at_a_limited_rate_and_for_a_limited_time() {
        let fast = received_for(64 << 10, Duration::ZERO).await;
        assert_eq!(fast.as_secs(), 4, "32 MiB at 8 MiB per second: {fast:?}");
        let steady = received_for(8 << 10, Duration::from_secs(1)).await;
        assert_eq!(steady.as_secs(), 30, "faster than the minimum: {steady:?}");
        let slow = received_for(1, Duration::from_millis(100)).await;
        assert_eq!(slow.as_secs(), 2, "slower than the minimum: {slow:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_body_that_ends_in_time_is_received_to_its_end() {
        let begun = Instant::now();
        let chunks = (0..8).map(|_| Ok(Bytes::from(vec![b' '; 1 << 20])));
        assert!(drop_body(&mut iter(chunks)).await);
        assert_eq!(begun.elapsed().as_secs(), 1);
        let broken = [Err(PayloadError::Incomplete(None))];
        assert!(!drop_body(&mut iter(broken)).await);
    }
}
