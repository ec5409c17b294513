//! How far the service reads ahead of what it has answered.
//!
//! A client of HTTP/1.1 may send further requests before it has the answer to the first (RFC 9112, section 9.3.2). The
//! framework would read all that it sends, decode each request, and hold thousands of them for a client that reads no
//! answer. Instead, a connection is read only while its client can be expected to send something: between an answer and the
//! next request, and while the handler of a request waits for more of the body.

use std::cell::{Cell, RefCell};
use std::io::{Error, Result};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::Version;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use actix_web::web::Bytes;
use futures_util::Stream;
use tokio::time::Instant;

use crate::request::body::{MAX_DROPPED_BYTES, drop_body};
use crate::server::framing::{Chunked, Rest};

/// The bytes of a body that are read before its handler asks for more.
const BODY_AHEAD: usize = 16 * 1024;

/// The bytes of an answer that are encoded at once. Further ones follow when the client has accepted these.
const PIECE: usize = 32 * 1024;

/// What a connection and its current request know of each other. Clones share it.
#[derive(Clone)]
pub(crate) struct ReadAhead(Rc<State>);

struct State {
    expected: Cell<Expected>,
    /// The bytes of a body that were passed on together with the head of its request, until the framework has decoded them.
    with_head: Cell<usize>,
    /// When the last request was answered, or the connection was made.
    answered_at: Cell<Instant>,
    /// Whether the connection is closed after the current response.
    closes: Cell<bool>,
    /// Wakes the connection, which waits until it may read.
    reader: Cell<Option<Waker>>,
    /// Wakes the handler, which waits for more of the body.
    handler: Cell<Option<Waker>>,
}

/// What the client can be expected to send next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expected {
    /// The next request.
    #[default]
    Request,
    /// More of a body: so many bytes before its handler asks for more.
    Body { ahead: usize, rest: Rest },
    /// Nothing, until the request is answered.
    Nothing,
    /// At most so many further bytes of a body that no handler reads any more, and then the next request.
    RestOfBody { allowed: usize, rest: Rest },
}

impl ReadAhead {
    pub(crate) fn new() -> Self {
        Self(Rc::new(State {
            expected: Cell::default(),
            with_head: Cell::default(),
            answered_at: Cell::new(Instant::now()),
            closes: Cell::default(),
            reader: Cell::default(),
            handler: Cell::default(),
        }))
    }

    /// Waits until the connection may read.
    ///
    /// # Errors
    /// The client goes on sending a body that was refused, or one that is hardly data.
    pub(crate) fn poll_readable(&self, context: &Context<'_>) -> Poll<Result<()>> {
        self.settle();
        match self.0.expected.get() {
            Expected::Body { rest, .. } | Expected::RestOfBody { rest, .. } if rest.is_wasteful() => {
                Poll::Ready(Err(Error::other("the body is hardly data")))
            }
            Expected::Body { ahead, rest } if rest.is_complete() || ahead == 0 => {
                self.0.reader.set(Some(context.waker().clone()));
                // Perhaps nothing of what was read is for the handler, such as the line before a chunk: then it has nothing to
                // wake for, and would not ask for more.
                if !rest.is_complete()
                    && let Some(handler) = self.0.handler.take()
                {
                    handler.wake();
                }
                Poll::Pending
            }
            Expected::Nothing => {
                self.0.reader.set(Some(context.waker().clone()));
                Poll::Pending
            }
            Expected::RestOfBody { allowed: 0, .. } => {
                Poll::Ready(Err(Error::other("the body is too large")))
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Counts what was passed on together with a head, once its request has begun. The framework decodes it after that.
    fn settle(&self) {
        if let Expected::Body {
            ahead,
            rest: Rest::Bytes(missing),
        } = self.0.expected.get()
        {
            let passed_on = self.0.with_head.take();
            debug_assert!(passed_on <= missing, "more than a body");
            self.0.expected.set(Expected::Body {
                ahead,
                rest: Rest::Bytes(missing.saturating_sub(passed_on)),
            });
        }
    }

    /// Notes that some bytes of a body have been received, and returns how many of them belong to it.
    pub(crate) fn take(&self, received: &[u8]) -> usize {
        let mut expected = self.0.expected.get();
        let taken = match &mut expected {
            Expected::Body { ahead, rest } => {
                let taken = rest.take(received);
                *ahead = ahead.saturating_sub(taken);
                taken
            }
            Expected::RestOfBody { allowed, rest } => {
                let taken = rest.take(received);
                *allowed = allowed.saturating_sub(taken);
                if rest.is_complete() {
                    expected = self.next();
                }
                taken
            }
            Expected::Request | Expected::Nothing => received.len(),
        };
        self.0.expected.set(expected);
        taken
    }

    /// What is expected after a request.
    fn next(&self) -> Expected {
        if self.0.closes.get() {
            Expected::Nothing
        } else {
            Expected::Request
        }
    }

    /// Whether the next bytes are those of a head.
    pub(crate) fn awaits_head(&self) -> bool {
        self.0.expected.get() == Expected::Request
    }

    /// Since when the next request is expected, if it is.
    pub(crate) fn awaits_request(&self) -> Option<Instant> {
        let expected = self.0.expected.get();
        let is_awaited = matches!(expected, Expected::Request | Expected::RestOfBody { .. });
        is_awaited.then(|| self.0.answered_at.get())
    }

    /// Whether nothing is read until the request is answered.
    pub(crate) fn awaits_answer(&self) -> bool {
        match self.0.expected.get() {
            Expected::Body { rest, .. } => rest.is_complete(),
            Expected::Nothing => true,
            Expected::Request | Expected::RestOfBody { .. } => false,
        }
    }

    /// Does not wake the connection when the request is answered: the operating system will, when something arrives.
    pub(crate) fn forget_reader(&self) {
        self.0.reader.take();
    }

    /// Notes that so many bytes of a body were passed on together with the head of its request.
    pub(crate) fn pass_with_head(&self, bytes: usize) {
        self.0.with_head.set(bytes);
    }

    fn ask_for_body(&self, context: &Context<'_>) {
        self.0.handler.set(Some(context.waker().clone()));
        if let Expected::Body { ahead: 0, rest } = self.0.expected.get()
            && !rest.is_complete()
        {
            self.expect(Expected::Body {
                ahead: BODY_AHEAD,
                rest,
            });
        }
    }

    fn expect(&self, expected: Expected) {
        self.0.expected.set(expected);
        if expected != Expected::Nothing
            && let Some(reader) = self.0.reader.take()
        {
            reader.wake();
        }
    }
}

/// A request that is being answered. The next one is read when this is dropped.
pub(crate) struct Exchange {
    read_ahead: Option<ReadAhead>,
    body: Option<Body>,
}

impl Exchange {
    /// Stops reading ahead of a request: at once, or after its body.
    pub(crate) fn begin(request: &mut ServiceRequest) -> Self {
        let read_ahead = request.request().conn_data::<ReadAhead>().cloned();
        let mut body = None;
        if let Some(read_ahead) = &read_ahead {
            match request.take_payload() {
                Payload::None => {
                    debug_assert_eq!(read_ahead.0.with_head.get(), 0, "a request without a body");
                    read_ahead.expect(Expected::Nothing);
                }
                payload => {
                    read_ahead.expect(Expected::Body {
                        ahead: BODY_AHEAD,
                        rest: rest_of(request),
                    });
                    let shared = Body {
                        payload: Rc::new(RefCell::new(payload)),
                        read_ahead: read_ahead.clone(),
                    };
                    body = Some(shared.clone());
                    request.set_payload(Payload::Stream {
                        payload: Box::pin(shared),
                    });
                }
            }
        }
        Self { read_ahead, body }
    }

    /// Receives and drops what its handler has not read of the body, so that a client that writes before it reads gets the
    /// response. Returns false if the client sends too much or too slowly: then the connection must be closed.
    pub(crate) async fn drop_body(&mut self) -> bool {
        let Some(mut body) = self.body.take() else {
            return true;
        };
        let is_acceptable = match body.read_ahead.0.expected.get() {
            Expected::Body {
                rest: Rest::Bytes(missing),
                ..
            } => missing <= MAX_DROPPED_BYTES,
            Expected::Body { rest, .. } => rest != Rest::Endless,
            _ => return true,
        };
        let is_dropped = is_acceptable && drop_body(&mut body).await;
        body.read_ahead.0.closes.set(!is_dropped);
        is_dropped
    }

    /// Whether more of the body is expected. If no handler reads it, the framework closes the connection after the response.
    pub(crate) fn is_body_incomplete(&self) -> bool {
        let expected = self
            .read_ahead
            .as_ref()
            .map(|read_ahead| read_ahead.0.expected.get());
        matches!(expected, Some(Expected::Body { rest, .. }) if !rest.is_complete())
    }

    /// Ends when the response has been sent, except for what fits into buffers.
    pub(crate) fn end_with(mut self, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        // The handler may still read it.
        self.body = None;
        response.map_body(|_, body| match body.try_into_bytes() {
            // The framework encodes it at once.
            Ok(bytes) if bytes.len() <= PIECE => BoxBody::new(bytes),
            Ok(bytes) => Answer::of(BoxBody::new(bytes), self),
            Err(body) => Answer::of(body, self),
        })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(read_ahead) = &self.read_ahead {
            read_ahead.0.answered_at.set(Instant::now());
            read_ahead.settle();
            read_ahead.0.handler.take();
            read_ahead.expect(match read_ahead.0.expected.get() {
                Expected::Body { rest, .. } if !rest.is_complete() => Expected::RestOfBody {
                    allowed: if read_ahead.0.closes.get() {
                        BODY_AHEAD
                    } else {
                        MAX_DROPPED_BYTES
                    },
                    rest,
                },
                _ => read_ahead.next(),
            });
        }
    }
}

/// The body of a request that has one, as the framework delimits it.
fn rest_of(request: &ServiceRequest) -> Rest {
    let headers = request.headers();
    let is = |name, value: &str| {
        let mut fields = headers.get_all(name).filter_map(|field| field.to_str().ok());
        fields.any(|field| field.trim().eq_ignore_ascii_case(value))
    };
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    match length.and_then(|length| length.trim().parse().ok()) {
        _ if request.version() == Version::HTTP_11 && is(TRANSFER_ENCODING, "chunked") => {
            Rest::Chunks(Chunked::new())
        }
        Some(length @ 1..) if !is(UPGRADE, "websocket") => Rest::Bytes(length),
        _ => Rest::Endless,
    }
}

/// The body of a request. Clones share it.
#[derive(Clone)]
struct Body {
    payload: Rc<RefCell<Payload>>,
    read_ahead: ReadAhead,
}

impl Stream for Body {
    type Item = std::result::Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut *self.payload.borrow_mut()).poll_next(context);
        match polled {
            Poll::Pending => self.read_ahead.ask_for_body(context),
            Poll::Ready(None | Some(Err(_))) => self.read_ahead.expect(Expected::Nothing),
            Poll::Ready(Some(Ok(_))) => {}
        }
        polled
    }
}

/// The body of a response, in pieces.
struct Answer {
    body: BoxBody,
    rest: Bytes,
    _exchange: Exchange,
}

impl Answer {
    fn of(body: BoxBody, exchange: Exchange) -> BoxBody {
        BoxBody::new(Self {
            body,
            rest: Bytes::new(),
            _exchange: exchange,
        })
    }
}

impl MessageBody for Answer {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Bytes, Self::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(context)) {
                Some(Ok(bytes)) => self.rest = bytes,
                ended => return Poll::Ready(ended),
            }
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}
