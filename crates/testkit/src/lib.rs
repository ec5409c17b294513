//! What tests stand on: fresh databases, a broker, private servers to stop and start, and a proxy that breaks
//! connections on purpose.
//!
//! It is a dev-dependency only. It knows nothing of tonghop's tables, queues or HTTP: a test gets an empty database and
//! a URL, and brings the rest itself. The servers come from `tests/run`, through `TEST_POSTGRES_URL` and
//! `TEST_AMQP_URL`; SQLite needs neither.
//!
//! ```
//! let database = tonghop_testkit::sqlite_database();
//! assert!(database.url().starts_with("sqlite:"));
//! ```
#![expect(
    clippy::expect_used,
    reason = "a test stops at the first surprise, and says where"
)]

mod database;
mod proxy;
mod server;

use std::net::TcpListener;

use uuid::Uuid;

pub use database::{TestDatabase, postgres_database, postgres_database_at, postgres_member, sqlite_database};
pub use proxy::FaultProxy;
pub use server::{PrivateBroker, PrivatePostgres};

/// The URL of the broker that all tests share; use it with a [`namespace`] of your own.
///
/// # Panics
/// When `TEST_AMQP_URL` is not set.
pub fn amqp_url() -> String {
    required("TEST_AMQP_URL")
}

/// The same broker for a user of fewer rights: `tonghop_api` or `tonghop_aggregator`, with the same password. The brokers
/// that `tests/servers/rabbitmq` starts have both. Whoever brings a broker without them sets `TEST_AMQP_ONE_USER`, and the
/// user of the URL does everything.
pub fn amqp_member(url: &str, user: &str) -> String {
    match std::env::var_os("TEST_AMQP_ONE_USER") {
        Some(_) => url.to_owned(),
        None => database::with_user(url, user),
    }
}

/// A name that no other test uses, made of lower-case letters, digits and `_`: for exchanges, queues and databases.
pub fn namespace() -> String {
    format!("test_{}", Uuid::now_v7().simple())
}

/// A port of 127.0.0.1 on which nothing listens.
///
/// It lies below the range from which systems take the ports of outgoing connections, so that a load test does not
/// take it before the server that it is meant for has started.
///
/// # Panics
/// When a hundred tries find none.
pub fn free_port() -> u16 {
    (0..100)
        .map(|_| {
            let random = Uuid::now_v7().into_bytes();
            15_000 + u16::from_be_bytes([random[14], random[15]]) % 17_000
        })
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("there is a free port between 15000 and 32000")
}

fn required(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run the tests by tests/run, which starts the servers and sets it")
    })
}
