//! What goes over the network is encrypted, and goes to nobody else than was meant.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first surprise, and says where"
)]

mod dribbling;
mod https;
mod postgres;
mod rabbitmq;
mod raw;
mod reload;
