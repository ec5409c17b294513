//! Which servers a client believes to be who they say they are.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::{pem, provider};

/// Why it cannot be told whom to trust.
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
    /// The operating system names no certificate authority, as in a small container.
    #[error(
        "the operating system has no list of certificate authorities: install one, or name a file with your own"
    )]
    NoneInSystem,
    /// rustls takes none of this.
    #[error("TLS cannot be set up: {0}")]
    Other(String),
}

/// Which servers a client believes to be who they say they are. Clones share it.
#[derive(Clone, Debug)]
pub struct Trust(Arc<ClientConfig>);

/// The same one, and not only an equal one.
impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Trust {}

impl Trust {
    /// Those with a certificate of an authority in this PEM file, and no others.
    ///
    /// # Errors
    /// The file cannot be read, or holds no certificates.
    pub fn in_file(file: &Path) -> Result<Self, InvalidTrust> {
        let fault = |cause| InvalidTrust::File {
            file: file.to_owned(),
            cause,
        };
        let mut roots = RootCertStore::empty();
        for certificate in pem::certificates(file).map_err(fault)? {
            let added = roots.add(certificate);
            added.map_err(|error| fault(format!("holds what is no certificate: {error}")))?;
        }
        Self::in_roots(roots)
    }

    /// Those with a certificate of an authority that the operating system trusts. It is asked once in a process.
    ///
    /// # Errors
    /// It names none.
    pub fn in_system() -> Result<Self, InvalidTrust> {
        static ASKED: OnceLock<Result<Trust, InvalidTrust>> = OnceLock::new();
        ASKED
            .get_or_init(|| {
                let mut roots = RootCertStore::empty();
                // One that cannot be read is left out: the others are no worse for it.
                let (added, _) =
                    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if added == 0 {
                    return Err(InvalidTrust::NoneInSystem);
                }
                Self::in_roots(roots)
            })
            .clone()
    }

    /// Those in the file, or without one those that the operating system trusts.
    ///
    /// # Errors
    /// See [`Trust::in_file`] and [`Trust::in_system`].
    pub fn in_file_or_system(file: Option<&Path>) -> Result<Self, InvalidTrust> {
        file.map_or_else(Self::in_system, Self::in_file)
    }

    /// Anybody. Who listens on the way reads nothing; who stands between the two reads everything. For talking to
    /// oneself, and where the alternative is no TLS at all.
    ///
    /// # Errors
    /// rustls cannot be set up.
    pub fn danger_accept_any_certificate() -> Result<Self, InvalidTrust> {
        let verifier = Arc::new(Anybody(provider()));
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

    /// The same for rustls.
    pub fn client_config(&self) -> ClientConfig {
        ClientConfig::clone(&self.0)
    }
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, InvalidTrust> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| InvalidTrust::Other(error.to_string()))
}

/// Takes every certificate whose key the server has.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
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
