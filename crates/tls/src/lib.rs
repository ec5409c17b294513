//! Whom the programs of tonghop trust, and by which certificate they are trusted.
//!
//! A [`Trust`] is what a client asks of the server that it connects to: a database, a broker, the service itself. A
//! [`Certificate`] is what the service shows to its clients; its files can be replaced while the service goes on. Both
//! are of rustls, whose one crypto provider in these programs is ring, with TLS 1.2 and 1.3. This crate is the only one
//! of ours that names rustls, and it knows nothing of HTTP, SQL or RabbitMQ.
//!
//! ```
//! let fault = tonghop_tls::Trust::in_file("no-such-file.pem".as_ref()).unwrap_err();
//! assert!(fault.to_string().starts_with("no-such-file.pem: "));
//! ```

mod certificate;
mod pem;
mod trust;

pub use certificate::{Certificate, InvalidCertificate};
pub use trust::{InvalidTrust, Trust};

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// The one crypto provider of these programs.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
