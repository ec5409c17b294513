//! Reading PEM files.

use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificates of a file, of which there is at least one; else what is wrong, in words.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match read {
        Ok(certificates) if Vec::is_empty(&certificates) => Err(no("certificate")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(told(error, "certificate")),
    }
}

/// The first private key of a file.
pub(crate) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| told(error, "private key"))
}

fn told(error: Error, wanted: &str) -> String {
    match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => no(wanted),
        error => format!("is no PEM file: {error}"),
    }
}

fn no(wanted: &str) -> String {
    format!("holds no {wanted} in PEM format")
}
