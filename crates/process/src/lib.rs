//! What every program of tonghop has in common: where its memory comes from, and its log.
//!
//! In test builds (`debug_assertions`) it also takes a crash point from `TONGHOP_CRASH_AT`: the process aborts when it
//! comes to the step of that name. Steps are trace events with the target `tonghop::step`, one after each thing that
//! happens between a request and the acknowledgement of its announcement. This crate knows nothing of what they mean.

#[cfg(debug_assertions)]
mod crash_point;

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// A request takes hundreds of small pieces of memory and gives them back from another thread; the system's allocator took a
/// fifth of the time of the api. Linked into every program that uses this crate. Without huge pages, which take half as much
/// memory again.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The setting for the log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("--log {directives}: {cause}")]
pub struct InvalidLog {
    directives: String,
    cause: tracing_subscriber::filter::ParseError,
}

/// Writes the log to standard error from now on: `error`, `warn`, `info`, `debug`, or tracing directives.
///
/// # Errors
/// The directives cannot be read.
pub fn start_log(directives: &str) -> Result<(), InvalidLog> {
    // lapin calls errors what tonghop-events mends and tells of itself.
    let filter = EnvFilter::try_new(format!("lapin=off,{directives}")).map_err(|cause| InvalidLog {
        directives: directives.to_owned(),
        cause,
    })?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_filter(filter);
    let log = tracing_subscriber::registry().with(lines);
    #[cfg(debug_assertions)]
    let log = log.with(crash_point::from_environment());
    log.init();
    Ok(())
}
