//! SIGTERM, SIGINT and SIGHUP.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Handles the signals of a program that serves, from now until the process ends. Returns a token that SIGTERM and SIGINT
/// cancel; each SIGHUP calls `reload`. A program without anything to reload still handles SIGHUP, because by default the
/// signal would kill it.
///
/// # Errors
/// The operating system refuses the handlers.
pub fn handle_signals(reload: impl Fn() + Send + 'static) -> Result<CancellationToken, Failure> {
    let install =
        |kind| signal(kind).map_err(|error| Failure::runtime(format!("cannot handle signals: {error}")));
    let mut terminate = install(SignalKind::terminate())?;
    let mut interrupt = install(SignalKind::interrupt())?;
    let mut hangup = install(SignalKind::hangup())?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("stopping on SIGTERM"),
                _ = interrupt.recv() => tracing::info!("stopping on SIGINT"),
                _ = hangup.recv() => {
                    reload();
                    continue;
                }
            }
            stopping.cancel();
        }
    });
    Ok(stop)
}
