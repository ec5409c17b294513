//! Promises of the relay, the consumer and the dead letters, tested on a real RabbitMQ.
#![expect(clippy::unwrap_used, reason = "a failed test should say where")]

mod asyncapi;
mod consuming;
mod dead_letters;
mod outages;
mod outbox;
mod permissions;
mod proxy;
mod recorder;
mod relaying;
mod scene;
