//! How far the service reads ahead of what it has answered.
//!
//! A client of HTTP/1.1 may send further requests before it has the answer to the first (RFC 9112, section 9.3.2). The
//! framework would read all that it sends, decode each request, and hold thousands of them for a client that reads no
//! answer. Instead, a connection is read only while its client can be expected to send something: between an answer and the
//! next request, and while the handler of a request waits for more of the body.

use std::cell::Cell;
use std::io::{Error, Result};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::Bytes;
use futures_util::Stream;

use crate::request::body::MAX_DROPPED_BYTES;

/// The bytes of a body that are read before its handler asks for more.
const BODY_AHEAD: usize = 32 * 1024;

/// The bytes of an answer that are encoded at once. Further ones follow when the client has accepted these.
const PIECE: usize = 32 * 1024;

/// What a connection and its current request know of each other. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct ReadAhead(Rc<State>);

#[derive(Default)]
struct State {
    expected: Cell<Expected>,
    /// The requests that have been answered.
    answered: Cell<u64>,
    /// Wakes the connection, which waits until it may read.
    reader: Cell<Option<Waker>>,
}

/// What the client can be expected to send next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expected {
    /// The next request.
    #[default]
    Request,
    /// At most so many further bytes of a body before its handler asks for more, and so many until its end, if that is known.
    Body { ahead: usize, left: usize },
    /// Nothing, until the request is answered.
    Nothing,
    /// At most so many further bytes of a body that no handler reads any more, and then the next request.
    RestOfBody(usize),
}

impl ReadAhead {
    /// Waits until the connection may read.
    ///
    /// # Errors
    /// The client goes on sending a body that was refused.
    pub(crate) fn poll_readable(&self, context: &Context<'_>) -> Poll<Result<()>> {
        match self.0.expected.get() {
            Expected::Request
            | Expected::Body {
                ahead: 1..,
                left: 1..,
            }
            | Expected::RestOfBody(1..) => Poll::Ready(Ok(())),
            Expected::RestOfBody(0) => Poll::Ready(Err(Error::other("the body is too large"))),
            Expected::Body { .. } | Expected::Nothing => {
                self.0.reader.set(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }

    /// Lets what was read be handled first: reading goes on in the next turn, or when a handler asks for more of the body.
    pub(crate) fn pause(&self, context: &Context<'_>) {
        match self.0.expected.get() {
            Expected::Request | Expected::RestOfBody(_) => context.waker().wake_by_ref(),
            Expected::Body { left, .. } => {
                self.0.expected.set(Expected::Body { ahead: 0, left });
                self.0.reader.set(Some(context.waker().clone()));
            }
            Expected::Nothing => self.0.reader.set(Some(context.waker().clone())),
        }
    }

    /// The bytes that may be passed on before the end of a body.
    pub(crate) fn allowed(&self) -> usize {
        match self.0.expected.get() {
            Expected::Body { left, .. } => left,
            _ => usize::MAX,
        }
    }

    /// Notes that the connection has read some bytes.
    pub(crate) fn has_read(&self, bytes: usize) {
        self.0.expected.update(|expected| match expected {
            Expected::Body { ahead, left } => Expected::Body {
                ahead: ahead.saturating_sub(bytes),
                left: left.saturating_sub(bytes),
            },
            Expected::RestOfBody(allowed) => Expected::RestOfBody(allowed.saturating_sub(bytes)),
            other => other,
        });
    }

    /// The number of requests that have been answered, if the next one is expected.
    pub(crate) fn awaits_request(&self) -> Option<u64> {
        let is_awaited = matches!(self.0.expected.get(), Expected::Request | Expected::RestOfBody(_));
        is_awaited.then(|| self.0.answered.get())
    }

    fn ask_for_body(&self) {
        if let Expected::Body { left, .. } = self.0.expected.get() {
            self.expect(Expected::Body {
                ahead: BODY_AHEAD,
                left,
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
pub(crate) struct Exchange(Option<ReadAhead>);

impl Exchange {
    /// Stops reading ahead of a request: at once, or after its body.
    pub(crate) fn begin(request: &mut ServiceRequest) -> Self {
        let Some(read_ahead) = request.request().conn_data::<ReadAhead>().cloned() else {
            return Self(None);
        };
        match request.take_payload() {
            Payload::None => read_ahead.expect(Expected::Nothing),
            payload => {
                let length = request.headers().get(CONTENT_LENGTH);
                let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
                read_ahead.expect(Expected::Body {
                    ahead: BODY_AHEAD,
                    left: length.unwrap_or(usize::MAX),
                });
                let body = Body {
                    payload,
                    read_ahead: read_ahead.clone(),
                };
                request.set_payload(Payload::Stream {
                    payload: Box::pin(body),
                });
            }
        }
        Self(Some(read_ahead))
    }

    /// Ends when the response has been sent, except for what fits into buffers.
    pub(crate) fn end_with(self, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        response.map_body(|_, body| {
            BoxBody::new(Answer {
                body,
                rest: Bytes::new(),
                _exchange: self,
            })
        })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(read_ahead) = &self.0 {
            read_ahead.0.answered.update(|answered| answered + 1);
            read_ahead.expect(match read_ahead.0.expected.get() {
                Expected::Body { .. } => Expected::RestOfBody(MAX_DROPPED_BYTES),
                _ => Expected::Request,
            });
        }
    }
}

/// The body of a request.
struct Body {
    payload: Payload,
    read_ahead: ReadAhead,
}

impl Stream for Body {
    type Item = std::result::Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.payload).poll_next(context);
        match polled {
            Poll::Pending => self.read_ahead.ask_for_body(),
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
