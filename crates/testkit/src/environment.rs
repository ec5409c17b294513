//! What tests get from their environment: variables, unused names and unused ports.

use std::net::TcpListener;

use uuid::Uuid;

/// Returns a variable that `tests/run` sets.
pub(crate) fn required(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run the tests by tests/run, which starts the servers and sets it")
    })
}

/// Returns a name that no other test uses, of lower-case letters, digits and `_`, for exchanges, queues and databases.
pub fn namespace() -> String {
    format!("test_{}", Uuid::now_v7().simple())
}

/// Returns an unused port of 127.0.0.1.
///
/// The port is below the range from which systems choose the ports of outgoing connections. Otherwise a load test could use
/// it before the intended server has started.
///
/// # Panics
/// Panics if a hundred attempts find none.
pub fn free_port() -> u16 {
    (0..100)
        .map(|_| {
            let random = Uuid::now_v7().into_bytes();
            15_000 + u16::from_be_bytes([random[14], random[15]]) % 17_000
        })
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("there is a free port between 15000 and 32000")
}
