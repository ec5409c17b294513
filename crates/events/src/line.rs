//! Keeps one side connected: link after link, until told to stop.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::back_off::BackOff;
use crate::link::{Fault, Link};
use crate::{AmqpSettings, Health};

const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A link that worked for so long was a good one: the next pause is short again.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// One side's connections, one after the other. Tells the log and the health only when things change.
pub(crate) struct Line<'a> {
    settings: &'a AmqpSettings,
    role: &'static str,
    health: &'a Health,
    stop: &'a CancellationToken,
    back_off: BackOff,
    pause: Option<Duration>,
    standing: Standing,
}

enum Standing {
    Untried,
    Up(Instant),
    Down,
}

impl<'a> Line<'a> {
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
            standing: Standing::Untried,
        }
    }

    /// The next connection, after as many attempts as it takes; none once it is time to stop.
    pub(crate) async fn open(&mut self) -> Option<Link> {
        loop {
            if let Some(pause) = self.pause.take() {
                self.stop.run_until_cancelled(sleep(pause)).await?;
            }
            match self
                .stop
                .run_until_cancelled(Link::open(self.settings, self.role))
                .await?
            {
                Ok(link) => return Some(link),
                Err(fault) => self.down(&fault),
            }
        }
    }

    /// Announcements pass: called when a link has proved itself, not when it is merely open.
    pub(crate) fn up(&mut self) {
        if matches!(self.standing, Standing::Up(_)) {
            return;
        }
        tracing::info!(role = self.role, "broker connected");
        self.standing = Standing::Up(Instant::now());
        self.health.up();
    }

    /// Announcements no longer pass.
    pub(crate) fn down(&mut self, fault: &Fault) {
        match self.standing {
            Standing::Up(since) if since.elapsed() >= GOOD_FOR => self.back_off.reset(),
            _ => {}
        }
        match self.standing {
            Standing::Down => tracing::debug!(role = self.role, %fault, "announcements still do not pass"),
            _ => tracing::warn!(role = self.role, %fault, "announcements do not pass, retrying"),
        }
        self.standing = Standing::Down;
        self.health.down();
        self.pause = Some(self.back_off.pause());
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.health.down();
    }
}
