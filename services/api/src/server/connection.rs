//! A connection to a client.

use std::io::{Error, ErrorKind, Result};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use actix_web::web::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tonghop_access::Share;

use crate::server::framing::{Head, plain_length};
use crate::server::idle::Idle;
use crate::server::patience::Patience;
use crate::server::read_ahead::ReadAhead;

/// The bytes that are received at once while a request is expected. What arrives with its head is held back until the length
/// of its body is known.
const RECEIVED_AT_ONCE: usize = 4 * 1024;

/// The longest head that the framework accepts.
const FRAMEWORK_HEAD_BYTES: usize = 128 * 1024;

/// The most bytes that are taken off the operating system before a connection is closed.
const MAX_DISCARDED: usize = 128 * 1024;

/// The bytes of a connection, plain or encrypted.
pub(crate) type Transport = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// A connection to a client. It reads no further than its [`ReadAhead`] allows, and no next request while the client does not
/// accept what it is sent. It passes on one request at a time: the framework answers several at once wrongly, since it takes
/// the method, the version and the wish to close of the last one for those of all.
pub(crate) struct Connection {
    transport: Transport,
    read_ahead: ReadAhead,
    /// What was received, but not passed on.
    held_back: BytesMut,
    /// The head that is being passed on.
    head: Head,
    /// The bytes that were passed on instead of the rest of a head that is too large.
    filled: usize,
    /// Whether the end of a head was passed on, and the framework has not seen it yet.
    has_head: bool,
    patience: Patience,
    idle: Idle,
    _share: Option<Share>,
}

impl Connection {
    /// A connection that is closed if a request does not begin within `idle_timeout` after the one before was answered.
    pub(crate) fn new(transport: Transport, share: Option<Share>, idle_timeout: Duration) -> Self {
        Self {
            transport,
            read_ahead: ReadAhead::new(),
            held_back: BytesMut::new(),
            head: Head::default(),
            filled: 0,
            has_head: false,
            patience: Patience::new(),
            idle: Idle::new(idle_timeout),
            _share: share,
        }
    }

    /// What the requests of this connection know of it.
    pub(crate) fn read_ahead(&self) -> ReadAhead {
        self.read_ahead.clone()
    }

    /// Fails if no request has begun for too long. The framework itself limits only the time for the first one, and the
    /// time in which a connection is silent: a client could otherwise send half a head and keep the connection.
    fn check_idle(&mut self, context: &mut Context<'_>) -> Result<()> {
        // While a request is answered the timer stays set, since nothing may call this again afterwards.
        if self.idle.is_over(self.read_ahead.awaits_request(), context) {
            return Err(Error::new(ErrorKind::TimedOut, "no request has begun"));
        }
        Ok(())
    }

    /// The number of bytes that can be passed on: up to the end of a head or a body. What arrived of a body together with its
    /// head is passed on with it where that is certainly all that belongs to it: most requests then need one turn, not two.
    fn take(&mut self, received: &[u8]) -> usize {
        if !self.read_ahead.awaits_head() {
            return self.read_ahead.take(received);
        }
        let is_start = self.head.is_empty();
        let (taken, is_complete) = self.head.take(received);
        self.has_head = is_complete;
        if !is_complete {
            return taken;
        }
        let (head, after) = received.split_at(taken);
        let length = plain_length(head).filter(|_| is_start);
        let length = length.map_or(0, |length| length.min(after.len()));
        self.read_ahead.pass_with_head(length);
        taken + length
    }

    /// Passes on what was held back.
    fn pass_on(&mut self, buffer: &mut ReadBuf<'_>) {
        let length = self.held_back.len().min(buffer.remaining());
        let held_back = std::mem::take(&mut self.held_back);
        let passed_on = self.take(&held_back[..length]);
        buffer.put_slice(&held_back[..passed_on]);
        self.held_back = held_back;
        self.held_back.advance(passed_on);
        if self.held_back.is_empty() {
            // Most connections are idle: they keep no memory for it.
            self.held_back = BytesMut::new();
        }
    }

    /// Fails when the client takes too long to accept what it is sent.
    fn limited<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<Result<T>>,
        accepted: impl Fn(&T) -> usize,
    ) -> Poll<Result<T>> {
        match &polled {
            Poll::Pending => self.patience.check(context)?,
            Poll::Ready(Err(_)) => {}
            Poll::Ready(Ok(written)) => {
                if self.patience.accept(accepted(written)) {
                    // Reading goes on.
                    context.waker().wake_by_ref();
                }
            }
        }
        polled
    }

    /// Passes on a filling instead of a head that is too large, and then the end. The framework has a higher limit: when it has
    /// got as much, it responds with 431 and closes the connection.
    fn fill(&mut self, buffer: &mut ReadBuf<'_>) {
        let size = buffer.remaining().min(FRAMEWORK_HEAD_BYTES - self.filled);
        buffer.initialize_unfilled_to(size).fill(b'x');
        buffer.advance(size);
        self.filled += size;
    }

    /// Receives the start of what the client sends next, and holds it back.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut bytes = [MaybeUninit::uninit(); RECEIVED_AT_ONCE];
        let mut received = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut self.transport).poll_read(context, &mut received))?;
        self.held_back.extend_from_slice(received.filled());
        Poll::Ready(Ok(()))
    }

    /// Receives more, and passes on as much as it may.
    fn poll_receive(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if self.read_ahead.awaits_head() {
            ready!(self.poll_next(context))?;
            self.pass_on(buffer);
        } else {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.transport).poll_read(context, buffer))?;
            let passed_on = self.take(&buffer.filled()[before..]);
            self.held_back
                .extend_from_slice(&buffer.filled()[before + passed_on..]);
            buffer.set_filled(before + passed_on);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Connection {
    /// Takes what has arrived off the operating system. If some were left when the connection is closed, the client would get
    /// a reset, and perhaps not the last response (RFC 9112, section 9.6).
    fn drop(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let mut bytes = [0; RECEIVED_AT_ONCE];
        for _ in 0..MAX_DISCARDED / RECEIVED_AT_ONCE {
            let mut received = ReadBuf::new(&mut bytes);
            let polled = Pin::new(&mut self.transport).poll_read(&mut context, &mut received);
            if !matches!(polled, Poll::Ready(Ok(()))) || received.filled().is_empty() {
                return;
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = &mut *self;
        let readable = this.read_ahead.poll_readable(context)?;
        this.check_idle(context)?;
        if readable.is_pending() {
            let has_none = this.read_ahead.awaits_answer() && this.held_back.is_empty();
            let is_plain = matches!(this.transport, Either::Left(_));
            if has_none && is_plain && this.poll_next(context).is_pending() {
                // The operating system wakes the task when something arrives; the end of the request need not. An end and an
                // error are found again, but not those of TLS.
                this.read_ahead.forget_reader();
            }
            return Poll::Pending;
        }
        if this.patience.is_blocked() && this.read_ahead.awaits_request().is_some() {
            // A write that succeeds wakes the task.
            return Poll::Pending;
        }
        if std::mem::take(&mut this.has_head) && this.read_ahead.awaits_head() {
            // The framework looks at the head first.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if this.head.is_too_large() {
            this.fill(buffer);
            return Poll::Ready(Ok(()));
        }
        if this.held_back.is_empty() {
            return this.poll_receive(context, buffer);
        }
        this.pass_on(buffer);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write(context, bytes);
        self.limited(context, written, |accepted| *accepted)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = Pin::new(&mut self.transport).poll_flush(context);
        self.limited(context, flushed, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let shut_down = Pin::new(&mut self.transport).poll_shutdown(context);
        self.limited(context, shut_down, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::runtime::Builder;

    use super::*;

    async fn connected(idle_timeout: Duration) -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let connection = Connection::new(Either::Left(accepted), None, idle_timeout);
        (client, connection)
    }

    /// What the framework gets in each of its turns, until the client has closed the connection.
    async fn turns(connection: &mut Connection, buffer_size: usize) -> Vec<Vec<u8>> {
        let mut turns = vec![Vec::new()];
        loop {
            let mut bytes = vec![0; buffer_size];
            let mut buffer = ReadBuf::new(&mut bytes);
            let mut paused = false;
            poll_fn(|context| {
                let polled = Pin::new(&mut *connection).poll_read(context, &mut buffer);
                paused |= polled.is_pending();
                polled
            })
            .await
            .unwrap();
            if buffer.filled().is_empty() {
                return turns;
            }
            if paused {
                turns.push(Vec::new());
            }
            turns.last_mut().unwrap().extend_from_slice(buffer.filled());
        }
    }

    fn some_lines() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => Just("GET / HTTP/1.1\r\n\r\n".to_owned()),
            2 => Just("GET / HTTP/1.1\n\n".to_owned()),
            1 => "[a-z\r\n]{0,300}",
        ];
        prop::collection::vec(piece, 0..200).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn all_bytes_are_passed_on_and_few_requests_at_once(sent in some_lines(), buffer_size in 1_usize..9_000) {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let turns = runtime.block_on(async {
                let (mut client, mut connection) = connected(Duration::from_secs(60)).await;
                client.write_all(&sent).await.unwrap();
                drop(client);
                turns(&mut connection, buffer_size).await
            });
            for turn in &turns {
                let plain: Vec<u8> = turn.iter().copied().filter(|byte| *byte != b'\r').collect();
                let is_end = |three: &&[u8]| three[0] != b'\n' && three[1..] == *b"\n\n";
                let ends = plain.windows(3).filter(is_end).count();
                prop_assert!(ends <= 1);
            }
            prop_assert_eq!(turns.concat(), sent);
        }
    }

    fn some_requests() -> impl Strategy<Value = Vec<u8>> {
        let head = "Host: x\r\n";
        let request = prop_oneof![
            4 => Just(format!("GET / HTTP/1.1\r\n{head}\r\n")),
            2 => (0_usize..200).prop_map(move |length| {
                let body = "\n".repeat(length);
                format!("POST / HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n{body}")
            }),
            2 => Just(format!("POST / HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n3\r\n\n\n\n\r\n0\r\n\r\n")),
            1 => Just(format!("POST / HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n")),
            1 => Just(format!("GET /livez HTTP/1.1\r\n{head}Content-Length: 3\r\n\r\nabc")),
            1 => Just(format!("HEAD / HTTP/1.1\r\n{head}\r\n")),
            1 => Just(format!("GET / HTTP/1.0\r\n{head}Connection: keep-alive\r\n\r\n")),
            1 => "[a-z\r\n]{0,30}",
        ];
        prop::collection::vec(request, 0..30).prop_map(|requests| requests.concat().into_bytes())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn responses_do_not_depend_on_the_pieces_in_which_requests_arrive(
            sent in some_requests(),
            sizes in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            crate::fuzzing::connection(&sent, &sizes);
        }
    }

    #[tokio::test]
    async fn a_request_that_does_not_begin_in_time_ends_the_connection() {
        let (mut client, mut connection) = connected(Duration::from_millis(50)).await;
        client.write_all(b"GET /livez HT").await.unwrap();
        let mut buffer = [0; 100];
        assert_eq!(connection.read(&mut buffer).await.unwrap(), 13);
        let failed = connection.read(&mut buffer).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn nothing_is_read_while_the_client_does_not_accept_what_it_is_sent() {
        let (mut client, mut connection) = connected(Duration::from_secs(60)).await;
        let answer = vec![b'x'; 1 << 20];
        while poll_fn(|context| Poll::Ready(Pin::new(&mut connection).poll_write(context, &answer)))
            .await
            .is_ready()
        {}
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut bytes = [0; 100];
        let read = poll_fn(|context| {
            let mut buffer = ReadBuf::new(&mut bytes);
            Poll::Ready(Pin::new(&mut connection).poll_read(context, &mut buffer))
        });
        assert!(read.await.is_pending());
        // The client accepts it, and what it sent is read.
        let mut received = vec![0; 16 << 20];
        let accepting = async {
            loop {
                assert!(client.read(&mut received).await.unwrap() > 0);
            }
        };
        let reading = async {
            connection.write_all(b"more").await.unwrap();
            let mut buffer = [0; 100];
            connection.read(&mut buffer).await.unwrap()
        };
        tokio::select! { read = reading => assert_eq!(read, 18), () = accepting => {} }
    }
}
