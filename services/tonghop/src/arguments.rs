//! The command line. Every setting is an option and an environment variable of the same name.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser, Subcommand};
use tonghop_aggregator::AggregatorOptions;
use tonghop_api::ServerOptions;
use tonghop_domain::{Actor, KeyId, Role, UnitCode};
use tonghop_process::Settings;

/// tonghop: districts report figures as JSON; the province's totals follow within milliseconds and can be verified.
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
    /// Run the whole service in this process
    Serve(ServeOptions),
    /// Run the service with fourteen illustrative submissions, in a temporary database unless one is configured
    Demo(ServeOptions),
    /// Bring the database to this version and store the catalogue in it
    Migrate,
    /// Recount every total from the submissions and print each difference
    Verify {
        /// Retry totals with pending changes for this number of seconds, while a service applies the changes
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        wait: u64,
    },
    /// Refresh every total from the submissions, while the service runs
    Rebuild,
    /// Copy the SQLite file into a new file, while the service runs
    Backup {
        /// The new file
        file: PathBuf,
    },
    /// Create, list and revoke access keys
    Key {
        #[command(subcommand)]
        action: KeyAction,
    },
    /// Show who did what, and verify that nobody changed the record
    Audit {
        #[command(subcommand)]
        action: AuditAction,
        /// The file to which the service writes the heads of the audit trail [default: with SQLite, beside the database
        /// with .audit-heads after its name; with PostgreSQL, none]
        #[arg(long, env = "TONGHOP_AUDIT_HEADS", global = true)]
        heads: Option<PathBuf>,
    },
    /// List or drop the announcements that no aggregator could process; dropping them loses no figures
    DeadLetters {
        #[command(subcommand)]
        action: DeadLettersAction,
    },
    /// Send a file to a running service: one submission as JSON, or one per line as NDJSON
    Submit {
        /// The file; - for standard input
        file: PathBuf,
        /// The URL of the service
        #[arg(long, env = "TONGHOP_URL", default_value = "http://127.0.0.1:8080")]
        url: String,
        /// The access key; set TONGHOP_KEY instead, because other users can see the arguments of a process
        #[arg(long, env = "TONGHOP_KEY", hide_env_values = true)]
        key: String,
        #[command(flatten)]
        trust: TrustOptions,
    },
    /// Ask a running service whether it is ready; the exit code is 0 if it is
    Healthcheck {
        /// The URL to request
        #[arg(default_value = "http://127.0.0.1:8080/readyz")]
        url: String,
        #[command(flatten)]
        trust: TrustOptions,
    },
    /// Print the OpenAPI document
    ExportOpenapi,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyAction {
    /// Create a key and print it, alone on the last line; it cannot be shown again
    Create {
        /// submitter, reader, admin or metrics
        #[arg(long)]
        role: Role,
        /// The code of the unit; the key covers it and all units below it [default: the root]
        #[arg(long)]
        unit: Option<UnitCode>,
        /// The day on which the code belongs to the unit, for codes that were reused [default: today, or else the last
        /// unit with the code]
        #[arg(long)]
        date: Option<NaiveDate>,
        /// A note on who uses the key
        #[arg(long, default_value = "")]
        label: String,
        /// The time at which the key expires, such as 2027-01-01T00:00:00+07:00
        #[arg(long)]
        expires: Option<DateTime<Utc>>,
    },
    /// List all keys, also revoked and expired ones, without their secrets
    List,
    /// Revoke a key; within 5 seconds, every process rejects it
    Revoke {
        /// The id of the key: the eight characters after th_
        id: KeyId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditAction {
    /// List entries, oldest first
    List {
        /// Only entries of this key id, or of local-operator
        #[arg(long)]
        actor: Option<Actor>,
        /// Only entries about units that have or had this code
        #[arg(long)]
        unit: Option<UnitCode>,
        /// Only entries from this time on, such as 2027-01-01T00:00:00+07:00
        #[arg(long)]
        since: Option<DateTime<Utc>>,
    },
    /// Recompute the chain and print what was changed, inserted, removed or cut off
    Verify,
    /// Print every entry with its place in the chain, as one line of JSON
    Export,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersAction {
    /// List the messages and leave them in the queue
    List,
    /// Remove all messages
    Drop {
        /// Only messages with this id
        #[arg(long)]
        id: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TrustOptions {
    /// A PEM file with the certificate authority of the service, for https:// [default: the operating system's]
    #[arg(long, env = "TONGHOP_CA")]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    #[command(flatten)]
    pub(crate) aggregator: AggregatorOptions,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use tonghop_process::{VARIABLES, variables_of};

    use super::*;

    /// This program has every setting that exists.
    #[test]
    fn the_list_of_variables_is_complete_and_has_no_others() {
        let variables: Vec<String> = variables_of(&Arguments::command()).into_iter().collect();
        assert_eq!(variables, VARIABLES);
    }

    #[test]
    fn options_and_variables_are_consistent() {
        Arguments::command().debug_assert();
    }
}
