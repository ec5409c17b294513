//! The address of a request's client.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::web::Data;

use crate::server::proxies::TrustedProxies;

/// The address of the client, which a trusted proxy may have forwarded.
pub(crate) fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    let proxies = request.app_data::<Data<TrustedProxies>>();
    Some(proxies.map_or(peer, |proxies| proxies.client(peer, request.headers())))
}
