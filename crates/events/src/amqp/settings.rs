//! The broker's address, namespace and certificate authority, as configured.

use std::fmt;
use std::path::Path;

use lapin::uri::{AMQPScheme, AMQPUri};
use tonghop_tls::{InvalidTrust, Trust};

const EXAMPLE: &str = "amqp://user:password@host:5672/vhost";
const MAX_NAMESPACE_LENGTH: usize = 64;

/// The heartbeat interval. A dead peer is detected after two of them.
const HEARTBEAT_SECONDS: u16 = 10;

/// How to reach the broker.
///
/// The names of all exchanges and queues start with the namespace, so that several installations, or tests, can share one
/// broker. Debug output omits the user and the password.
#[derive(Clone)]
pub struct AmqpSettings {
    uri: AMQPUri,
    namespace: String,
    ca: Option<Trust>,
}

/// Why the broker's certificate cannot be verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmqpCa {
    /// A certificate authority is configured, but the URL does not use TLS.
    #[error("TONGHOP_AMQP_CA (--amqp-ca) requires TLS: the AMQP URL must start with amqps://")]
    Plain,
    /// There is no usable certificate authority.
    #[error("{0} (TONGHOP_AMQP_CA, --amqp-ca)")]
    Trust(#[from] InvalidTrust),
}

/// Why a setting does not describe a broker. Never contains the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmqpUrl {
    /// The scheme is neither `amqp` nor `amqps`.
    #[error("the AMQP URL must start with amqp:// or amqps://, as in {EXAMPLE}")]
    Scheme,
    /// There is no host between the scheme and the path.
    #[error("the AMQP URL must name a host, as in {EXAMPLE}")]
    Host,
    /// Another part is invalid.
    #[error(
        "the AMQP URL must look like {EXAMPLE}; percent-encode special characters in the user and the password, and \
         write parameters such as frame_max as numbers"
    )]
    Malformed,
    /// Names of exchanges and queues cannot start with the namespace.
    #[error(
        "the AMQP namespace must have 1 to {MAX_NAMESPACE_LENGTH} characters from A-Z, a-z, 0-9, ., _ and -, and must \
         not start with amq."
    )]
    Namespace,
}

impl AmqpSettings {
    /// The namespace of an installation that does not share its broker.
    pub const DEFAULT_NAMESPACE: &str = "tonghop";

    /// Parses a URL such as `amqp://user:password@host:5672/vhost`. A missing or empty virtual host means the broker's
    /// default, `/`.
    pub fn parse(url: &str, namespace: &str) -> Result<Self, InvalidAmqpUrl> {
        let rest = ["amqp://", "amqps://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme))
            .ok_or(InvalidAmqpUrl::Scheme)?;
        let host = host(rest).ok_or(InvalidAmqpUrl::Host)?;
        let mut uri: AMQPUri = url.parse().map_err(|_| InvalidAmqpUrl::Malformed)?;
        if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            // lapin accepts only names and IPv4 addresses in a URL and replaces anything else by localhost.
            uri.authority.host = address.to_owned();
        }
        if uri.vhost.is_empty() {
            uri.vhost.push('/');
        }
        // Not configurable: this crate decides how soon a fault must be detected.
        uri.query.heartbeat = Some(HEARTBEAT_SECONDS);
        uri.query.connection_timeout = None;
        if !is_namespace(namespace) {
            return Err(InvalidAmqpUrl::Namespace);
        }
        Ok(Self {
            uri,
            namespace: namespace.to_owned(),
            ca: None,
        })
    }

    /// Requires a broker's certificate by an authority in this PEM file. Without a file, `amqps` accepts the certificate
    /// authorities of the operating system.
    ///
    /// # Errors
    /// Fails if the file cannot be used, the operating system has no authorities, or the URL does not use TLS.
    pub fn with_ca(mut self, file: Option<&Path>) -> Result<Self, InvalidAmqpCa> {
        match (&self.uri.scheme, file) {
            (AMQPScheme::AMQP, Some(_)) => return Err(InvalidAmqpCa::Plain),
            (AMQPScheme::AMQP, None) => {}
            (AMQPScheme::AMQPS, file) => self.ca = Some(Trust::in_file_or_system(file)?),
        }
        Ok(self)
    }

    /// The prefix of the names of all exchanges and queues.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The certificate authorities that the broker's certificate is verified against.
    pub(crate) fn trust(&self) -> Result<Trust, InvalidTrust> {
        self.ca.clone().map_or_else(Trust::in_system, Ok)
    }

    pub(crate) fn uri(&self) -> &AMQPUri {
        &self.uri
    }
}

impl fmt::Debug for AmqpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri {
            scheme,
            authority,
            vhost,
            ..
        } = &self.uri;
        f.debug_struct("AmqpSettings")
            .field("scheme", &scheme.to_string())
            .field("host", &authority.host)
            .field("port", &authority.port)
            .field("vhost", vhost)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// Returns the host in the part after the scheme, without user, port and path, but with the brackets of an IPv6 address.
fn host(rest: &str) -> Option<&str> {
    let authority = rest.split(['/', '?', '#']).next()?;
    let address = authority.rsplit('@').next()?;
    let host = match address.find(']') {
        Some(end) => &address[..=end],
        None => address.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

fn is_namespace(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    // The broker reserves names that start with amq.
    (1..=MAX_NAMESPACE_LENGTH).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with("amq.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<AmqpSettings, InvalidAmqpUrl> {
        AmqpSettings::parse(url, AmqpSettings::DEFAULT_NAMESPACE)
    }

    #[test]
    fn a_url_gives_host_port_and_virtual_host_with_the_usual_defaults() {
        for (url, host, port, vhost) in [
            ("amqp://broker", "broker", 5672, "/"),
            ("amqp://broker/", "broker", 5672, "/"),
            ("amqp://u:p@127.0.0.1:35672/%2f", "127.0.0.1", 35672, "/"),
            ("amqps://broker/so", "broker", 5671, "so"),
            ("amqp://u:p@[::1]:35672/so", "::1", 35672, "so"),
        ] {
            let uri = parse(url).unwrap().uri().clone();
            assert_eq!(
                (
                    uri.authority.host.as_str(),
                    uri.authority.port,
                    uri.vhost.as_str()
                ),
                (host, port, vhost)
            );
        }
    }

    #[test]
    fn a_url_cannot_change_the_heartbeat() {
        let settings = parse("amqp://broker/?heartbeat=0&connection_timeout=900000").unwrap();
        assert_eq!(settings.uri().query.heartbeat, Some(10));
        assert_eq!(settings.uri().query.connection_timeout, None);
    }

    #[test]
    fn an_invalid_url_is_rejected_without_revealing_its_password() {
        for (url, expected) in [
            ("", InvalidAmqpUrl::Scheme),
            ("broker:5672", InvalidAmqpUrl::Scheme),
            ("http://broker", InvalidAmqpUrl::Scheme),
            ("amqp://", InvalidAmqpUrl::Host),
            ("amqp:///so", InvalidAmqpUrl::Host),
            ("amqp://u:p@:5672/", InvalidAmqpUrl::Host),
            ("amqp://broker:port/", InvalidAmqpUrl::Malformed),
            ("amqp://broker/?frame_max=big", InvalidAmqpUrl::Malformed),
            ("amqp://u:secret/secret@broker/", InvalidAmqpUrl::Malformed),
        ] {
            let error = parse(url).map(|accepted| format!("{accepted:?}")).unwrap_err();
            assert_eq!(error, expected, "{url}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn an_invalid_namespace_is_rejected() {
        for namespace in ["", "a b", "amq.tonghop", &"n".repeat(65), "tổng-hợp"] {
            let error = AmqpSettings::parse("amqp://broker", namespace).unwrap_err();
            assert_eq!(error, InvalidAmqpUrl::Namespace, "{namespace}");
        }
        assert!(AmqpSettings::parse("amqp://broker", "test-0.1_a").is_ok());
    }

    #[test]
    fn a_certificate_authority_requires_a_url_with_tls() {
        let plain = parse("amqp://broker").unwrap();
        assert!(plain.clone().with_ca(None).is_ok());
        let error = plain.with_ca(Some("ca.pem".as_ref())).unwrap_err();
        assert_eq!(error, InvalidAmqpCa::Plain);
    }

    #[test]
    fn debug_output_omits_user_and_password() {
        let output = format!("{:?}", parse("amqp://quan:b%C3%AD-m%E1%BA%ADt@broker/").unwrap());
        assert!(output.contains("broker"), "{output}");
        for hidden in ["quan", "b%C3", "bí"] {
            assert!(!output.contains(hidden), "{output}");
        }
    }
}
