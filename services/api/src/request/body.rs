//! Reads request bodies, within a limit of size for each, a minimum rate, and the caller's share of memory.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonghop_access::{AuthorizedStore, Refusal, Resource, Share};

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

/// The bytes that count for a request besides its body.
const REQUEST_BYTES: usize = 4 << 10;

/// A whole body. It holds its part of the caller's share, so it is kept until the response is complete.
#[derive(Debug)]
pub(crate) struct Body {
    /// The bytes.
    pub(crate) bytes: Bytes,
    _share: Share,
}

/// Reads the whole body of a request that is allowed, up to [`MAX_BODY_BYTES`]. Without permission, drops the body.
///
/// # Errors
/// As for [`read_body_up_to`].
pub(crate) async fn read_body(
    request: &HttpRequest,
    payload: Payload,
    store: &AuthorizedStore,
    allowed: Result<(), Refusal>,
) -> Result<Body, Problem> {
    read_body_up_to(MAX_BODY_BYTES, request, payload, store, allowed).await
}

/// Reads the whole body of a request that is allowed, up to a size. Without permission, drops the body.
///
/// # Errors
/// The request is not allowed, the body is too large, incomplete or too slow, the caller's share of memory is used up,
/// or the key became invalid meanwhile.
pub(crate) async fn read_body_up_to(
    max_bytes: usize,
    request: &HttpRequest,
    mut payload: Payload,
    store: &AuthorizedStore,
    allowed: Result<(), Refusal>,
) -> Result<Body, Problem> {
    let mut collector = Collector {
        body: BytesMut::new(),
        received: 0,
        max_bytes,
        share: store.share(Resource::BodyBytes),
        refusal: allowed.map_err(Problem::from).err(),
    };
    if collector.refusal.is_none() {
        let announced = announced(request);
        collector.take(REQUEST_BYTES);
        collector.body.reserve(announced.min(REQUEST_BYTES));
        if announced > MAX_DROPPED_BYTES {
            return Err(Problem::BodyTooLarge);
        }
    }
    tokio::select! {
        () = collector.collect(&mut payload) => {}
        refusal = store.until_invalid() => return Err(refusal.into()),
    }
    collector.finish()
}

/// Drops the body of a request that is refused, and returns the refusal.
pub(crate) async fn drop_body(mut payload: Payload, store: &AuthorizedStore, refusal: Problem) -> Problem {
    let mut collector = Collector {
        body: BytesMut::new(),
        received: 0,
        max_bytes: 0,
        share: store.share(Resource::BodyBytes),
        refusal: Some(refusal),
    };
    collector.collect(&mut payload).await;
    collector.finish().err().unwrap_or(Problem::BrokenBody)
}

/// The length that a request announces.
fn announced(request: &HttpRequest) -> usize {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
    length.unwrap_or_default()
}

/// Keeps a body, unless there is a reason to drop it.
struct Collector {
    body: BytesMut,
    received: usize,
    max_bytes: usize,
    share: Share,
    refusal: Option<Problem>,
}

impl Collector {
    /// Counts bytes against the caller's share.
    fn take(&mut self, bytes: usize) {
        if self.refusal.is_none()
            && let Err(refusal) = self.share.take(bytes)
        {
            self.refuse(refusal.into());
        }
    }

    /// Receives the body. What goes wrong is the refusal, unless there is one already.
    async fn collect(&mut self, payload: &mut Payload) {
        let grace = if self.refusal.is_none() {
            BODY_GRACE
        } else {
            DROP_GRACE
        };
        let mut deadline = Deadline::new(grace);
        let (began, mut dropped) = (Instant::now(), 0);
        while self.received <= MAX_DROPPED_BYTES {
            let chunk = match timeout_at(deadline.instant(), payload.next()).await {
                Ok(Some(Ok(chunk))) => chunk,
                Ok(None) => return,
                Ok(Some(Err(_))) => return self.refuse(Problem::BrokenBody),
                Err(_) => return self.refuse(Problem::BodyTimeout),
            };
            deadline.extend(chunk.len());
            self.received += chunk.len();
            if self.received > self.max_bytes {
                self.refuse(Problem::BodyTooLarge);
            }
            self.take(chunk.len());
            if self.refusal.is_none() {
                self.body.extend_from_slice(&chunk);
            } else {
                dropped += chunk.len();
                sleep_until(
                    began + Duration::from_secs(1) * dropped as u32 / DROPPED_BYTES_PER_SECOND as u32,
                )
                .await;
            }
        }
    }

    fn refuse(&mut self, problem: Problem) {
        self.body = BytesMut::new();
        self.refusal.get_or_insert(problem);
    }

    fn finish(self) -> Result<Body, Problem> {
        match self.refusal {
            Some(problem) => Err(problem),
            None => Ok(Body {
                bytes: self.body.freeze(),
                _share: self.share,
            }),
        }
    }
}
