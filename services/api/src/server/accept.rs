//! Accepts connections: what a proxy says of its client, a share for each address, then the TLS handshake.

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use socket2::SockRef;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::either::Either;
use tonghop_access::Gate;

use crate::server::connection::Connection;
use crate::server::proxies::TrustedProxies;
use crate::server::proxy_protocol::receive_client;

/// The time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The bytes that the operating system may hold of a response that the client has not accepted; Linux uses twice as many.
/// By default, it would take some MiB for each connection.
const SEND_BUFFER: usize = 128 << 10;

/// Accepts the connections of one listener.
#[derive(Clone)]
pub(crate) struct Acceptor {
    pub(crate) gate: Gate,
    pub(crate) proxies: TrustedProxies,
    /// Whether connections of trusted proxies begin with a header of the PROXY protocol.
    pub(crate) proxy_protocol: bool,
    /// Encrypts the connections, if there is a certificate.
    pub(crate) tls: Option<TlsAcceptor>,
    /// The time in which a request must begin after the one before was answered.
    pub(crate) idle_timeout: Duration,
}

impl Acceptor {
    /// Opens a connection, unless the clients of its address have as many as they may. A trusted proxy may have any number:
    /// it connects on behalf of everyone. Returns the address of the client too, or that of a proxy that does not say it.
    ///
    /// # Errors
    /// There are too many, the client has left, or the proxy's header or the handshake failed or took too long.
    pub(crate) async fn open(self, mut stream: TcpStream) -> Result<(Connection, SocketAddr)> {
        let mut client = stream.peer_addr()?;
        if self.proxy_protocol && self.proxies.contains(client.ip()) {
            let said = receive_client(&mut stream).await.inspect_err(|error| {
                tracing::debug!(proxy = %client, %error, "a connection without a valid PROXY header was closed");
            });
            client = said?.unwrap_or(client);
        }
        let address = client.ip();
        let share = if self.proxies.contains(address) {
            None
        } else {
            let admitted = self.gate.admit_connection(address);
            Some(admitted.map_err(|used_up| {
                tracing::debug!(%address, %used_up, "a connection was closed");
                Error::other(used_up.to_string())
            })?)
        };
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER)?;
        let transport = match self.tls {
            Some(tls) => Either::Right(Box::new(timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await??)),
            None => Either::Left(stream),
        };
        Ok((Connection::new(transport, share, self.idle_timeout), client))
    }
}
