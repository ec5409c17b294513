//! TLS: which servers the programs trust, and the certificate that the service presents.
//!
//! A [`Trust`] decides whether a client accepts the certificate of a server: a database, a broker or the service itself. A
//! [`Certificate`] is presented to the clients of the service; its files can be replaced while the service runs. Both use
//! rustls with ring as the crypto provider, TLS 1.2 and 1.3. This is the only crate that names rustls. It knows nothing of
//! HTTP, SQL or RabbitMQ.
//!
//! ```
//! let error = tonghop_tls::Trust::in_file("no-such-file.pem".as_ref()).unwrap_err();
//! assert!(error.to_string().starts_with("no-such-file.pem: "));
//! ```

mod certificate;
mod pem;
mod provider;
mod trust;

pub use certificate::{Certificate, InvalidCertificate};
pub use trust::{InvalidTrust, Trust};
