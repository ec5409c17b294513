//! Callers that wait until a total contains what they sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Revision, SubmissionKey};
use tonghop_storage::Store;

/// The interval at which the database is asked, once for all who wait.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The callers of this process that wait. Clones share the list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiters(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    list: Mutex<List>,
    /// Wakes the polling when the list is no longer empty.
    added: Notify,
}

#[derive(Debug, Default)]
struct List {
    waiters: Vec<Waiter>,
    closed: bool,
}

#[derive(Debug)]
struct Waiter {
    key: SubmissionKey,
    received_at: DateTime<Utc>,
    reply: oneshot::Sender<DateTime<Utc>>,
}

impl Waiters {
    /// Waits until the totals contain a revision, and returns since when they do; none when they do not after `seconds`.
    pub(crate) async fn wait_for_totals(&self, revision: &Revision, seconds: u64) -> Option<DateTime<Utc>> {
        let (reply, answer) = oneshot::channel();
        let waiter = Waiter {
            key: revision.key.clone(),
            received_at: revision.received_at,
            reply,
        };
        self.with_list(|list| {
            if !list.closed {
                list.waiters.push(waiter);
            }
        });
        self.0.added.notify_one();
        timeout(Duration::from_secs(seconds), answer).await.ok()?.ok()
    }

    /// Asks the database for all who wait, as long as anyone does, until `stop`; then releases them all.
    pub(crate) async fn run(&self, store: &Store, stop: &CancellationToken) {
        let polling = async {
            loop {
                self.0.added.notified().await;
                while self.poll(store).await {
                    sleep(POLL_INTERVAL).await;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = polling => {}
        }
        self.with_list(|list| {
            list.closed = true;
            list.waiters.clear();
        });
    }

    /// Asks once, and returns whether anyone still waits.
    async fn poll(&self, store: &Store) -> bool {
        let waiting = self.with_list(|list| {
            list.waiters.retain(|waiter| !waiter.reply.is_closed());
            std::mem::take(&mut list.waiters)
        });
        if waiting.is_empty() {
            return false;
        }
        let keys = waiting
            .iter()
            .map(|waiter| (waiter.key.clone(), waiter.received_at));
        // What cannot be read now may be readable in a moment; the callers' own deadlines end the wait.
        let aggregated = store.aggregated_at(keys.collect()).await.unwrap_or_default();
        let mut remaining = Vec::new();
        let mut aggregated = aggregated.into_iter();
        for waiter in waiting {
            match aggregated.next().flatten() {
                Some(at) => drop(waiter.reply.send(at)),
                None => remaining.push(waiter),
            }
        }
        self.with_list(|list| {
            list.waiters.append(&mut remaining);
            !list.waiters.is_empty()
        })
    }

    fn with_list<T>(&self, act: impl FnOnce(&mut List) -> T) -> T {
        act(&mut self.0.list.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
