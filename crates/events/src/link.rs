//! One connection to the broker, that can always be ended.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::tcp::{AsyncTcpStream, RustlsConnector};
use lapin::types::ShortString;
use lapin::uri::AMQPScheme;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::time::timeout;

use crate::{AmqpSettings, Interrupted};

/// How long connecting may take, and preparing a channel after that.
pub(crate) const OPEN_LIMIT: Duration = Duration::from_secs(3);
/// How long a polite goodbye may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Why a connection is given up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Broker(#[from] lapin::Error),
    #[error("the broker does not answer")]
    NoAnswer(#[from] tokio::time::error::Elapsed),
    #[error("the connection is gone")]
    Gone,
    #[error("the broker ended the consumer")]
    ConsumerEnded,
    #[error("no aggregator has made the exchange {0} yet")]
    NoExchange(ShortString),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// One connection to the broker.
///
/// Dropping lapin's connection asks the broker for leave and waits for the answer in a thread of its own: for ever,
/// if the broker has stopped reading because its memory is full. So dropping a link shuts the socket down as well.
pub(crate) struct Link {
    connection: Connection,
    _socket: SocketGuard,
}

impl Link {
    pub(crate) async fn open(settings: &AmqpSettings, role: &str) -> Result<Self, Fault> {
        let guard = SocketGuard::default();
        let socket = Arc::clone(&guard.0);
        let name = format!("{} {role}", settings.namespace());
        let asked = settings.clone();
        let connecting = Connection::connector(
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
                        let trust = asked.trust().map_err(io::Error::other)?;
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

    /// Takes leave of the broker, and goes without leave when that takes too long.
    pub(crate) async fn close(self) {
        let leave = self.connection.close(200, "OK".into());
        if !matches!(timeout(CLOSE_LIMIT, leave).await, Ok(Ok(()))) {
            tracing::debug!("left the broker without its leave");
        }
    }
}

/// Shuts the socket down when it is dropped, at whatever point connecting has come to.
#[derive(Default)]
struct SocketGuard(Arc<Socket>);

impl Drop for SocketGuard {
    fn drop(&mut self) {
        if let State::Open(stream) = std::mem::replace(&mut *self.0.state(), State::Abandoned) {
            // It fails when the other side was faster, which is as good.
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
    /// Fails when nobody waits for the connection any longer.
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
