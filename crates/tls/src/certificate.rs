//! What the service shows to its clients, and how it is replaced.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::{pem, provider};

/// Why a certificate cannot be shown. Names the file; never repeats what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCertificate {
    /// A file cannot be read, or holds something else.
    #[error("{}: {cause}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The files are each in order and do not belong together.
    #[error("the certificate in {} and the key in {} do not belong together: {cause}", .certificate.display(), .key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What rustls says.
        cause: String,
    },
    /// rustls takes none of this.
    #[error("TLS cannot be set up: {0}")]
    Other(String),
}

/// The service's certificate, with those that lead to its authority, and its private key, from two PEM files. Clones
/// share it.
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
    /// One cannot be read, or they do not belong together.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, InvalidCertificate> {
        let current = RwLock::new(read(certificate, key)?);
        Ok(Self(Arc::new(Files {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current,
        })))
    }

    /// Reads both files again: connections made from now on get what is in them. Those that are open go on.
    ///
    /// # Errors
    /// As [`Certificate::read`]; then the old certificate goes on being shown.
    pub fn reload(&self) -> Result<(), InvalidCertificate> {
        let new = read(&self.0.certificate, &self.0.key)?;
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// The same for rustls: TLS 1.2 and 1.3, no certificates of clients.
    ///
    /// # Errors
    /// rustls cannot be set up.
    pub fn server_config(&self) -> Result<ServerConfig, InvalidCertificate> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| InvalidCertificate::Other(error.to_string()))?;
        Ok(builder.with_no_client_auth().with_cert_resolver(self.0.clone()))
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
    let fault = |file: &Path, cause| InvalidCertificate::File {
        file: file.to_owned(),
        cause,
    };
    let chain = pem::certificates(certificate).map_err(|cause| fault(certificate, cause))?;
    let secret = pem::private_key(key).map_err(|cause| fault(key, cause))?;
    // Compares the two, too.
    let pair = CertifiedKey::from_der(chain, secret, &provider());
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

    fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    #[test]
    fn a_pair_that_cannot_be_shown_is_refused_with_the_file_that_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let made = || generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let (one, other) = (made(), made());
        let certificate = written(folder.path(), "cert.pem", &one.cert.pem());
        let key = written(folder.path(), "key.pem", &one.signing_key.serialize_pem());
        let foreign = written(folder.path(), "foreign.pem", &other.signing_key.serialize_pem());
        let empty = written(folder.path(), "empty.pem", "");
        let missing = folder.path().join("missing.pem");
        assert!(Certificate::read(&certificate, &key).is_ok());
        for (certificate, key, told) in [
            (&certificate, &foreign, "do not belong together"),
            (&empty, &key, "empty.pem: holds no certificate"),
            (&certificate, &empty, "empty.pem: holds no private key"),
            (&key, &certificate, "key.pem: holds no certificate"),
            (&missing, &key, "missing.pem: No such file"),
        ] {
            let fault = Certificate::read(certificate, key).unwrap_err().to_string();
            assert!(fault.contains(told), "{fault}");
            assert!(!fault.contains('\n'), "{fault}");
        }
    }

    #[test]
    fn a_bad_replacement_keeps_the_old_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (
            generate_simple_self_signed(vec!["one".into()]).unwrap(),
            generate_simple_self_signed(vec!["other".into()]).unwrap(),
        );
        let certificate = written(folder.path(), "cert.pem", &one.cert.pem());
        let key = written(folder.path(), "key.pem", &one.signing_key.serialize_pem());
        let shown = Certificate::read(&certificate, &key).unwrap();
        let current = || shown.0.current.read().unwrap().cert[0].to_vec();
        std::fs::write(&certificate, other.cert.pem()).unwrap();
        assert!(shown.reload().is_err());
        assert_eq!(current(), one.cert.der().to_vec());
        std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
        shown.reload().unwrap();
        assert_eq!(current(), other.cert.der().to_vec());
    }
}
