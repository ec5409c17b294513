//! Which servers a client trusts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::pem;
use crate::provider::crypto_provider;

/// Why a server's certificate cannot be verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTrust {
    /// A file of certificate authorities cannot be used.
    #[error("{}: {cause}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The operating system has no certificate authorities, as in a minimal container.
    #[error(
        "the operating system has no list of certificate authorities: install one, or name a file with your own"
    )]
    NoneInSystem,
    /// rustls rejects the configuration.
    #[error("TLS cannot be set up: {0}")]
    Other(String),
}

/// The certificates that a client accepts from servers. Clones share it.
#[derive(Clone, Debug)]
pub struct Trust(Arc<ClientConfig>);

/// Two values are equal only if one is a clone of the other.
impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Trust {}

impl Trust {
    /// Accepts certificates by the authorities in this PEM file, and no others.
    ///
    /// # Errors
    /// Fails if the file cannot be read or contains no certificates.
    pub fn in_file(file: &Path) -> Result<Self, InvalidTrust> {
        let invalid = |cause| InvalidTrust::File {
            file: file.to_owned(),
            cause,
        };
        let mut roots = RootCertStore::empty();
        for certificate in pem::certificates(file).map_err(invalid)? {
            let added = roots.add(certificate);
            added.map_err(|error| invalid(format!("contains an invalid certificate: {error}")))?;
        }
        Self::in_roots(roots)
    }

    /// Accepts certificates by the authorities of the operating system, which are read once per process.
    ///
    /// # Errors
    /// Fails if the operating system has none.
    pub fn in_system() -> Result<Self, InvalidTrust> {
        static SYSTEM: OnceLock<Result<Trust, InvalidTrust>> = OnceLock::new();
        SYSTEM
            .get_or_init(|| {
                let mut roots = RootCertStore::empty();
                // An authority that cannot be read is skipped; the others still work.
                let (added, _) =
                    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if added == 0 {
                    return Err(InvalidTrust::NoneInSystem);
                }
                Self::in_roots(roots)
            })
            .clone()
    }

    /// Accepts certificates by the authorities in the file, or without a file by those of the operating system.
    ///
    /// # Errors
    /// As for [`Trust::in_file`] and [`Trust::in_system`].
    pub fn in_file_or_system(file: Option<&Path>) -> Result<Self, InvalidTrust> {
        file.map_or_else(Self::in_system, Self::in_file)
    }

    /// Accepts any certificate: turns verification off.
    ///
    /// The connection is encrypted, but an attacker who intercepts it can read everything. Use it only for a service
    /// on this machine, or where the alternative is no TLS at all.
    ///
    /// # Errors
    /// Fails if rustls rejects the configuration.
    pub fn danger_accept_any_certificate() -> Result<Self, InvalidTrust> {
        let verifier = Arc::new(AnyCertificate(crypto_provider()));
        let config = builder()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    fn in_roots(roots: RootCertStore) -> Result<Self, InvalidTrust> {
        let config = builder()?.with_root_certificates(roots).with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Returns the configuration of a rustls client.
    pub fn client_config(&self) -> ClientConfig {
        ClientConfig::clone(&self.0)
    }
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, InvalidTrust> {
    ClientConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| InvalidTrust::Other(error.to_string()))
}

/// Accepts every certificate, but still requires that the server owns its private key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
