//! The broker that all tests share.

use crate::environment::required;
use crate::url::with_user;

/// Returns the URL of the broker that all tests share. Use it with a [`namespace`](crate::environment::namespace) of your own.
///
/// # Panics
/// Panics if `TEST_AMQP_URL` is not set.
pub fn amqp_url() -> String {
    required("TEST_AMQP_URL")
}

/// Returns the URL with a user of fewer permissions, `tonghop_api` or `tonghop_aggregator`, and the same password.
///
/// The brokers that `tests/servers/rabbitmq` starts have both users. For a broker without them, set `TEST_AMQP_ONE_USER`: then
/// the user of the URL does everything.
pub fn amqp_member(url: &str, user: &str) -> String {
    match std::env::var_os("TEST_AMQP_ONE_USER") {
        Some(_) => url.to_owned(),
        None => with_user(url, user),
    }
}
