//! The options of a server: address, limits, certificate, origins of web pages, audit heads.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio_rustls::TlsAcceptor;
use tonghop_access::{KeyRules, RateLimits};
use tonghop_process::ListenAddress;
use tonghop_tls::{Certificate, InvalidCertificate};

use crate::middleware::cors::Origins;
use crate::server::proxies::{InvalidNetwork, TrustedProxies};

/// The options of every program that serves the API.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Settings of the API")]
pub struct ServerOptions {
    /// The address to serve on: HOST:PORT, with an IP address or a name such as localhost
    #[arg(long, env = "TONGHOP_LISTEN", default_value = "127.0.0.1:8080")]
    listen: ListenAddress,
    /// Requests per second that an access key can make on average; 0 turns the limit off
    #[arg(long, env = "TONGHOP_KEY_RATE", default_value_t = 100)]
    key_rate: u32,
    /// Valid keys that a unit can have at most, as far as administrators create them
    #[arg(long, env = "TONGHOP_MAX_KEYS_PER_UNIT", default_value_t = KeyRules::default().max_per_unit)]
    max_keys_per_unit: u32,
    /// Days for which a key that an administrator creates can be valid at most [default: keys need not expire]
    #[arg(long, env = "TONGHOP_MAX_KEY_DAYS")]
    max_key_days: Option<u16>,
    /// The file to which the heads of the audit trail are written [default: with SQLite, beside the database with
    /// .audit-heads after its name; with PostgreSQL, none]
    #[arg(long, env = "TONGHOP_AUDIT_HEADS")]
    audit_heads: Option<PathBuf>,
    /// A PEM file with the certificate for HTTPS, followed by its intermediate certificates
    #[arg(long, env = "TONGHOP_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// A PEM file with the private key of that certificate
    #[arg(long, env = "TONGHOP_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Origins whose web pages can use the API, separated by commas, such as https://pages.example
    #[arg(long, env = "TONGHOP_CORS_ORIGINS", value_delimiter = ',')]
    cors_origins: Vec<String>,
    /// Addresses or networks of proxies that forward the addresses of their clients, separated by commas, such as
    /// 192.0.2.7 or 10.0.0.0/8
    #[arg(long, env = "TONGHOP_TRUSTED_PROXIES", value_delimiter = ',')]
    trusted_proxies: Vec<String>,
    /// Whether these proxies begin each connection with a header of the PROXY protocol, version 1 or 2
    #[arg(long, env = "TONGHOP_PROXY_PROTOCOL")]
    proxy_protocol: bool,
}

/// A server option that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidServerOptions {
    /// A certificate without its key, or a key without its certificate.
    #[error(
        "--tls-cert and --tls-key (TONGHOP_TLS_CERT and TONGHOP_TLS_KEY) belong together: set both, or neither"
    )]
    HalfOfTls,
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Certificate(#[from] InvalidCertificate),
    /// Browsers never send this as an origin.
    #[error(
        "--cors-origins (TONGHOP_CORS_ORIGINS): {0:?} is not an origin as browsers send it, such as \
         https://pages.example or http://localhost:5173: no *, path, default port or capital letters"
    )]
    Origin(String),
    /// This is not an address or a network.
    #[error(
        "--trusted-proxies (TONGHOP_TRUSTED_PROXIES): {0:?} is neither an IP address nor a network, such as 192.0.2.7 or \
         10.0.0.0/8"
    )]
    Network(String),
    /// Nobody may begin a connection with a header of the PROXY protocol.
    #[error(
        "--proxy-protocol (TONGHOP_PROXY_PROTOCOL) is for the proxies in --trusted-proxies (TONGHOP_TRUSTED_PROXIES), which \
         is not set: set both, or neither"
    )]
    NoProxies,
}

/// The certificate and the allowed origins of a server.
#[derive(Clone, Debug, Default)]
pub struct ServerConfig {
    certificate: Option<Certificate>,
    origins: Origins,
    proxies: TrustedProxies,
    proxy_protocol: bool,
}

impl ServerOptions {
    /// The address to serve on.
    pub fn listen(&self) -> &ListenAddress {
        &self.listen
    }

    /// The URL of the server, for clients on the same machine.
    pub fn url(&self) -> String {
        let scheme = if self.tls_cert.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.listen)
    }

    /// The rate limits of keys.
    pub fn rate_limits(&self) -> RateLimits {
        RateLimits::new(self.key_rate)
    }

    /// The rules for keys that administrators create.
    pub fn key_rules(&self) -> KeyRules {
        let day = Duration::from_secs(24 * 60 * 60);
        KeyRules {
            max_per_unit: self.max_keys_per_unit,
            max_age: self.max_key_days.map(|days| day * u32::from(days)),
        }
    }

    /// The configured file of audit heads.
    pub fn audit_heads(&self) -> Option<PathBuf> {
        self.audit_heads.clone()
    }

    /// Reads the certificate and checks the origins.
    ///
    /// # Errors
    /// A file is missing, or an option is invalid.
    pub fn read(&self) -> Result<ServerConfig, InvalidServerOptions> {
        let certificate = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(Certificate::read(certificate, key)?),
            (None, None) => None,
            _ => return Err(InvalidServerOptions::HalfOfTls),
        };
        let origins = Origins::read(&self.cors_origins).map_err(InvalidServerOptions::Origin)?;
        let proxies = TrustedProxies::read(&self.trusted_proxies)
            .map_err(|InvalidNetwork(text)| InvalidServerOptions::Network(text))?;
        if self.proxy_protocol && self.trusted_proxies.is_empty() {
            return Err(InvalidServerOptions::NoProxies);
        }
        Ok(ServerConfig {
            certificate,
            origins,
            proxies,
            proxy_protocol: self.proxy_protocol,
        })
    }
}

impl ServerConfig {
    pub(crate) fn origins(&self) -> Origins {
        self.origins.clone()
    }

    pub(crate) fn proxies(&self) -> TrustedProxies {
        self.proxies.clone()
    }

    pub(crate) fn proxy_protocol(&self) -> bool {
        self.proxy_protocol
    }

    /// Encrypts connections, if there is a certificate.
    ///
    /// # Errors
    /// The certificate cannot be used.
    pub(crate) fn tls_acceptor(&self) -> Result<Option<TlsAcceptor>, InvalidCertificate> {
        let config = self
            .certificate
            .as_ref()
            .map(Certificate::server_config)
            .transpose()?;
        Ok(config.map(|config| TlsAcceptor::from(Arc::new(config))))
    }

    /// Whether the connections are encrypted.
    pub(crate) fn encrypts(&self) -> bool {
        self.certificate.is_some()
    }

    /// Reads the certificate again, as SIGHUP asks. An unusable one leaves the old certificate in place.
    pub fn reload(&self) {
        match self.certificate.as_ref().map(Certificate::reload) {
            Some(Ok(())) => tracing::info!("SIGHUP: new connections get the new certificate"),
            Some(Err(error)) => tracing::warn!(%error, "SIGHUP: the old certificate stays in use"),
            None => tracing::info!("SIGHUP ignored: no certificate is configured"),
        }
    }

    /// Warns if others on the network can read keys and figures. A warning only, because a proxy beside the service can
    /// provide TLS.
    pub(crate) fn warn_if_readable(&self, listeners: &[TcpListener]) {
        let is_local = |listener: &TcpListener| {
            let address = listener.local_addr();
            address.is_ok_and(|address| address.ip().is_loopback())
        };
        if self.certificate.is_none() && !listeners.iter().all(is_local) {
            tracing::warn!(
                "serving HTTP without TLS beyond this machine: set TONGHOP_TLS_CERT and TONGHOP_TLS_KEY, \
                 unless a proxy provides TLS"
            );
        }
    }
}
