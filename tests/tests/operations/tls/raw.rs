//! TLS connections that show the details of the handshake.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::version::TLS12;
use tokio_rustls::rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use tonghop_tests::Authority;
use tonghop_tls::Trust;

/// A TLS connection to the service.
pub(crate) struct Raw(TlsStream<TcpStream>);

impl Raw {
    /// Connects and offers HTTP/2 and HTTP/1.1.
    pub(crate) async fn connect(address: &str, trust: &Trust) -> std::io::Result<Self> {
        Self::connect_with(address, trust.client_config()).await
    }

    /// Connects with TLS 1.2 only.
    pub(crate) async fn connect_by_tls_1_2(address: &str, authority: &Authority) -> std::io::Result<Self> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_file(authority.file()).unwrap();
        roots.add(root).unwrap();
        let provider = tokio_rustls::rustls::crypto::ring::default_provider();
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS12])
            .unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Self::connect_with(address, config).await
    }

    async fn connect_with(address: &str, mut config: ClientConfig) -> std::io::Result<Self> {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let (host, _) = address.rsplit_once(':').unwrap();
        let name = host.to_owned().try_into().unwrap();
        let stream = TcpStream::connect(address).await?;
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Ok(Self(connected))
    }

    /// Sends a request on this connection and returns the head of the response.
    pub(crate) async fn get(&mut self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: tonghop\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 16 * 1024];
        let read = self.0.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    /// The certificate that the service presented.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.0.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    pub(crate) fn version(&self) -> Option<ProtocolVersion> {
        self.0.get_ref().1.protocol_version()
    }

    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        self.0.get_ref().1.alpn_protocol()
    }

    pub(crate) fn into_stream(self) -> TlsStream<TcpStream> {
        self.0
    }
}
