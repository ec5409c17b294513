//! Certificates for a test.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use tonghop_tls::Trust;

/// A private certificate authority: a client trusts it only if it has its file.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its private key, as PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Authority {
    /// Creates an authority with a new key.
    ///
    /// # Panics
    /// When its file cannot be written.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // A unique name: certificates of another authority are then unknown rather than forged.
        let name = tonghop_testkit::namespace();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("a file is written");
        let issuer = Issuer::new(params, key);
        Self { issuer, folder }
    }

    /// The PEM file with its certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The path of its file, as the value of a setting.
    pub fn setting(&self) -> String {
        self.file().display().to_string()
    }

    /// Trust in it alone.
    pub fn trust(&self) -> Trust {
        Trust::in_file(&self.file()).expect("the file holds a certificate")
    }

    /// A certificate for names or addresses.
    pub fn sign(&self, names: &[&str]) -> Pair {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Pair {
    /// Writes both files into a folder, replacing older ones, and returns the settings that name them.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn write(&self, folder: &Path) -> Vec<(&'static str, String)> {
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, &self.certificate).expect("a file is written");
        std::fs::write(&key, &self.key).expect("a file is written");
        vec![
            ("TONGHOP_TLS_CERT", certificate.display().to_string()),
            ("TONGHOP_TLS_KEY", key.display().to_string()),
        ]
    }
}
