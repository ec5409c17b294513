//! The broker, as configured.

use std::fmt;
use std::path::Path;

use lapin::uri::{AMQPScheme, AMQPUri};
use tonghop_tls::{InvalidTrust, Trust};

const EXAMPLE: &str = "amqp://user:password@host:5672/vhost";
const LONGEST_NAMESPACE: usize = 64;

/// Heartbeat interval: a dead peer is noticed after two of them.
const HEARTBEAT_SECONDS: u16 = 10;

/// The broker, as configured.
///
/// The namespace begins the names of all exchanges and queues, so that several installations, or tests, can share
/// one broker. Debug output leaves the user and the password out.
#[derive(Clone)]
pub struct AmqpSettings {
    uri: AMQPUri,
    namespace: String,
    authority: Option<Trust>,
}

/// Why it cannot be told whether the broker is the one that is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmqpAuthority {
    /// There is no TLS, and yet a certificate is to be checked.
    #[error("TONGHOP_AMQP_CA (--amqp-ca) asks for TLS: the AMQP URL must then start with amqps://")]
    Plain,
    /// There is nobody to vouch for the broker.
    #[error("{0} (TONGHOP_AMQP_CA, --amqp-ca)")]
    Trust(#[from] InvalidTrust),
}

/// Why a setting does not describe a broker. Never repeats the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmqpUrl {
    /// Not a URL of a broker at all.
    #[error("the AMQP URL must start with amqp:// or amqps://, as in {EXAMPLE}")]
    Scheme,
    /// No host between the scheme and the path.
    #[error("the AMQP URL must name a host, as in {EXAMPLE}")]
    Host,
    /// Some other part is wrong.
    #[error(
        "the AMQP URL must look like {EXAMPLE}, special characters in user and password percent-encoded, \
         parameters such as frame_max being numbers"
    )]
    Malformed,
    /// A namespace that cannot begin the names of exchanges and queues.
    #[error(
        "the AMQP namespace must have 1 to {LONGEST_NAMESPACE} characters out of A-Z, a-z, 0-9, ., _ and -, \
         and not start with amq."
    )]
    Namespace,
}

impl AmqpSettings {
    /// The namespace of an installation that has the broker to itself.
    pub const DEFAULT_NAMESPACE: &str = "tonghop";

    /// Reads a URL such as `amqp://user:password@host:5672/vhost`. Without a virtual host, or with an empty one,
    /// the broker's default `/` is meant.
    pub fn parse(url: &str, namespace: &str) -> Result<Self, InvalidAmqpUrl> {
        let rest = ["amqp://", "amqps://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme))
            .ok_or(InvalidAmqpUrl::Scheme)?;
        let host = host(rest).ok_or(InvalidAmqpUrl::Host)?;
        let mut uri: AMQPUri = url.parse().map_err(|_| InvalidAmqpUrl::Malformed)?;
        if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            // lapin takes only names and IPv4 addresses out of a URL and means localhost by all else.
            uri.authority.host = address.to_owned();
        }
        if uri.vhost.is_empty() {
            uri.vhost.push('/');
        }
        // Whatever the URL says: the limits on how long a fault goes unnoticed are this crate's.
        uri.query.heartbeat = Some(HEARTBEAT_SECONDS);
        uri.query.connection_timeout = None;
        if !is_namespace(namespace) {
            return Err(InvalidAmqpUrl::Namespace);
        }
        Ok(Self {
            uri,
            namespace: namespace.to_owned(),
            authority: None,
        })
    }

    /// The same, with a certificate of an authority in this PEM file. Without a file, `amqps` means the authorities of
    /// the operating system.
    ///
    /// # Errors
    /// The file cannot be used, the system has no authorities, or the URL is without TLS.
    pub fn with_ca(mut self, authority: Option<&Path>) -> Result<Self, InvalidAmqpAuthority> {
        match (&self.uri.scheme, authority) {
            (AMQPScheme::AMQP, Some(_)) => return Err(InvalidAmqpAuthority::Plain),
            (AMQPScheme::AMQP, None) => {}
            (AMQPScheme::AMQPS, authority) => self.authority = Some(Trust::in_file_or_system(authority)?),
        }
        Ok(self)
    }

    /// What the names of all exchanges and queues begin with.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whom to trust to be the broker, when TLS is spoken.
    pub(crate) fn trust(&self) -> Result<Trust, InvalidTrust> {
        self.authority.clone().map_or_else(Trust::in_system, Ok)
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

/// The host in what follows the scheme, without user, port and path; brackets are kept.
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
    // The broker keeps names that start with amq. to itself.
    (1..=LONGEST_NAMESPACE).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with("amq.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<AmqpSettings, InvalidAmqpUrl> {
        AmqpSettings::parse(url, AmqpSettings::DEFAULT_NAMESPACE)
    }

    #[test]
    fn a_url_names_host_port_and_virtual_host_with_the_usual_defaults() {
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
    fn the_heartbeat_is_ours_whatever_the_url_says() {
        let settings = parse("amqp://broker/?heartbeat=0&connection_timeout=900000").unwrap();
        assert_eq!(settings.uri().query.heartbeat, Some(10));
        assert_eq!(settings.uri().query.connection_timeout, None);
    }

    #[test]
    fn a_url_that_names_no_broker_is_refused() {
        for (url, why) in [
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
            let refused = parse(url).map(|accepted| format!("{accepted:?}")).unwrap_err();
            assert_eq!(refused, why, "{url}");
            assert!(!refused.to_string().contains("secret"));
        }
    }

    #[test]
    fn a_namespace_that_cannot_begin_a_name_is_refused() {
        for namespace in ["", "a b", "amq.tonghop", &"n".repeat(65), "tổng-hợp"] {
            let refused = AmqpSettings::parse("amqp://broker", namespace).unwrap_err();
            assert_eq!(refused, InvalidAmqpUrl::Namespace, "{namespace}");
        }
        assert!(AmqpSettings::parse("amqp://broker", "test-0.1_a").is_ok());
    }

    #[test]
    fn an_authority_of_ones_own_does_not_go_with_a_url_without_tls() {
        let plain = parse("amqp://broker").unwrap();
        assert!(plain.clone().with_ca(None).is_ok());
        let refused = plain.with_ca(Some("ca.pem".as_ref())).unwrap_err();
        assert_eq!(refused, InvalidAmqpAuthority::Plain);
    }

    #[test]
    fn debug_output_leaves_user_and_password_out() {
        let shown = format!("{:?}", parse("amqp://quan:b%C3%AD-m%E1%BA%ADt@broker/").unwrap());
        assert!(shown.contains("broker"), "{shown}");
        for hidden in ["quan", "b%C3", "bí"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
