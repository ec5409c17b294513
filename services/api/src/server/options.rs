//! How the service meets its clients: by TLS or without, and on which web pages.

use std::net::TcpListener;
use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tonghop_tls::{Certificate, InvalidCertificate};

use crate::middleware::cors::Origins;

/// The settings of how the service meets its clients, for every program that serves.
#[derive(Clone, Debug, Args)]
pub struct FrontOptions {
    /// A PEM file: the certificate for HTTPS, and those that lead to its authority
    #[arg(long, env = "TONGHOP_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// A PEM file: the private key of that certificate
    #[arg(long, env = "TONGHOP_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Origins, as in https://pages.example, whose web pages may use the service; several with commas between them
    #[arg(long, env = "TONGHOP_CORS_ORIGINS", value_delimiter = ',')]
    cors_origins: Vec<String>,
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFront {
    /// One of two that belong together.
    #[error(
        "--tls-cert and --tls-key (TONGHOP_TLS_CERT and TONGHOP_TLS_KEY) belong together: set both, or neither"
    )]
    HalfOfTls,
    /// The certificate cannot be shown.
    #[error(transparent)]
    Certificate(#[from] InvalidCertificate),
    /// No browser would send this as an origin.
    #[error(
        "--cors-origins (TONGHOP_CORS_ORIGINS): {0:?} is not an origin as browsers send it, such as \
         https://pages.example or http://localhost:5173: no *, no path, no usual port, no capitals"
    )]
    Origin(String),
}

/// How the service meets its clients.
#[derive(Clone, Debug, Default)]
pub struct Front {
    certificate: Option<Certificate>,
    origins: Origins,
}

impl FrontOptions {
    /// Whether HTTPS is asked for.
    pub fn is_tls(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// Reads the files and the origins.
    ///
    /// # Errors
    /// One of them is missing or cannot be used.
    pub fn read(&self) -> Result<Front, InvalidFront> {
        let certificate = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(Certificate::read(certificate, key)?),
            (None, None) => None,
            _ => return Err(InvalidFront::HalfOfTls),
        };
        let origins = Origins::read(&self.cors_origins).map_err(InvalidFront::Origin)?;
        Ok(Front { certificate, origins })
    }
}

impl Front {
    pub(crate) fn origins(&self) -> Origins {
        self.origins.clone()
    }

    pub(crate) fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// What tells when the certificate is to be read again. Without one, SIGHUP ends the process, as it always does.
    pub(crate) fn hangups(&self) -> std::io::Result<Option<Signal>> {
        self.certificate
            .as_ref()
            .map(|_| signal(SignalKind::hangup()))
            .transpose()
    }

    /// Reads the certificate again at each signal.
    pub(crate) async fn reload_at(&self, hangups: Option<Signal>) {
        let (Some(certificate), Some(mut hangups)) = (&self.certificate, hangups) else {
            return;
        };
        while hangups.recv().await.is_some() {
            match certificate.reload() {
                Ok(()) => tracing::info!("SIGHUP: the new certificate is shown from now on"),
                Err(error) => tracing::warn!(%error, "SIGHUP: the old certificate goes on being shown"),
            }
        }
    }

    /// Warns of keys and figures that others on the network could read. A proxy beside the service may speak TLS for it,
    /// so that is all.
    pub(crate) fn warn_if_readable(&self, listener: &TcpListener) {
        let address = listener.local_addr();
        if self.certificate.is_none() && !address.as_ref().is_ok_and(|address| address.ip().is_loopback()) {
            tracing::warn!(
                "HTTP is served without TLS beyond this machine: set TONGHOP_TLS_CERT and TONGHOP_TLS_KEY, \
                 unless a proxy speaks TLS for it"
            );
        }
    }
}
