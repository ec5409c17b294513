//! Runs the service in one of three ways and talks to it over HTTP, for the tests in `tests/tests`.
//!
//! Tests of the HTTP API run it inside their own process; tests of outages and commands run the real programs, with a
//! SQLite file or on PostgreSQL and RabbitMQ.

mod answer;
mod app;
mod authority;
mod client;
mod contract;
mod corruption;
mod events;
mod http;
mod in_process;
mod options;
mod process;
mod reports;
mod totals;
mod volume;
mod ways;

pub use answer::Answer;
pub use app::TestApp;
pub use authority::{Authority, Pair};
pub use client::{http_client, http_client_trusting};
pub use contract::check_answer;
pub use corruption::{corrupt, tamper};
pub use events::{Event, EventStream};
pub use options::{Options, Way};
pub use process::{Ended, Process, command, program, run_to_end};
pub use reports::{FORM, PERIOD, PROVINCE, broadcasts, submission};
pub use totals::Revisions;
pub use volume::Volume;
