//! Support for tests: small catalogues, fresh databases, a broker, private servers to stop and restart, and a proxy that
//! breaks connections.
//!
//! It is a dev-dependency only. It knows nothing of the tables, queues or HTTP of tonghop: a test gets an empty database and a
//! URL, and provides the rest itself. `tests/run` starts the servers and passes their URLs in `TEST_POSTGRES_URL` and
//! `TEST_AMQP_URL`; SQLite needs neither.
//!
//! ```
//! let database = tonghop_testkit::sqlite_database();
//! assert!(database.url().starts_with("sqlite:"));
//! ```
#![expect(clippy::expect_used, reason = "a failed test should say where")]

mod broker;
pub mod catalogue;
mod database;
mod environment;
mod proxy;
mod server;
mod url;

pub use broker::{amqp_member, amqp_url};
pub use database::{TestDatabase, postgres_database, postgres_database_at, postgres_member, sqlite_database};
pub use environment::{free_port, namespace};
pub use proxy::FaultProxy;
pub use server::{PrivateBroker, PrivatePostgres};
