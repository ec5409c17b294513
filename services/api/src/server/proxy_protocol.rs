//! The PROXY protocol, versions 1 and 2 of HAProxy's specification: a proxy that forwards bytes instead of requests says
//! before them for whom it connects.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use proxy_header::{Error as HeaderError, ParseConfig, ProxyHeader};
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};

/// The longest header that is read, in bytes. One without extensions has at most 107 in version 1 and 232 in version 2.
const MAX_HEADER: usize = 4096;

/// The time in which the header must arrive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// The time after which an incomplete header is looked at again.
const STEP: Duration = Duration::from_millis(10);

/// Receives the header. Returns the address of the client; none if the proxy connects for itself, as for a health check.
///
/// # Errors
/// The header is missing, invalid or too long, or takes too long.
pub(crate) async fn receive_client(stream: &mut TcpStream) -> Result<Option<SocketAddr>> {
    timeout(HEADER_TIMEOUT, receive(stream)).await?
}

async fn receive(stream: &mut TcpStream) -> Result<Option<SocketAddr>> {
    let config = ParseConfig {
        include_tlvs: false,
        ..ParseConfig::default()
    };
    let mut header = vec![0; MAX_HEADER];
    loop {
        // Only looked at, since the bytes after the header belong to the request.
        let seen = stream.peek(&mut header).await?;
        let found = ProxyHeader::parse(&header[..seen], config);
        let found = found.map(|(parsed, length)| (parsed.proxied_address().map(|said| said.source), length));
        match found {
            Ok((client, length)) => {
                stream.read_exact(&mut header[..length]).await?;
                return Ok(client);
            }
            Err(HeaderError::BufferTooShort) if seen == 0 => return Err(ErrorKind::UnexpectedEof.into()),
            Err(HeaderError::BufferTooShort) if seen < MAX_HEADER => sleep(STEP).await,
            Err(error) => return Err(Error::new(ErrorKind::InvalidData, error.to_string())),
        }
    }
}
