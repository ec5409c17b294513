//! The access log: one line per request.

use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use tracing::field::display;

use crate::request::caller::Authorized;
use crate::request::client_address::client_address;
use crate::request::request_id::RequestId;

/// Writes the request's line into the log, with the id of its key and never the key itself.
pub(crate) fn log_request(method: &Method, response: &ServiceResponse, id: &RequestId, took: Duration) {
    let request = response.request();
    let route = request.match_pattern();
    let route = route.as_deref().unwrap_or("none");
    let status = response.status().as_u16();
    // Anyone can invent methods, of thousands of letters.
    let method = if is_known(method) {
        method.as_str()
    } else {
        "_OTHER"
    };
    let ms = took.as_micros() as f64 / 1000.0;
    let client = client_address(request).map(display);
    let extensions = request.extensions();
    let authorized = extensions.get::<Authorized>();
    let key = authorized.map(|store| display(&store.caller().key));
    let request_id = id.0.as_str();
    // Load balancers and container engines ask several times per second.
    if matches!(route, "/livez" | "/readyz") {
        tracing::debug!(method, route, status, ms, request_id, key, client, "answered");
    } else {
        tracing::info!(method, route, status, ms, request_id, key, client, "answered");
    }
}

/// Whether a method is one of HTTP's own (RFC 9110, section 9; RFC 5789).
fn is_known(method: &Method) -> bool {
    let methods = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::CONNECT,
        Method::OPTIONS,
        Method::TRACE,
        Method::PATCH,
    ];
    methods.contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invented_method_is_not_logged() {
        assert!(is_known(&Method::PATCH));
        let invented = Method::from_bytes("M".repeat(3_000).as_bytes()).unwrap();
        assert!(!is_known(&invented));
    }
}
