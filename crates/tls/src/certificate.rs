//! The certificate that the service presents to its clients, and its replacement.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::pem;
use crate::provider::crypto_provider;

/// Why a certificate cannot be used. Names the file, but never contains its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCertificate {
    /// A file cannot be read, or contains something else.
    #[error("{}: {cause}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Both files are valid, but do not belong together.
    #[error("the certificate in {} and the key in {} do not belong together: {cause}", .certificate.display(), .key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// The reason that rustls gives.
        cause: String,
    },
    /// rustls rejects the configuration.
    #[error("TLS cannot be set up: {0}")]
    Other(String),
}

/// The service's certificate chain and private key, from two PEM files. Clones share it.
#[derive(Clone, Debug)]
pub struct Certificate(Arc<Files>);

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// Fails if a file cannot be read, or they do not belong together.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, InvalidCertificate> {
        let current = RwLock::new(read(certificate, key)?);
        Ok(Self(Arc::new(Files {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current,
        })))
    }

    /// Reads both files again, for new connections. Open connections continue with the old certificate.
    ///
    /// # Errors
    /// As for [`Certificate::read`]. The old certificate stays in use.
    pub fn reload(&self) -> Result<(), InvalidCertificate> {
        let new = read(&self.0.certificate, &self.0.key)?;
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Returns the configuration of a rustls server: TLS 1.2 and 1.3, without client certificates, for HTTP/1.1 (ALPN, RFC
    /// 7301).
    ///
    /// # Errors
    /// Fails if rustls rejects the configuration.
    pub fn server_config(&self) -> Result<ServerConfig, InvalidCertificate> {
        let builder = ServerConfig::builder_with_provider(crypto_provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| InvalidCertificate::Other(error.to_string()))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self.0.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for Files {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(
            self.current
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        )
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, InvalidCertificate> {
    let invalid = |file: &Path, cause| InvalidCertificate::File {
        file: file.to_owned(),
        cause,
    };
    let chain = pem::certificates(certificate).map_err(|cause| invalid(certificate, cause))?;
    let secret = pem::private_key(key).map_err(|cause| invalid(key, cause))?;
    // This also checks that the two belong together.
    let pair = CertifiedKey::from_der(chain, secret, &crypto_provider());
    pair.map(Arc::new).map_err(|error| InvalidCertificate::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        cause: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use rcgen::generate_simple_self_signed;

    use super::*;

    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    #[test]
    fn an_unusable_pair_is_rejected_with_the_name_of_the_wrong_file() {
        let folder = tempfile::tempdir().unwrap();
        let generate = || generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let (one, other) = (generate(), generate());
        let certificate = write(folder.path(), "cert.pem", &one.cert.pem());
        let key = write(folder.path(), "key.pem", &one.signing_key.serialize_pem());
        let foreign = write(folder.path(), "foreign.pem", &other.signing_key.serialize_pem());
        let empty = write(folder.path(), "empty.pem", "");
        let missing = folder.path().join("missing.pem");
        assert!(Certificate::read(&certificate, &key).is_ok());
        for (certificate, key, expected) in [
            (&certificate, &foreign, "do not belong together"),
            (&empty, &key, "empty.pem: contains no certificate"),
            (&certificate, &empty, "empty.pem: contains no private key"),
            (&key, &certificate, "key.pem: contains no certificate"),
            (&missing, &key, "missing.pem: No such file"),
        ] {
            let error = Certificate::read(certificate, key).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_bad_replacement_keeps_the_old_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (
            generate_simple_self_signed(vec!["one".into()]).unwrap(),
            generate_simple_self_signed(vec!["other".into()]).unwrap(),
        );
        let certificate = write(folder.path(), "cert.pem", &one.cert.pem());
        let key = write(folder.path(), "key.pem", &one.signing_key.serialize_pem());
        let presented = Certificate::read(&certificate, &key).unwrap();
        let current = || presented.0.current.read().unwrap().cert[0].to_vec();
        std::fs::write(&certificate, other.cert.pem()).unwrap();
        assert!(presented.reload().is_err());
        assert_eq!(current(), one.cert.der().to_vec());
        std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
        presented.reload().unwrap();
        assert_eq!(current(), other.cert.der().to_vec());
    }
}
