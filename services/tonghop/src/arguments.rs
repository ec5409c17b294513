//! The command line. Every setting has an environment variable of the same name.

use std::net::SocketAddr;
use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser, Subcommand};
use tonghop_api::FrontOptions;
use tonghop_domain::{Actor, Catalogue, KeyId, Role, UnitCode};
use tonghop_events::{AmqpSettings, Bus};
use tonghop_storage::{DatabaseUrl, Store, StoreError};

use crate::failure::{Failure, failed, wrong_setting};

/// tonghop: districts report figures as JSON; the province's totals follow at once and can be proved.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) settings: Settings,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the whole service in this process
    Serve(ServeOptions),
    /// Runs the service with an illustrative set of fourteen submissions, in a database that is thrown away
    Demo(ServeOptions),
    /// Brings the database to this version and makes the catalogue its own
    Migrate,
    /// Recounts every total from the submissions and names each difference
    Verify,
    /// Refreshes every total from the submissions, while the service goes on
    Rebuild,
    /// Copies the SQLite file into a new one, while the service goes on
    Backup {
        /// The new file
        file: PathBuf,
    },
    /// Makes, lists and revokes access keys
    Key {
        #[command(subcommand)]
        action: KeyAction,
    },
    /// Shows who did what, and proves that nobody has changed the record of it
    Audit {
        #[command(subcommand)]
        action: AuditAction,
        /// The file in which the service notes the heads of the trail's chain
        /// [default: beside the SQLite file, with `.audit-heads` after its name]
        #[arg(long, env = "TONGHOP_AUDIT_HEADS", global = true)]
        heads: Option<PathBuf>,
    },
    /// Lists or drops the announcements that nobody could act upon; they are hints, and their totals are swept up
    DeadLetters {
        #[command(subcommand)]
        action: DeadLettersAction,
    },
    /// Sends a file to a running service: one submission as JSON, or one a line as NDJSON
    Submit {
        /// The file; - for standard input
        file: PathBuf,
        /// The service
        #[arg(long, env = "TONGHOP_URL", default_value = "http://127.0.0.1:8080")]
        url: String,
        /// The access key, better given as TONGHOP_KEY: others can see the arguments of a process
        #[arg(long, env = "TONGHOP_KEY", hide_env_values = true)]
        key: String,
        #[command(flatten)]
        trusted: Trusted,
    },
    /// Asks a running service whether it is ready; exit code 0 if it is
    Healthcheck {
        /// What to ask
        #[arg(default_value = "http://127.0.0.1:8080/readyz")]
        url: String,
        #[command(flatten)]
        trusted: Trusted,
    },
    /// Prints the OpenAPI document
    ExportOpenapi,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyAction {
    /// Makes a key and prints it, alone on the last line; it is not shown again
    Create {
        /// submitter, reader or admin
        #[arg(long)]
        role: Role,
        /// The code of the unit on which it acts, and on all below it [default: the root]
        #[arg(long)]
        unit: Option<UnitCode>,
        /// The day on which the unit has this code, for codes that were given again [default: today, else the last one]
        #[arg(long)]
        date: Option<NaiveDate>,
        /// Whose it is, in words
        #[arg(long, default_value = "")]
        label: String,
        /// The time from which on it is no longer taken, as in 2027-01-01T00:00:00+07:00
        #[arg(long)]
        expires: Option<DateTime<Utc>>,
    },
    /// Shows every key that ever was, without its secret
    List,
    /// Revokes a key: within 5 seconds nobody can use it
    Revoke {
        /// Its id, the eight characters after th_
        id: KeyId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditAction {
    /// Shows entries, the oldest first
    List {
        /// Only what this key did, or local-operator
        #[arg(long)]
        actor: Option<Actor>,
        /// Only what was on the unit with this code, or had it on another day
        #[arg(long)]
        unit: Option<UnitCode>,
        /// Only what was written at this time or later, as in 2027-01-01T00:00:00+07:00
        #[arg(long)]
        since: Option<DateTime<Utc>>,
    },
    /// Recomputes the chain and names what was changed, inserted, removed or cut off
    Verify,
    /// Writes every entry with its place in the chain, one a line, as JSON
    Export,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersAction {
    /// Shows each and leaves it where it is
    List,
    /// Removes all of them
    Drop {
        /// Only those with this id
        #[arg(long)]
        id: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Trusted {
    /// A PEM file with the certificate authority of the service, for https [default: those of the operating system]
    #[arg(long, env = "TONGHOP_CA")]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    /// Where to listen
    #[arg(long, env = "TONGHOP_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// How many requests a second a key may make on the average; 0 for as many as it wants
    #[arg(long, env = "TONGHOP_KEY_RATE", default_value_t = 100)]
    pub(crate) key_rate: u32,
    /// The file in which to note the heads of the audit trail's chain
    /// [default: beside the SQLite file, with `.audit-heads` after its name]
    #[arg(long, env = "TONGHOP_AUDIT_HEADS")]
    pub(crate) audit_heads: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) front: FrontOptions,
    /// Milliseconds between two sweeps for totals whose announcements were lost
    #[arg(long, env = "TONGHOP_SWEEP_INTERVAL_MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sweep_interval_ms: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Settings {
    /// The database: sqlite:PATH or postgres://USER@HOST/DATABASE [default: sqlite:tonghop.db]
    #[arg(long, env = "TONGHOP_DATABASE_URL", hide_env_values = true, global = true)]
    pub(crate) database_url: Option<String>,
    /// A PEM file with the certificate authority of PostgreSQL, which then must speak TLS [default: by sslmode in the URL]
    #[arg(long, env = "TONGHOP_DATABASE_CA", global = true)]
    database_ca: Option<PathBuf>,
    /// The broker: amqp://USER:PASSWORD@HOST/VHOST; without it, announcements stay inside the process
    #[arg(long, env = "TONGHOP_AMQP_URL", hide_env_values = true, global = true)]
    amqp_url: Option<String>,
    /// A PEM file with the certificate authority of the broker, for amqps [default: those of the operating system]
    #[arg(long, env = "TONGHOP_AMQP_CA", global = true)]
    amqp_ca: Option<PathBuf>,
    /// The prefix of exchange and queue names
    #[arg(
        long,
        env = "TONGHOP_AMQP_NAMESPACE",
        default_value = "tonghop",
        global = true
    )]
    amqp_namespace: String,
    /// A folder with a catalogue; the built-in one if it is not given
    #[arg(long, env = "TONGHOP_CATALOGUE", global = true)]
    catalogue: Option<PathBuf>,
    /// What to log: error, warn, info, debug, or tracing directives
    #[arg(long, env = "TONGHOP_LOG", default_value = "info", global = true)]
    log: String,
}

impl Settings {
    pub(crate) fn start_log(&self) -> Result<(), Failure> {
        tonghop_process::start_log(&self.log).map_err(wrong_setting)
    }

    /// The same settings with another database.
    pub(crate) fn with_database(&self, database_url: String) -> Self {
        Self {
            database_url: Some(database_url),
            ..self.clone()
        }
    }

    pub(crate) fn database(&self) -> Result<DatabaseUrl, Failure> {
        let url = self.database_url.as_deref().unwrap_or("sqlite:tonghop.db");
        let url: DatabaseUrl = url.parse().map_err(wrong_setting)?;
        url.with_ca(self.database_ca.as_deref()).map_err(wrong_setting)
    }

    pub(crate) fn bus(&self) -> Result<Bus, Failure> {
        match &self.amqp_url {
            Some(url) => {
                let settings = AmqpSettings::parse(url, &self.amqp_namespace).map_err(wrong_setting)?;
                let settings = settings.with_ca(self.amqp_ca.as_deref());
                settings.map(Bus::Amqp).map_err(wrong_setting)
            }
            None => Ok(Bus::in_process()),
        }
    }

    pub(crate) fn catalogue(&self) -> Result<Catalogue, Failure> {
        let catalogue = match &self.catalogue {
            Some(folder) => tonghop_catalogue::load(folder),
            None => tonghop_catalogue::built_in(),
        };
        catalogue.map_err(wrong_setting)
    }

    /// Opens the database with the catalogue.
    pub(crate) async fn open(&self, url: &DatabaseUrl) -> Result<Store, Failure> {
        let catalogue = self.catalogue()?;
        Store::open(url, catalogue)
            .await
            .map_err(|error| store_failure(url, &error))
    }
}

pub(crate) fn store_failure(url: &DatabaseUrl, error: &StoreError) -> Failure {
    match error {
        StoreError::CatalogueMismatch | StoreError::CatalogueInUse(_) => {
            wrong_setting(format!("{url}: {error}"))
        }
        error => failed(format!("{url}: {error}")),
    }
}
