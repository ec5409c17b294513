//! One connection to RabbitMQ that can always be closed.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::tcp::{AsyncTcpStream, RustlsConnector};
use lapin::types::ShortString;
use lapin::uri::AMQPScheme;
use lapin::{Channel, ConnectionProperties};
use tokio::time::timeout;

use crate::amqp::settings::AmqpSettings;
use crate::outbox_drain::Interrupted;

/// The deadline for connecting, and for each exchange with the broker that prepares or inspects something.
pub(crate) const OPEN_LIMIT: Duration = Duration::from_secs(3);
/// The deadline for closing a connection in the way the protocol asks for.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Why a connection cannot be used any longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error(transparent)]
    Broker(#[from] lapin::Error),
    #[error("the broker did not answer in time")]
    NoAnswer(#[from] tokio::time::error::Elapsed),
    #[error("the connection is closed")]
    Closed,
    #[error("the broker cancelled the consumer")]
    ConsumerCancelled,
    #[error("no aggregator has declared the exchange {0} yet")]
    NoExchange(ShortString),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// One connection to the broker.
///
/// When lapin's connection is dropped, one of its threads closes it and waits for the broker's answer: for ever, if the
/// broker has stopped reading because its memory is full. So dropping this type shuts the socket down as well.
pub(crate) struct Connection {
    connection: lapin::Connection,
    _socket: SocketGuard,
}

impl Connection {
    /// Connects to the broker, which shows the namespace and the role as the connection's name.
    pub(crate) async fn open(settings: &AmqpSettings, role: &str) -> Result<Self, ConnectionError> {
        let guard = SocketGuard::default();
        let socket = Arc::clone(&guard.0);
        let name = format!("{} {role}", settings.namespace());
        let tls_settings = settings.clone();
        let connecting = lapin::Connection::connector(
            settings.uri().clone(),
            lapin::runtime::default_runtime()?,
            async move |uri, runtime| {
                let address = runtime.to_socket_addrs((uri.authority.host.clone(), uri.authority.port));
                let stream = AsyncTcpStream::connect(&runtime, address).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    socket.keep(second_handle(plain.get_ref())?)?;
                }
                match uri.scheme {
                    AMQPScheme::AMQP => Ok(stream),
                    AMQPScheme::AMQPS => {
                        let trust = tls_settings.trust().map_err(io::Error::other)?;
                        let connector = RustlsConnector::from(trust.client_config());
                        Ok(stream.into_rustls(&connector, &uri.authority.host).await?)
                    }
                }
            },
            ConnectionProperties::default().with_connection_name(name.into()),
        );
        let connection = timeout(OPEN_LIMIT, connecting).await??;
        Ok(Self {
            connection,
            _socket: guard,
        })
    }

    pub(crate) async fn channel(&self) -> lapin::Result<Channel> {
        self.connection.create_channel().await
    }

    /// Closes the connection, without the broker's answer if that takes too long.
    pub(crate) async fn close(self) {
        let closing = self.connection.close(200, "OK".into());
        if !matches!(timeout(CLOSE_LIMIT, closing).await, Ok(Ok(()))) {
            tracing::debug!("the broker did not confirm the end of the connection");
        }
    }
}

/// Waits for the broker's answer, at most for [`OPEN_LIMIT`].
pub(crate) async fn within_limit<T>(
    request: impl Future<Output = lapin::Result<T>>,
) -> Result<T, ConnectionError> {
    Ok(timeout(OPEN_LIMIT, request).await??)
}

/// Fails unless an acknowledgement was sent: once the channel is broken, lapin returns `Ok(false)`.
pub(crate) fn ensure_sent(sent: lapin::Result<bool>) -> Result<(), ConnectionError> {
    if sent? {
        Ok(())
    } else {
        Err(ConnectionError::Closed)
    }
}

/// Shuts the socket down when it is dropped, however far connecting has come.
#[derive(Default)]
struct SocketGuard(Arc<Socket>);

impl Drop for SocketGuard {
    fn drop(&mut self) {
        if let State::Open(stream) = std::mem::replace(&mut *self.0.state(), State::Abandoned) {
            // This fails if the other side closed the connection first, which is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A second handle on the socket that lapin's thread reads and writes.
#[derive(Default)]
struct Socket(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Connecting,
    Open(TcpStream),
    Abandoned,
}

impl Socket {
    /// Fails if the connection was abandoned meanwhile.
    fn keep(&self, stream: TcpStream) -> io::Result<()> {
        let mut state = self.state();
        if matches!(*state, State::Abandoned) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        *state = State::Open(stream);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(unix)]
fn second_handle(stream: &impl std::os::fd::AsFd) -> io::Result<TcpStream> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn second_handle(stream: &impl std::os::windows::io::AsSocket) -> io::Result<TcpStream> {
    Ok(stream.as_socket().try_clone_to_owned()?.into())
}
