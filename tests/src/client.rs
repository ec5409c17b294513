//! HTTP clients.

use reqwest::{Client, ClientBuilder};
use tonghop_tls::Trust;

/// An HTTP client that accepts any certificate.
///
/// # Panics
/// When rustls cannot be set up.
pub fn http_client() -> ClientBuilder {
    http_client_trusting(&Trust::danger_accept_any_certificate().expect("a trust"))
}

/// An HTTP client that accepts these certificates.
pub fn http_client_trusting(trust: &Trust) -> ClientBuilder {
    Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(trust.client_config())
}
