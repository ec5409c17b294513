//! Access keys, kept in memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Caller, Key, KeyId, KeyState, TokenDigest};
use tonghop_storage::{Store, StoreError};

use crate::rate_limit::RateLimits;
use crate::refusal::{KeyRefusal, Refusal};
use crate::token::Token;

/// The interval at which keys are read from the database; a revoked key is refused after it at the latest.
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// The same while the database does not answer.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// The age at which keys in memory are no longer trusted.
const MAX_AGE: Duration = Duration::from_secs(5);
/// The shortest time between two reads. An unknown key may be new, but however many are tried, the database is not asked
/// more often than this.
const MIN_READ_INTERVAL: Duration = Duration::from_millis(250);
/// The interval at which all keys are read; between, only those that were created or revoked since the last read. It finds
/// what was changed outside the service, or at a time that a clock that was set back gave.
const READ_ALL_INTERVAL: Duration = Duration::from_secs(30);
/// How far before the last known change a read looks for further ones, since changes are committed out of order.
const LOOK_BACK: chrono::Duration = chrono::Duration::hours(1);
/// The interval at which the last uses of keys are written.
const USES_INTERVAL: Duration = Duration::from_secs(30);

/// The keys of the service. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct KeyCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    known: RwLock<Known>,
    /// Locked while the keys are read: when the last read began, and its outcome.
    reading: tokio::sync::Mutex<Option<(Instant, Result<(), StoreError>)>>,
    used: Mutex<HashMap<KeyId, DateTime<Utc>>>,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<KeyId, (Key, TokenDigest)>,
    /// When the read of these keys began.
    read_at: Option<Instant>,
    /// When the last read of all keys began.
    all_read_at: Option<Instant>,
}

impl Known {
    /// The time of the last creation or revocation.
    fn last_change(&self) -> Option<DateTime<Utc>> {
        let keys = self.keys.values().map(|(key, _)| key);
        keys.map(|key| key.revoked_at.unwrap_or(key.created_at).max(key.created_at))
            .max()
    }
}

impl KeyCache {
    /// An empty cache.
    pub(crate) fn new(store: Store) -> Self {
        Self(Arc::new(Inner {
            store,
            known: RwLock::default(),
            reading: tokio::sync::Mutex::default(),
            used: Mutex::default(),
        }))
    }

    /// Reads the keys again and again until `stop`; now and then, writes which were used and forgets idle callers.
    pub(crate) async fn run(&self, forget_idle: impl Fn(), stop: &CancellationToken) {
        let reading = async {
            let mut written = Instant::now();
            loop {
                let wait = match self.read_since(Instant::now()).await {
                    Ok(()) => READ_INTERVAL,
                    Err(error) => {
                        tracing::warn!(%error, "access keys could not be read");
                        RETRY_INTERVAL
                    }
                };
                if written.elapsed() > USES_INTERVAL {
                    written = Instant::now();
                    self.write_uses().await;
                    forget_idle();
                }
                tokio::time::sleep(wait).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = reading => {}
        }
    }

    /// Writes which keys were used since the last time.
    pub(crate) async fn write_uses(&self) {
        let used = std::mem::take(&mut *self.0.used.lock().unwrap_or_else(PoisonError::into_inner));
        if used.is_empty() {
            return;
        }
        if let Err(error) = self.0.store.note_key_uses(used.into_iter().collect()).await {
            tracing::warn!(%error, "the last uses of access keys could not be written");
        }
    }

    /// The caller with a token that came from an address.
    pub(crate) async fn caller(
        &self,
        token: &Token,
        address: Option<IpAddr>,
        limits: &RateLimits,
    ) -> Result<Caller, Refusal> {
        let arrived = Instant::now();
        let is_fresh = self.with_known(|known| known.read_at.is_some_and(|at| at.elapsed() < MAX_AGE));
        if !is_fresh {
            self.read_since(arrived).await?;
        }
        if !self.contains(&token.id()) {
            address.map_or(Ok(()), |address| limits.check_unknown_key(address))?;
            self.read_since(arrived).await?;
        }
        let now = Utc::now();
        let caller = self.with_known(|known| {
            let known = known.keys.get(&token.id());
            known
                .filter(|(_, digest)| token.has_digest(digest))
                .map(|(key, _)| Caller::from(key))
        });
        let Some(caller) = caller else {
            address.inspect(|address| limits.count_unknown_key(*address));
            return Err(Refusal::Key(KeyRefusal::Unknown));
        };
        self.check(&caller.key)?;
        let mut used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(caller.key.clone(), now);
        Ok(caller)
    }

    /// Fails unless a key that was valid still is.
    pub(crate) fn check(&self, id: &KeyId) -> Result<(), Refusal> {
        let state = self.with_known(|known| known.keys.get(id).map(|(key, _)| key.state(Utc::now())));
        match state {
            Some(KeyState::Valid) => Ok(()),
            Some(KeyState::Expired) => Err(Refusal::Key(KeyRefusal::Expired)),
            Some(KeyState::Revoked) => Err(Refusal::Key(KeyRefusal::Revoked)),
            None => Err(Refusal::Key(KeyRefusal::Unknown)),
        }
    }

    /// Whether a key with this id was ever issued.
    pub(crate) fn contains(&self, id: &KeyId) -> bool {
        self.with_known(|known| known.keys.contains_key(id))
    }

    fn with_known<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.0.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the keys, unless a read began after `time`.
    async fn read_since(&self, time: Instant) -> Result<(), StoreError> {
        let mut last = self.0.reading.lock().await;
        if let Some((began, outcome)) = &*last {
            if *began >= time {
                return outcome.clone();
            }
            tokio::time::sleep_until(*began + MIN_READ_INTERVAL).await;
        }
        let began = Instant::now();
        let outcome = self.read(began).await;
        *last = Some((began, outcome.clone()));
        outcome
    }

    async fn read(&self, began: Instant) -> Result<(), StoreError> {
        let (all_read_at, last_change) = self.with_known(|known| (known.all_read_at, known.last_change()));
        let of_all = all_read_at.filter(|at| began.duration_since(*at) < READ_ALL_INTERVAL);
        let since = of_all.and(last_change);
        let read = match since {
            Some(since) => self.0.store.keys_changed_since(since - LOOK_BACK).await?,
            None => self.0.store.keys().await?,
        };
        if read.is_empty() && self.with_known(|known| known.read_at.is_none()) {
            tracing::warn!("there is no access key yet: create one with `tonghop key create --role admin`");
        }
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        if since.is_none() {
            known.keys.clear();
            known.all_read_at = Some(began);
        }
        known.keys.extend(
            read.into_iter()
                .map(|(key, digest)| (key.id.clone(), (key, digest))),
        );
        known.read_at = Some(began);
        Ok(())
    }
}
