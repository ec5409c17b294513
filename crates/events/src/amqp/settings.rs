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
    /// A special character that ends the user, the password or the virtual host early.
    #[error(
        "percent-encode the special characters of user, password and virtual host in the AMQP URL: \
         %40 for @, %2F for /, %3F for ?, %23 for #, %25 for %"
    )]
    Encoding,
    /// A wrong port or parameter.
    #[error("the AMQP URL must look like {EXAMPLE}; port and parameters such as frame_max are numbers")]
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
        if !is_encoded(rest) {
            return Err(InvalidAmqpUrl::Encoding);
        }
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

/// Whether the special characters in a URL are percent-encoded, given what follows the scheme. An `@` or `/` in a password
/// would otherwise end it early and make a part of it the host, which is logged.
fn is_encoded(rest: &str) -> bool {
    let (authority, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let is_escape = |part: &str| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    authority.matches('@').count() <= 1
        && !after.contains(['@', '#'])
        && rest.split('%').skip(1).all(is_escape)
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
        ] {
            let error = parse(url).map(|accepted| format!("{accepted:?}")).unwrap_err();
            assert_eq!(error, expected, "{url}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn an_unencoded_password_is_rejected_and_never_repeated() {
        for url in [
            "amqp://u:pa@secret@broker/",
            "amqp://u:@secret@broker/",
            "amqp://u:pa/secret@broker/",
            "amqp://u:1/secret@broker/",
            "amqps://u:pa?secret@broker/",
            "amqp://u:12#secret@broker/",
            "amqp://u:100%secret@broker/",
            "amqp://u:secret%@broker/",
            "amqp://broker/secret@host",
        ] {
            let invalid = parse(url).map(|accepted| format!("{accepted:?}")).unwrap_err();
            assert_eq!(invalid, InvalidAmqpUrl::Encoding, "{url}");
            let message = invalid.to_string();
            assert!(
                message.contains("percent-encode") && !message.contains("secret"),
                "{message}"
            );
        }
    }

    #[test]
    fn user_and_password_are_percent_decoded() {
        let uri = parse("amqp://u%40office:p%40%2F%3F%23%25%3A:x@broker/")
            .unwrap()
            .uri()
            .clone();
        assert_eq!(uri.authority.userinfo.username, "u@office");
        assert_eq!(uri.authority.userinfo.password, "p@/?#%::x");
        assert_eq!(uri.authority.host, "broker");
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
