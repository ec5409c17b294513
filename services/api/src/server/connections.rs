//! The share of connections that the clients of one address may have.

use std::any::Any;
use std::net::{IpAddr, Shutdown};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use socket2::SockRef;
use tonghop_access::{Gate, Share};

use crate::server::proxies::TrustedProxies;

/// What a connection holds until it is closed.
struct Held {
    _share: Share,
}

/// Admits a connection, or closes it because the clients of its address have as many as they may. A trusted proxy may have
/// any number: it connects on behalf of everyone.
pub(crate) fn admit(stream: &dyn Any, of_connection: &mut Extensions, gate: &Gate, proxies: &TrustedProxies) {
    let encrypted = stream.downcast_ref::<TlsStream<TcpStream>>();
    let plain = encrypted.map(|stream| stream.get_ref().0);
    let Some(stream) = plain.or_else(|| stream.downcast_ref::<TcpStream>()) else {
        return;
    };
    let Ok(peer) = stream.peer_addr() else { return };
    let address: IpAddr = peer.ip();
    if proxies.contains(address) {
        return;
    }
    match gate.admit_connection(address) {
        Ok(share) => drop(of_connection.insert(Held { _share: share })),
        Err(used_up) => {
            tracing::debug!(%address, %used_up, "a connection was closed");
            // The client may have closed it already.
            SockRef::from(stream).shutdown(Shutdown::Both).ok();
        }
    }
}
