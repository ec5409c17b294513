//! Which database, as configured.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio_postgres::config::SslMode;
use tonghop_tls::{InvalidTrust, Trust};

/// A setting that names no database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a database URL is sqlite:PATH or postgres://USER@HOST/DATABASE, where sslmode is disable, prefer or require"
)]
pub struct InvalidDatabaseUrl;

/// Why it cannot be told whether the database is the one that is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthority {
    /// There shall be no TLS, and yet a certificate is to be checked.
    #[error(
        "the URL of the database says sslmode=disable, and TONGHOP_DATABASE_CA (--database-ca) asks for TLS"
    )]
    Disabled,
    /// There is nobody to vouch for the database.
    #[error("{0} (TONGHOP_DATABASE_CA, --database-ca)")]
    Trust(#[from] InvalidTrust),
}

/// Where the data are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file, used by one process.
    Sqlite(PathBuf),
    /// A PostgreSQL server; the URL may hold a password, so it is never printed.
    Postgres(PostgresUrl),
}

/// A PostgreSQL server, and who vouches for it.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    url: String,
    authority: Option<Trust>,
}

impl DatabaseUrl {
    /// The same, if it is a server, with TLS and a certificate of an authority in this PEM file, whatever the URL says.
    /// Without a file, `sslmode=require` means the authorities of the operating system.
    ///
    /// # Errors
    /// The file cannot be used, the system has no authorities, or the URL forbids TLS.
    pub fn with_ca(self, authority: Option<&Path>) -> Result<Self, InvalidAuthority> {
        let Self::Postgres(mut server) = self else {
            return Ok(self);
        };
        if let Some(file) = authority {
            if server.config().get_ssl_mode() == SslMode::Disable {
                return Err(InvalidAuthority::Disabled);
            }
            server.authority = Some(Trust::in_file(file)?);
        }
        server.trust()?;
        Ok(Self::Postgres(server))
    }
}

impl PostgresUrl {
    /// As `TONGHOP_DATABASE_URL` has it.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The server and how it is connected to. Who names an authority wants no connection without it.
    pub(crate) fn config(&self) -> tokio_postgres::Config {
        let mut config: tokio_postgres::Config = self.url.parse().unwrap_or_default();
        if self.authority.is_some() && config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(SslMode::Require);
        }
        config
    }

    /// Whom to trust to be the server. `sslmode=prefer`, which is the default, takes anybody, since it also does
    /// without TLS.
    pub(crate) fn trust(&self) -> Result<Trust, InvalidTrust> {
        match (&self.authority, self.config().get_ssl_mode()) {
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
                return Err(InvalidDatabaseUrl);
            }
            return Ok(Self::Sqlite(path.into()));
        }
        let is_postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        let parses = || {
            text.parse::<tokio_postgres::Config>()
                .is_ok_and(|config| !config.get_hosts().is_empty())
        };
        if is_postgres && parses() {
            Ok(Self::Postgres(PostgresUrl {
                url: text.to_owned(),
                authority: None,
            }))
        } else {
            Err(InvalidDatabaseUrl)
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "the SQLite file {}", path.display()),
            Self::Postgres(server) => {
                let config = server.config();
                let host = match config.get_hosts().first() {
                    Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
                    #[cfg(unix)]
                    Some(tokio_postgres::config::Host::Unix(path)) => path.display().to_string(),
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

    #[test]
    fn a_database_url_is_read_and_never_shows_its_password() {
        assert_eq!("sqlite:a.db".parse(), Ok(DatabaseUrl::Sqlite("a.db".into())));
        let url: DatabaseUrl = "postgres://u:secret@db.example:5433/figures".parse().unwrap();
        assert_eq!(
            format!("{url:?}"),
            "PostgreSQL at db.example:5433, database figures"
        );
        for wrong in [
            "",
            "sqlite:",
            "sqlite::memory:",
            "mysql://x",
            "postgres://",
            "tonghop.db",
            "postgres://db.example/figures?sslmode=perhaps",
        ] {
            assert!(wrong.parse::<DatabaseUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_authority_of_ones_own_does_not_go_with_a_url_that_forbids_tls() {
        let url: DatabaseUrl = "postgres://db.example/figures?sslmode=disable".parse().unwrap();
        assert_eq!(url.clone().with_ca(None), Ok(url.clone()));
        let refused = url.with_ca(Some("ca.pem".as_ref())).unwrap_err();
        assert_eq!(refused, InvalidAuthority::Disabled);
    }
}
