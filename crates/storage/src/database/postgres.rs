//! Connections to PostgreSQL that remember the SQLSTATE of the last error.
//!
//! A server translates its messages (`lc_messages`), so errors are classified by SQLSTATE. diesel-async has a kind for
//! a few of them and returns only the message of all others, such as a lock timeout. Therefore the stream under a
//! connection reads along and keeps the SQLSTATE of each error that the server reports.

use std::error::Error;
use std::io;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, RecycleError, RecycleResult};
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::database::sqlstate::{LastError, Scanner};
use crate::database::url::PostgresUrl;

/// The message that requests TLS: its length, and a number in place of a protocol version.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// The most time to connect to one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The most time to connect to a server: to every address, with TLS and authentication.
const ESTABLISH_TIMEOUT: Duration = Duration::from_secs(15);
/// The most time that sent data may be unacknowledged, or that a peer may be silent, before its life is in doubt.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// A connection to PostgreSQL.
pub(crate) struct PgConnection {
    connection: AsyncPgConnection,
    last_error: LastError,
}

impl PgConnection {
    /// Connects. A silent peer is noticed within seconds; only the statements in `settings` may wait, for instance for a
    /// lock.
    pub(crate) async fn establish(url: &PostgresUrl, settings: &str) -> ConnectionResult<Self> {
        let mut config = url.config();
        config.connect_timeout(CONNECT_TIMEOUT);
        config.tcp_user_timeout(KEEPALIVE);
        config.keepalives_idle(KEEPALIVE);
        config.application_name("tonghop");
        let trust = url.trust();
        let trust = trust.map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
        let last_error = LastError::default();
        let connector = Connector {
            tls: MakeRustlsConnect::new(trust.client_config()),
            mode: config.get_ssl_mode(),
            last_error: last_error.clone(),
        };
        // The connector negotiates TLS itself, so that it sees the stream whether it is encrypted or not.
        config.ssl_mode(SslMode::Require);
        config.ssl_negotiation(SslNegotiation::Direct);
        let connecting = timeout(ESTABLISH_TIMEOUT, connect(&config, connector)).await;
        let mut connection = connecting.map_err(|_| {
            ConnectionError::BadConnection("the server accepts the connection and does not answer".to_owned())
        })??;
        connection
            .batch_execute(settings)
            .await
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(Self {
            connection,
            last_error,
        })
    }

    /// The last error on this connection.
    pub(crate) fn last_error(&self) -> &LastError {
        &self.last_error
    }

    pub(crate) fn into_inner(self) -> AsyncPgConnection {
        self.connection
    }
}

impl Deref for PgConnection {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.connection
    }
}

impl DerefMut for PgConnection {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.connection
    }
}

async fn connect(
    config: &tokio_postgres::Config,
    mut connector: Connector,
) -> ConnectionResult<AsyncPgConnection> {
    let bad = |error: tokio_postgres::Error| ConnectionError::BadConnection(message_with_cause(&error));
    #[cfg(unix)]
    if let Some(Host::Unix(folder)) = config.get_hosts().first() {
        let cannot = |error: io::Error| ConnectionError::BadConnection(error.to_string());
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let path = folder.join(format!(".s.PGSQL.{port}"));
        let stream = UnixStream::connect(path).await.map_err(cannot)?;
        // PostgreSQL has no TLS on Unix sockets.
        connector.mode = SslMode::Disable;
        let negotiation =
            MakeTlsConnect::<UnixStream>::make_tls_connect(&mut connector, "localhost").map_err(cannot)?;
        let (client, connection) = config.connect_raw(stream, negotiation).await.map_err(bad)?;
        tokio::spawn(connection);
        return AsyncPgConnection::try_from(client).await;
    }
    let (client, connection) = config.connect(connector).await.map_err(bad)?;
    AsyncPgConnection::try_from_client_and_connection(client, connection).await
}

/// The error with its cause, since the error alone says only "db error".
fn message_with_cause(error: &tokio_postgres::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

/// Turns a socket into a stream, encrypted or not, as the URL and the server require.
#[derive(Clone)]
struct Connector {
    tls: MakeRustlsConnect,
    mode: SslMode,
    last_error: LastError,
}

/// A [`Connector`] for one server.
struct Negotiation<T> {
    tls: T,
    mode: SslMode,
    last_error: LastError,
}

type RustlsConnect<S> = <MakeRustlsConnect as MakeTlsConnect<S>>::TlsConnect;
type RustlsStream<S> = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Connector {
    type Stream = PgStream<S, RustlsStream<S>>;
    type TlsConnect = Negotiation<RustlsConnect<S>>;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Self::TlsConnect> {
        Ok(Negotiation {
            tls: MakeTlsConnect::<S>::make_tls_connect(&mut self.tls, domain).map_err(io::Error::other)?,
            mode: self.mode,
            last_error: self.last_error.clone(),
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Negotiation<RustlsConnect<S>> {
    type Stream = PgStream<S, RustlsStream<S>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Stream>>;

    fn connect(self, mut stream: S) -> Self::Future {
        let negotiate = async move {
            let encrypts = self.mode != SslMode::Disable && {
                stream.write_all(&SSL_REQUEST).await?;
                stream.read_u8().await? == b'S'
            };
            let wire = if encrypts {
                Wire::Encrypted(Box::new(self.tls.connect(stream).await?))
            } else if self.mode == SslMode::Require {
                return Err(io::Error::other("server does not support TLS"));
            } else {
                Wire::Plain(stream)
            };
            Ok(PgStream {
                wire,
                scanner: Scanner::new(self.last_error),
            })
        };
        negotiate.boxed()
    }
}

enum Wire<P, T> {
    Plain(P),
    Encrypted(Box<T>),
}

/// The stream of a connection, which reads along for errors.
struct PgStream<P, T> {
    wire: Wire<P, T>,
    scanner: Scanner,
}

impl<P: AsyncRead + AsyncWrite + Unpin, T: TlsStream + Unpin> TlsStream for PgStream<P, T> {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.wire {
            Wire::Plain(_) => ChannelBinding::none(),
            Wire::Encrypted(stream) => stream.channel_binding(),
        }
    }
}

impl<P: AsyncRead + Unpin, T: AsyncRead + Unpin> AsyncRead for PgStream<P, T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (this, filled) = (self.get_mut(), buffer.filled().len());
        let read = match &mut this.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        this.scanner.scan(&buffer.filled()[filled..]);
        read
    }
}

impl<P: AsyncWrite + Unpin, T: AsyncWrite + Unpin> AsyncWrite for PgStream<P, T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Wire::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().wire {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(context),
            Wire::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().wire {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Wire::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// The factory of pooled connections.
pub(crate) struct PgManager {
    pub(crate) url: PostgresUrl,
    pub(crate) settings: &'static str,
}

impl Manager for PgManager {
    type Type = PgConnection;
    type Error = ConnectionError;

    async fn create(&self) -> Result<PgConnection, ConnectionError> {
        PgConnection::establish(&self.url, self.settings).await
    }

    async fn recycle(&self, connection: &mut PgConnection, _: &Metrics) -> RecycleResult<ConnectionError> {
        match connection.is_broken() {
            true => Err(RecycleError::message("broken connection")),
            false => Ok(()),
        }
    }
}

/// A connection from a pool, to which it returns when dropped.
pub(crate) struct PooledPgConnection(pub(crate) Object<PgManager>);

impl Deref for PooledPgConnection {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.0
    }
}

impl DerefMut for PooledPgConnection {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.0
    }
}
