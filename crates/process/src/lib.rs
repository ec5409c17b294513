//! What the programs of tonghop share: settings, exit codes, signals and logs.
//!
//! [`run`] is the body of each `main`: it parses the command line, rejects unknown `TONGHOP_*` variables, and ends the
//! process with the sentence and exit code of a [`Failure`]. [`Settings`] holds the options that every program has.
//! [`handle_signals`] stops on SIGTERM and SIGINT, and reloads on SIGHUP. [`ListenAddress`] binds sockets. This crate
//! knows nothing of HTTP, and nothing of what a program does with the database or the broker.
//!
//! In test builds (`debug_assertions`) a process also aborts at the step that `TONGHOP_CRASH_AT` names. Steps are trace
//! events with the target `tonghop::step`, one after each stage between a request and the acknowledgement of its
//! announcement.
//!
//! ```
//! let address: tonghop_process::ListenAddress = "localhost:0".parse()?;
//! let listeners = address.bind()?;
//! assert!(listeners[0].local_addr()?.ip().is_loopback());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arguments;
#[cfg(debug_assertions)]
mod crash_point;
mod environment;
mod failure;
mod listen;
mod log;
mod open_files;
mod program;
mod settings;
mod signals;

pub use environment::{VARIABLES, variables_of};
pub use failure::Failure;
pub use listen::{InvalidListenAddress, ListenAddress};
pub use log::{InvalidLogFilter, InvalidLogFormat, LogFilter, LogFormat};
pub use open_files::warn_without_open_files;
pub use program::run;
pub use settings::Settings;
pub use signals::handle_signals;
