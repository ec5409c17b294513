//! Which database, as configured.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A setting that names no database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a database URL is sqlite:PATH or postgres://USER@HOST/DATABASE")]
pub struct InvalidDatabaseUrl;

/// Where the data are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file, used by one process.
    Sqlite(PathBuf),
    /// A PostgreSQL server; the URL may hold a password, so it is never printed.
    Postgres(String),
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
            Ok(Self::Postgres(text.to_owned()))
        } else {
            Err(InvalidDatabaseUrl)
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "the SQLite file {}", path.display()),
            Self::Postgres(url) => {
                let config: tokio_postgres::Config = url.parse().unwrap_or_default();
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
        ] {
            assert!(wrong.parse::<DatabaseUrl>().is_err(), "{wrong}");
        }
    }
}
