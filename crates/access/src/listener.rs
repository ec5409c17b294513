//! Somebody who follows the changes.

use chrono::{DateTime, Utc};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::sleep;
use tonghop_storage::FeedChange;

use crate::authorized::AuthorizedStore;
use crate::feed::{Batch, Outage, RETRY_INTERVAL, Subscription};
use crate::refusal::Refusal;
use crate::shares::Share;

/// The changes that a listener reads at once for itself. All of them may do so at the same time.
const CATCH_UP_AT_ONCE: usize = 200;

/// Some changes of the feed, in its order.
#[derive(Debug, Default)]
pub struct ChangePage {
    /// Those of them that the caller may know.
    pub changes: Vec<FeedChange>,
    /// The time after which the feed goes on, if there was any change: that of the last one, whether or not the caller may
    /// know it.
    pub up_to: Option<DateTime<Utc>>,
    /// Whether there are more.
    pub more: bool,
}

/// Somebody who follows the changes of units at or below their own.
#[derive(Debug)]
pub struct Listener {
    subscription: Subscription,
    store: AuthorizedStore,
    /// The time up to which it knows the changes.
    after: DateTime<Utc>,
    /// Whether there may be changes that it must read for itself.
    is_behind: bool,
    /// The time since which it cannot.
    outage: Outage,
    _share: Share,
}

impl Listener {
    /// Listens to the changes after a time.
    pub(crate) fn new(store: AuthorizedStore, share: Share, after: DateTime<Utc>) -> Self {
        Self {
            subscription: store.feed.subscribe(),
            store,
            after,
            is_behind: true,
            outage: Outage::default(),
            _share: share,
        }
    }

    /// The caller who listens.
    pub fn store(&self) -> &AuthorizedStore {
        &self.store
    }

    /// Waits for the next changes. A page without changes tells only up to when there are none for the caller. None when
    /// the service stops, the caller's key is no longer valid, or the changes can no longer be read.
    pub async fn next(&mut self) -> Option<ChangePage> {
        let (closed, store) = (self.subscription.closed.clone(), self.store.clone());
        tokio::select! {
            () = closed.cancelled() => None,
            _ = store.until_invalid() => None,
            page = self.wait() => page.filter(|_| store.is_valid()),
        }
    }

    async fn wait(&mut self) -> Option<ChangePage> {
        loop {
            if self.is_behind {
                match self.catch_up().await {
                    Ok(page) if page.up_to.is_some() => return Some(page),
                    Ok(_) => {}
                    Err(Refusal::Store(error)) if !self.outage.is_hopeless(&error) => {
                        sleep(RETRY_INTERVAL).await
                    }
                    Err(_) => return None,
                }
                continue;
            }
            match self.subscription.batches.recv().await {
                Ok(Some(batch)) => {
                    if let Some(page) = self.take(&batch) {
                        return Some(page);
                    }
                }
                Ok(None) => return None,
                Err(RecvError::Lagged(_)) => self.is_behind = true,
                // The process ends.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// Reads the next changes from the database.
    async fn catch_up(&mut self) -> Result<ChangePage, Refusal> {
        let page = self.store.changes(self.after, CATCH_UP_AT_ONCE).await?;
        self.after = page.up_to.unwrap_or(self.after);
        self.is_behind = page.more;
        self.outage = Outage::default();
        Ok(page)
    }

    /// The changes of a batch and of those after it that are there already; none if the listener knows them.
    fn take(&mut self, batch: &Batch) -> Option<ChangePage> {
        let mut page = ChangePage::default();
        self.append(&mut page, batch);
        while !self.is_behind {
            match self.subscription.batches.try_recv() {
                Ok(Some(batch)) => self.append(&mut page, &batch),
                Err(TryRecvError::Lagged(_)) => self.is_behind = true,
                // The feed says so again, if it cannot be read.
                Ok(None) | Err(_) => break,
            }
        }
        page.up_to.is_some().then_some(page)
    }

    fn append(&mut self, page: &mut ChangePage, batch: &Batch) {
        if batch.after > self.after {
            self.is_behind = true;
            return;
        }
        let new = batch.changes.iter().filter(|change| change.at > self.after);
        let known = new.filter(|change| self.store.reaches(&change.key));
        page.changes.extend(known.cloned());
        if batch.up_to > self.after {
            self.after = batch.up_to;
            page.up_to = Some(batch.up_to);
        }
    }
}
