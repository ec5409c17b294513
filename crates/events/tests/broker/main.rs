//! What relay and consumer promise, tried on a real RabbitMQ.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod consuming;
mod dead_letters;
mod outbox;
mod proxy;
mod recorder;
mod relaying;
mod rights;
mod scene;
mod surviving;
