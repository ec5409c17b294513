//! The change feed of a process: it reads the changes once for all who listen.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, broadcast};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tonghop_storage::{FeedChange, Store, StoreError};

/// The interval at which the database is asked for changes while anyone listens.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The changes that are read at once for all who listen, of each kind.
const READ_AT_ONCE: usize = 1_000;
/// The batches that a listener may be behind before it reads for itself.
const BATCHES: usize = 16;
/// The time until a read that failed is tried again.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// The time for which reads may fail before the streams of listeners end. A client learns the reason when it connects again.
const MAX_OUTAGE: Duration = Duration::from_secs(30);

/// The feed of a process. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    batches: broadcast::Sender<News>,
    /// Wakes the reading when somebody listens.
    joined: Notify,
    closed: CancellationToken,
}

/// What the feed sends to its listeners: a batch, or none when it cannot read changes, which ends them.
pub(crate) type News = Option<Arc<Batch>>;

/// Everything that changed after a time and up to another.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) after: DateTime<Utc>,
    pub(crate) up_to: DateTime<Utc>,
    pub(crate) changes: Vec<FeedChange>,
}

/// Somebody who listens.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) batches: broadcast::Receiver<News>,
    /// Cancelled when the process stops.
    pub(crate) closed: CancellationToken,
}

impl Feed {
    /// A feed that nobody listens to.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            batches: broadcast::channel(BATCHES).0,
            joined: Notify::new(),
            closed: CancellationToken::new(),
        }))
    }

    /// Listens to the batches from now on.
    pub(crate) fn subscribe(&self) -> Subscription {
        let subscription = Subscription {
            batches: self.0.batches.subscribe(),
            closed: self.0.closed.clone(),
        };
        self.0.joined.notify_one();
        subscription
    }

    /// Reads the changes for all who listen, as long as anyone does, until `stop`; then all of them end.
    pub(crate) async fn run(&self, store: &Store, stop: &CancellationToken) {
        let reading = async {
            loop {
                self.0.joined.notified().await;
                self.read_while_heard(store).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = reading => {}
        }
        self.0.closed.cancel();
    }

    async fn read_while_heard(&self, store: &Store) {
        let mut outage = Outage::default();
        let Some(mut after) = self.begin(store, &mut outage).await else {
            return;
        };
        while self.is_heard() {
            match self.read(store, after).await {
                Ok((up_to, more)) => {
                    outage = Outage::default();
                    after = up_to;
                    if !more {
                        sleep(POLL_INTERVAL).await;
                    }
                }
                // The next read begins at the same position, so listeners miss nothing.
                Err(error) => self.wait_after(&error, &mut outage).await,
            }
        }
    }

    /// Waits until the next read after one that failed; ends all listeners if reads have failed for too long.
    async fn wait_after(&self, error: &StoreError, outage: &mut Outage) {
        if outage.since.is_none() {
            tracing::warn!(%error, "the change feed cannot be read");
        }
        if outage.is_hopeless(error) {
            // It fails if nobody listens any more.
            drop(self.0.batches.send(None));
        }
        sleep(RETRY_INTERVAL).await;
    }

    /// The time of the last change, up to which those who listen read for themselves; none when nobody listens any more.
    async fn begin(&self, store: &Store, outage: &mut Outage) -> Option<DateTime<Utc>> {
        while self.is_heard() {
            match store.last_change().await {
                Ok(last) => {
                    let last = last.unwrap_or_default();
                    self.send(last, last, Vec::new());
                    return Some(last);
                }
                Err(error) => self.wait_after(&error, outage).await,
            }
        }
        None
    }

    /// Reads and sends what has changed after a time. Returns up to when, and whether there is more.
    async fn read(&self, store: &Store, after: DateTime<Utc>) -> Result<(DateTime<Utc>, bool), StoreError> {
        let page = store.changes(after, READ_AT_ONCE).await?;
        let Some(up_to) = page.changes.last().map(|change| change.at) else {
            return Ok((after, false));
        };
        self.send(after, up_to, page.changes);
        Ok((up_to, page.more))
    }

    fn send(&self, after: DateTime<Utc>, up_to: DateTime<Utc>, changes: Vec<FeedChange>) {
        let batch = Batch {
            after,
            up_to,
            changes,
        };
        // It fails if nobody listens any more.
        drop(self.0.batches.send(Some(Arc::new(batch))));
    }

    fn is_heard(&self) -> bool {
        self.0.batches.receiver_count() > 0
    }
}

/// The time since which reads fail.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    since: Option<Instant>,
}

impl Outage {
    /// Whether nobody should wait for the end any longer, after a read failed: it lasts too long, or it is not the kind of
    /// error that goes away.
    pub(crate) fn is_hopeless(&mut self, error: &StoreError) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        let may_end = matches!(
            error,
            StoreError::Unavailable(_) | StoreError::Overloaded | StoreError::Contention(_)
        );
        !may_end || since.elapsed() >= MAX_OUTAGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_waited_for_but_not_an_error_that_stays() {
        let unavailable = StoreError::Unavailable("the database is being restarted".into());
        let mut outage = Outage::default();
        assert!(!outage.is_hopeless(&unavailable));
        sleep(MAX_OUTAGE - RETRY_INTERVAL).await;
        assert!(!outage.is_hopeless(&unavailable));
        sleep(RETRY_INTERVAL).await;
        assert!(outage.is_hopeless(&unavailable));
        assert!(Outage::default().is_hopeless(&StoreError::CatalogueMismatch));
    }
}
