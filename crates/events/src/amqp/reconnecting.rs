//! Reconnecting to RabbitMQ: one connection after another, with a pause after each failure, until told to stop.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::amqp::connection::{Connection, ConnectionError};
use crate::amqp::settings::AmqpSettings;
use crate::back_off::BackOff;
use crate::health::Health;

const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// After a connection that worked for this long, the next pause is short again.
const STABLE_AFTER: Duration = Duration::from_secs(1);

/// The connections of one relay or consumer. Writes to the log, and to the health, only when the state changes.
pub(crate) struct Reconnecting<'a> {
    settings: &'a AmqpSettings,
    role: &'static str,
    health: &'a Health,
    stop: &'a CancellationToken,
    back_off: BackOff,
    pause: Option<Duration>,
    state: LinkState,
}

enum LinkState {
    Untried,
    Up(Instant),
    Down,
}

impl<'a> Reconnecting<'a> {
    pub(crate) fn new(
        settings: &'a AmqpSettings,
        role: &'static str,
        health: &'a Health,
        stop: &'a CancellationToken,
    ) -> Self {
        let back_off = BackOff::new(SHORTEST_PAUSE, LONGEST_PAUSE);
        Self {
            settings,
            role,
            health,
            stop,
            back_off,
            pause: None,
            state: LinkState::Untried,
        }
    }

    /// Opens the next connection, after as many attempts as it takes. Returns `None` once `stop` is cancelled.
    pub(crate) async fn connect(&mut self) -> Option<Connection> {
        loop {
            if let Some(pause) = self.pause.take() {
                self.stop.run_until_cancelled(sleep(pause)).await?;
            }
            match self
                .stop
                .run_until_cancelled(Connection::open(self.settings, self.role))
                .await?
            {
                Ok(connection) => return Some(connection),
                Err(error) => self.mark_down(&error),
            }
        }
    }

    /// Records that announcements pass. Call it when the connection has worked, not when it is merely open.
    pub(crate) fn mark_up(&mut self) {
        if matches!(self.state, LinkState::Up(_)) {
            return;
        }
        tracing::info!(role = self.role, "broker connected");
        self.state = LinkState::Up(Instant::now());
        self.health.set_connected();
    }

    /// Records that announcements no longer pass.
    pub(crate) fn mark_down(&mut self, error: &ConnectionError) {
        match self.state {
            LinkState::Up(since) if since.elapsed() >= STABLE_AFTER => self.back_off.reset(),
            _ => {}
        }
        match self.state {
            LinkState::Down => tracing::debug!(role = self.role, %error, "broker still disconnected"),
            _ => tracing::warn!(role = self.role, %error, "broker disconnected, retrying"),
        }
        self.state = LinkState::Down;
        self.health.set_disconnected();
        self.pause = Some(self.back_off.next_pause());
    }
}

impl Drop for Reconnecting<'_> {
    fn drop(&mut self) {
        self.health.set_disconnected();
    }
}
