//! Callers that wait until a total holds what they sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Revision, SubmissionKey};
use tonghop_storage::Store;

/// How often the database is asked, once for all who wait.
const ASK_INTERVAL: Duration = Duration::from_millis(50);

/// How many wait at the most; others are answered at once.
const MAX_WAITERS: usize = 1024;

/// Everyone in this process who waits. Clones share the list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wait(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waiters: Mutex<Waiters>,
    someone_waits: Notify,
    places: Semaphore,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            waiters: Mutex::default(),
            someone_waits: Notify::default(),
            places: Semaphore::new(MAX_WAITERS),
        }
    }
}

#[derive(Debug, Default)]
struct Waiters {
    waiting: Vec<Waiter>,
    over: bool,
}

#[derive(Debug)]
struct Waiter {
    key: SubmissionKey,
    received_at: DateTime<Utc>,
    tell: oneshot::Sender<DateTime<Utc>>,
}

impl Wait {
    /// Since when the totals hold a revision; none when they still do not after so many seconds,
    /// or too many wait already.
    pub(crate) async fn for_totals(&self, revision: &Revision, seconds: u64) -> Option<DateTime<Utc>> {
        let _place = self.0.places.try_acquire().ok()?;
        let (tell, told) = oneshot::channel();
        let waiter = Waiter {
            key: revision.key.clone(),
            received_at: revision.received_at,
            tell,
        };
        self.with(|waiters| {
            if !waiters.over {
                waiters.waiting.push(waiter);
            }
        });
        self.0.someone_waits.notify_one();
        timeout(Duration::from_secs(seconds), told).await.ok()?.ok()
    }

    /// Asks the database for all who wait, as long as anyone does, until `stop`; then nobody waits any more.
    pub(crate) async fn run(&self, store: &Store, stop: &CancellationToken) {
        let ask = async {
            loop {
                self.0.someone_waits.notified().await;
                while self.ask(store).await {
                    sleep(ASK_INTERVAL).await;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = ask => {}
        }
        self.with(|waiters| {
            waiters.over = true;
            waiters.waiting.clear();
        });
    }

    /// Asks once; whether someone still waits.
    async fn ask(&self, store: &Store) -> bool {
        let waiting = self.with(|waiters| {
            waiters.waiting.retain(|waiter| !waiter.tell.is_closed());
            std::mem::take(&mut waiters.waiting)
        });
        if waiting.is_empty() {
            return false;
        }
        let keys = waiting
            .iter()
            .map(|waiter| (waiter.key.clone(), waiter.received_at));
        // What cannot be read now may be readable in a moment; the callers' own deadlines end the waiting.
        let aggregated = store.aggregated_at(keys.collect()).await.unwrap_or_default();
        let mut remaining = Vec::new();
        let mut aggregated = aggregated.into_iter();
        for waiter in waiting {
            match aggregated.next().flatten() {
                Some(at) => drop(waiter.tell.send(at)),
                None => remaining.push(waiter),
            }
        }
        self.with(|waiters| {
            waiters.waiting.append(&mut remaining);
            !waiters.waiting.is_empty()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Waiters) -> T) -> T {
        act(&mut self.0.waiters.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
