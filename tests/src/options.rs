//! How a test runs the service.

use std::path::PathBuf;

use tonghop_storage::{AGGREGATOR_ROLE, API_ROLE};

/// How the service is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Inside the test's process, with a SQLite file: starts at once, but cannot be killed or given a command.
    InProcess,
    /// One program with a SQLite file.
    Embedded,
    /// PostgreSQL, RabbitMQ, api and aggregator programs.
    Servers,
}

/// What differs from the defaults.
#[derive(Clone, Debug)]
pub struct Options {
    /// Milliseconds between sweeps.
    pub sweep_interval_ms: u64,
    /// How many requests per second a key may make; 0 for any number, since one key serves many clients here.
    pub key_rate: u32,
    /// A catalogue folder.
    pub catalogue: Option<PathBuf>,
    /// Another broker than the one that all tests share.
    pub amqp_url: Option<String>,
    /// The users as which api and aggregators connect to the broker; none: both use the user of the URL.
    pub amqp_users: Option<[&'static str; 2]>,
    /// Another database than a fresh SQLite file or a fresh database on the PostgreSQL server that all tests share.
    pub database_url: Option<String>,
    /// The number of api and of aggregator processes, with servers.
    pub processes: (usize, usize),
    /// More settings, by their variables.
    pub settings: Vec<(&'static str, String)>,
    /// A program, with its first arguments, that runs the programs of the service.
    pub under: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sweep_interval_ms: 1000,
            key_rate: 0,
            catalogue: None,
            amqp_url: None,
            amqp_users: Some([API_ROLE, AGGREGATOR_ROLE]),
            database_url: None,
            processes: (2, 2),
            settings: Vec::new(),
            under: Vec::new(),
        }
    }
}
