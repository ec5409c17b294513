//! The URL of the database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tonghop_tls::{InvalidTrust, Trust};

/// Why a text is not the URL of a database. Never repeats the URL, which can hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabaseUrl {
    /// Neither scheme, or no path.
    #[error("a database URL is sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE")]
    Scheme,
    /// A special character that ends the user, the password or the database name early.
    #[error(
        "percent-encode the special characters of user, password and database name in the database URL: \
         %40 for @, %2F for /, %3F for ?, %23 for #, %25 for %"
    )]
    Encoding,
    /// No host, or an empty one.
    #[error("the database URL does not name a host: postgres://USER:PASSWORD@HOST/DATABASE")]
    Host,
    /// A Unix socket beside other hosts, or one that should be encrypted.
    #[error(
        "a Unix socket must be the only host of the database URL, and has no TLS: omit sslmode=require or verify-full"
    )]
    Socket,
    /// An unknown `sslmode`.
    #[error("sslmode in the database URL is disable, prefer, require or verify-full")]
    SslMode,
    /// A wrong port or parameter.
    #[error(
        "the database URL has an invalid port, or a parameter that is unknown or has a wrong value; the file of a \
         certificate authority belongs in TONGHOP_DATABASE_CA"
    )]
    Parameter,
}

/// Why the certificate of the database cannot be verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthority {
    /// A certificate authority, although the URL turns TLS off.
    #[error(
        "the database URL turns TLS off (sslmode=disable), but TONGHOP_DATABASE_CA (--database-ca) requires it"
    )]
    Disabled,
    /// A certificate authority, although the host is a Unix socket.
    #[error("TONGHOP_DATABASE_CA (--database-ca) requires TLS, which Unix sockets do not have")]
    Socket,
    /// There is no usable certificate authority.
    #[error("{0} (TONGHOP_DATABASE_CA, --database-ca)")]
    Trust(#[from] InvalidTrust),
}

/// The database: a SQLite file or a PostgreSQL server.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file, used by one process.
    Sqlite(PathBuf),
    /// A PostgreSQL server. Its URL can hold a password, so it is never printed.
    Postgres(PostgresUrl),
}

/// A PostgreSQL server, and the authority that must have signed its certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    url: String,
    config: Box<Config>,
    authority: Option<Trust>,
}

impl DatabaseUrl {
    /// Requires TLS and a certificate of an authority in this PEM file, if the database is a server. Without a file,
    /// `sslmode=require` means the authorities of the operating system.
    ///
    /// # Errors
    /// The file cannot be used, the system has no authorities, or the URL turns TLS off.
    pub fn with_ca(self, authority: Option<&Path>) -> Result<Self, InvalidAuthority> {
        let Self::Postgres(mut server) = self else {
            return Ok(self);
        };
        if let Some(file) = authority {
            if server.config.get_ssl_mode() == SslMode::Disable {
                return Err(InvalidAuthority::Disabled);
            }
            if has_socket(&server.config) {
                return Err(InvalidAuthority::Socket);
            }
            server.authority = Some(Trust::in_file(file)?);
            server.config.ssl_mode(SslMode::Require);
        }
        server.trust()?;
        Ok(Self::Postgres(server))
    }
}

impl PostgresUrl {
    /// The URL as configured, with its password.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The server, and how to connect to it.
    pub(crate) fn config(&self) -> Config {
        Config::clone(&self.config)
    }

    /// Which certificates to accept. `sslmode=prefer`, the default, accepts any, because it also accepts a connection
    /// without TLS.
    pub(crate) fn trust(&self) -> Result<Trust, InvalidTrust> {
        match (&self.authority, self.config.get_ssl_mode()) {
            (Some(authority), _) => Ok(authority.clone()),
            (None, SslMode::Disable | SslMode::Prefer) => Trust::danger_accept_any_certificate(),
            (None, _) => Trust::in_system(),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            if path.is_empty() || path.starts_with(':') {
                return Err(InvalidDatabaseUrl::Scheme);
            }
            return Ok(Self::Sqlite(path.into()));
        }
        Ok(Self::Postgres(PostgresUrl {
            url: text.to_owned(),
            config: Box::new(parse_postgres(text)?),
            authority: None,
        }))
    }
}

fn parse_postgres(text: &str) -> Result<Config, InvalidDatabaseUrl> {
    let rest = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .ok_or(InvalidDatabaseUrl::Scheme)?;
    if !is_encoded(rest) {
        return Err(InvalidDatabaseUrl::Encoding);
    }
    let (server, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let mut kept = Vec::new();
    let mut ssl_mode = SslMode::Prefer;
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("sslmode", mode)) => ssl_mode = parse_ssl_mode(mode)?,
            // TLS is always negotiated by PostgreSQL's own message.
            Some(("sslnegotiation", value)) if value != "postgres" => {
                return Err(InvalidDatabaseUrl::Parameter);
            }
            _ => kept.push(parameter),
        }
    }
    let url = format!("postgres://{server}?{}", kept.join("&"));
    let mut config: Config = url.parse().map_err(|_| InvalidDatabaseUrl::Parameter)?;
    let is_empty = |host: &Host| matches!(host, Host::Tcp(name) if name.is_empty());
    if config.get_hosts().is_empty() || config.get_hosts().iter().any(is_empty) {
        return Err(InvalidDatabaseUrl::Host);
    }
    if has_socket(&config) && (config.get_hosts().len() > 1 || ssl_mode == SslMode::Require) {
        return Err(InvalidDatabaseUrl::Socket);
    }
    config.ssl_mode(ssl_mode);
    Ok(config)
}

fn has_socket(config: &Config) -> bool {
    config
        .get_hosts()
        .iter()
        .any(|host| !matches!(host, Host::Tcp(_)))
}

/// Every certificate that is required here is verified, name included, which libpq calls `verify-full`.
fn parse_ssl_mode(mode: &str) -> Result<SslMode, InvalidDatabaseUrl> {
    match mode {
        "disable" => Ok(SslMode::Disable),
        "prefer" => Ok(SslMode::Prefer),
        "require" | "verify-full" => Ok(SslMode::Require),
        _ => Err(InvalidDatabaseUrl::SslMode),
    }
}

/// Whether the special characters in a URL are percent-encoded, given what follows the scheme. An `@` in a password would
/// otherwise end it early and make the rest of it part of the host, which is logged.
fn is_encoded(rest: &str) -> bool {
    let (authority, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let is_escape = |part: &str| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    authority.matches('@').count() <= 1
        && !after.contains(['@', '#'])
        && rest.split('%').skip(1).all(is_escape)
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "the SQLite file {}", path.display()),
            Self::Postgres(server) => {
                let config = &server.config;
                let host = match config.get_hosts().first() {
                    Some(Host::Tcp(host)) => host.clone(),
                    #[cfg(unix)]
                    Some(Host::Unix(path)) => path.display().to_string(),
                    None => "localhost".into(),
                };
                let port = config.get_ports().first().copied().unwrap_or(5432);
                write!(
                    f,
                    "PostgreSQL at {host}:{port}, database {}",
                    config.get_dbname().unwrap_or("postgres")
                )
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(text: &str) -> PostgresUrl {
        match text.parse() {
            Ok(DatabaseUrl::Postgres(url)) => url,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_database_url_is_displayed_without_its_password() {
        assert_eq!("sqlite:a.db".parse(), Ok(DatabaseUrl::Sqlite("a.db".into())));
        let url: DatabaseUrl = "postgres://u:secret@db.example:5433/figures".parse().unwrap();
        let expected = "PostgreSQL at db.example:5433, database figures";
        assert_eq!([url.to_string(), format!("{url:?}")], [expected, expected]);
    }

    #[test]
    fn user_password_host_and_database_are_percent_decoded() {
        for (text, user, password, host, database) in [
            ("postgres://u:p%40ss@db/x", "u", "p@ss", "db", "x"),
            ("postgresql://u:a%2Fb%3Fc%23d%25@db/x", "u", "a/b?c#d%", "db", "x"),
            ("postgres://u%40office:p:q@db/x", "u@office", "p:q", "db", "x"),
            (
                "postgres://u:m%E1%BA%ADt@db/t%E1%BB%95ng",
                "u",
                "mật",
                "db",
                "tổng",
            ),
            ("postgres://u:p@[::1]:5433/x", "u", "p", "::1", "x"),
            ("postgres://db/x?user=u&password=p%40", "u", "p@", "db", "x"),
        ] {
            let config = postgres(text).config;
            assert_eq!(config.get_user(), Some(user), "{text}");
            assert_eq!(config.get_password(), Some(password.as_bytes()), "{text}");
            assert_eq!(config.get_hosts(), [Host::Tcp(host.into())], "{text}");
            assert_eq!(config.get_dbname(), Some(database), "{text}");
        }
        let socket = postgres("postgres:///x?host=/var/run/postgresql").config;
        assert_eq!(socket.get_hosts(), [Host::Unix("/var/run/postgresql".into())]);
    }

    /// An accepted URL would name a part of the password as its host.
    #[test]
    fn an_unencoded_password_is_rejected_and_never_repeated() {
        for text in [
            "postgres://u:pa@secret@db/x",
            "postgres://u:@secret@db/x",
            "postgres://u:pa/secret@db/x",
            "postgres://u:pa?secret@db/x",
            "postgres://u:pa#secret@db/x",
            "postgres://u:1/secret@db/x",
            "postgres://u:100%secret@db/x",
            "postgres://u:secret%@db/x",
            "postgres://u:secret%4@db/x",
            "postgres://db/x?user=u&password=pa@secret",
            "postgres://db/x#secret",
        ] {
            let invalid = text.parse::<DatabaseUrl>().unwrap_err();
            assert_eq!(invalid, InvalidDatabaseUrl::Encoding, "{text}");
            let message = invalid.to_string();
            assert!(
                message.contains("percent-encode") && !message.contains("secret"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_url_that_names_no_database_is_rejected_with_the_reason() {
        use InvalidDatabaseUrl::{Host, Parameter, Scheme, SslMode};
        for (text, reason) in [
            ("", Scheme),
            ("sqlite:", Scheme),
            ("sqlite::memory:", Scheme),
            ("mysql://x", Scheme),
            ("tonghop.db", Scheme),
            (" postgres://db/x", Scheme),
            ("postgres://", Host),
            ("postgres:///x", Host),
            ("postgres://u:secret@/x", Host),
            ("postgres://u:secret@:5432/x", Host),
            ("postgres://db:port/x", Parameter),
            ("postgres://db:70000/x", Parameter),
            ("postgres://u:secret@[::1/x", Parameter),
            ("postgres://db/x?sslrootcert=ca.pem", Parameter),
            ("postgres://db/x?connect_timeout=soon", Parameter),
            ("postgres://db/x?password=a&secret=b", Parameter),
            ("postgres://db/x?secret", Parameter),
            ("postgres://db/x?sslmode=perhaps", SslMode),
            ("postgres://db/x?sslmode=verify-ca", SslMode),
        ] {
            let invalid = text.parse::<DatabaseUrl>().unwrap_err();
            assert_eq!(invalid, reason, "{text}");
            assert!(!invalid.to_string().contains("secret"), "{invalid}");
        }
    }

    #[test]
    fn verify_full_means_what_require_means() {
        for (text, mode) in [
            ("postgres://db/x", SslMode::Prefer),
            ("postgres://db/x?sslmode=prefer", SslMode::Prefer),
            (
                "postgres://db/x?sslmode=disable&connect_timeout=3",
                SslMode::Disable,
            ),
            ("postgres://db/x?sslmode=require", SslMode::Require),
            (
                "postgres://db/x?connect_timeout=3&sslmode=verify-full",
                SslMode::Require,
            ),
        ] {
            assert_eq!(postgres(text).config.get_ssl_mode(), mode, "{text}");
        }
    }

    #[test]
    fn a_certificate_authority_contradicts_a_url_that_turns_tls_off() {
        let url: DatabaseUrl = "postgres://db.example/figures?sslmode=disable".parse().unwrap();
        assert_eq!(url.clone().with_ca(None), Ok(url.clone()));
        let rejected = url.with_ca(Some("ca.pem".as_ref())).unwrap_err();
        assert_eq!(rejected, InvalidAuthority::Disabled);
    }
}
