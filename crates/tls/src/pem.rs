//! Reads PEM files.

use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Reads the certificates of a file, at least one. The error is a text that follows the name of the file.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match read {
        Ok(certificates) if Vec::is_empty(&certificates) => Err(missing("certificate")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(error_text(error, "certificate")),
    }
}

/// Reads the first private key of a file.
pub(crate) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| error_text(error, "private key"))
}

fn error_text(error: Error, expected: &str) -> String {
    match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => missing(expected),
        error => format!("is not a PEM file: {error}"),
    }
}

fn missing(expected: &str) -> String {
    format!("contains no {expected} in PEM format")
}
