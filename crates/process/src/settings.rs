//! The settings that every program has.

use std::path::PathBuf;

use clap::Args;
use tonghop_domain::Catalogue;
use tonghop_events::{AmqpSettings, Bus, InvalidAmqpUrl};
use tonghop_storage::{DatabaseUrl, Store};

use crate::failure::Failure;
use crate::log::{self, LogFilter, LogFormat};

/// The settings that every program has. URLs stay text until they are used: clap would quote an invalid one, with its
/// password.
#[derive(Clone, Args)]
#[command(next_help_heading = "Settings of every program")]
pub struct Settings {
    /// The database: sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE; tonghop-api and tonghop-aggregator require
    /// PostgreSQL [default of tonghop: sqlite:tonghop.db]
    #[arg(long, env = "TONGHOP_DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<String>,
    /// A PEM file with the certificate authority of PostgreSQL; requires TLS [default: as sslmode in the URL says]
    #[arg(long, env = "TONGHOP_DATABASE_CA", global = true)]
    database_ca: Option<PathBuf>,
    /// The broker: amqp://USER:PASSWORD@HOST/VHOST, or amqps:// for TLS; tonghop works without one
    #[arg(long, env = "TONGHOP_AMQP_URL", hide_env_values = true, global = true)]
    amqp_url: Option<String>,
    /// A PEM file with the certificate authority of the broker, for amqps:// [default: the operating system's]
    #[arg(long, env = "TONGHOP_AMQP_CA", global = true)]
    amqp_ca: Option<PathBuf>,
    /// The prefix of exchange and queue names
    #[arg(long, env = "TONGHOP_AMQP_NAMESPACE", default_value = AmqpSettings::DEFAULT_NAMESPACE, global = true)]
    amqp_namespace: String,
    /// A folder with a catalogue [default: the built-in catalogue]
    #[arg(long, env = "TONGHOP_CATALOGUE", global = true)]
    catalogue: Option<PathBuf>,
    /// What to log: off, error, warn, info, debug or trace, and levels of single targets, as in warn,tonghop_api=debug
    #[arg(long, env = "TONGHOP_LOG", default_value = "info", global = true)]
    log: LogFilter,
    /// The format of the log: text or json
    #[arg(long, env = "TONGHOP_LOG_FORMAT", default_value = "text", global = true)]
    log_format: LogFormat,
}

impl Settings {
    /// Starts the log. Call it once, first.
    pub fn start_log(&self) {
        log::start(&self.log, self.log_format);
    }

    /// Whether a database is configured.
    pub fn has_database(&self) -> bool {
        self.database_url.is_some()
    }

    /// The same settings with another database.
    #[must_use]
    pub fn with_database(&self, database_url: String) -> Self {
        Self {
            database_url: Some(database_url),
            ..self.clone()
        }
    }

    /// The configured database; without one, the SQLite file `tonghop.db` in the working folder.
    ///
    /// # Errors
    /// The URL is invalid, or its certificate authority cannot be used.
    pub fn database(&self) -> Result<DatabaseUrl, Failure> {
        let url = self.database_url.as_deref().unwrap_or("sqlite:tonghop.db");
        let url: DatabaseUrl = url.parse().map_err(|error| {
            Failure::configuration(format!("--database-url (TONGHOP_DATABASE_URL): {error}"))
        })?;
        url.with_ca(self.database_ca.as_deref())
            .map_err(Failure::configuration)
    }

    /// The configured PostgreSQL, for a process beside others.
    ///
    /// # Errors
    /// As [`Settings::database`]; or no database is configured, or it is a SQLite file.
    pub fn postgres(&self) -> Result<DatabaseUrl, Failure> {
        match self.database_url.as_ref().map(|_| self.database()).transpose()? {
            Some(url @ DatabaseUrl::Postgres(_)) => Ok(url),
            Some(DatabaseUrl::Sqlite(_)) | None => Err(Failure::configuration(
                "this program requires PostgreSQL: set --database-url (TONGHOP_DATABASE_URL) to \
                 postgres://USER:PASSWORD@HOST/DATABASE; with SQLite, run `tonghop serve`",
            )),
        }
    }

    /// The configured broker; without one, announcements stay in this process.
    ///
    /// # Errors
    /// The URL or the namespace is invalid, or the certificate authority cannot be used.
    pub fn bus(&self) -> Result<Bus, Failure> {
        match &self.amqp_url {
            Some(url) => self.broker(url).map(Bus::Amqp),
            None => Ok(Bus::in_process()),
        }
    }

    /// The configured RabbitMQ, for a process beside others.
    ///
    /// # Errors
    /// As [`Settings::bus`]; or no broker is configured.
    pub fn rabbitmq(&self) -> Result<Bus, Failure> {
        let url = self.amqp_url.as_deref().ok_or_else(|| {
            Failure::configuration(
                "this program requires RabbitMQ: set --amqp-url (TONGHOP_AMQP_URL) to \
                 amqp://USER:PASSWORD@HOST:5672/VHOST; without a broker, run `tonghop serve`",
            )
        })?;
        self.broker(url).map(Bus::Amqp)
    }

    fn broker(&self, url: &str) -> Result<AmqpSettings, Failure> {
        let settings = AmqpSettings::parse(url, &self.amqp_namespace).map_err(|error| match error {
            InvalidAmqpUrl::Namespace => Failure::configuration(error),
            error => Failure::configuration(format!("--amqp-url (TONGHOP_AMQP_URL): {error}")),
        })?;
        settings
            .with_ca(self.amqp_ca.as_deref())
            .map_err(Failure::configuration)
    }

    /// The configured catalogue.
    ///
    /// # Errors
    /// A file of the folder is missing or invalid.
    pub fn catalogue(&self) -> Result<Catalogue, Failure> {
        let catalogue = match &self.catalogue {
            Some(folder) => tonghop_catalogue::load(folder),
            None => tonghop_catalogue::built_in(),
        };
        catalogue.map_err(Failure::configuration)
    }

    /// Opens a database with the configured catalogue.
    ///
    /// # Errors
    /// The catalogue is invalid, or the database is unavailable, not migrated, or has another catalogue.
    pub async fn open_store(&self, url: &DatabaseUrl) -> Result<Store, Failure> {
        Store::open(url, self.catalogue()?)
            .await
            .map_err(|error| Failure::database(url, &error))
    }
}

/// Leaves URLs out: they can hold passwords.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("catalogue", &self.catalogue)
            .field("log", &self.log)
            .field("log_format", &self.log_format)
            .finish_non_exhaustive()
    }
}
