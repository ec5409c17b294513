//! Access keys, kept in memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Caller, Key, KeyId, KeyState, Token, TokenDigest};
use tonghop_storage::{Store, StoreError};

use crate::access::audit_log::Trail;
use crate::access::rate_limit::Limits;
use crate::problem::{KeyFault, Problem};

/// How often keys are read from the database: a revoked one is refused by then.
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// The same while the database does not answer.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// Keys that were read longer ago than this are not relied upon.
const RELIED_UPON: Duration = Duration::from_secs(5);
/// A key that is not known may be new; but however many are tried, the database is not asked more often than this.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How often it is noted which keys were used.
const NOTE_INTERVAL: Duration = Duration::from_secs(30);

/// The keys of the service. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    limits: Limits,
    trail: Trail,
    known: RwLock<Known>,
    /// Held while the keys are read: when the last reading began, and what came of it.
    reading: tokio::sync::Mutex<Option<(Instant, Result<(), StoreError>)>>,
    used: Mutex<HashMap<KeyId, DateTime<Utc>>>,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<KeyId, (Key, TokenDigest)>,
    /// When the reading of these keys began.
    read_at: Option<Instant>,
}

impl Keys {
    /// None are known until they are read.
    pub(crate) fn new(store: Store, limits: Limits, trail: Trail) -> Self {
        Self(Arc::new(Inner {
            store,
            limits,
            trail,
            known: RwLock::default(),
            reading: tokio::sync::Mutex::default(),
            used: Mutex::default(),
        }))
    }

    /// Reads the keys again and again until `stop`, and notes now and then which were used.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let reading = async {
            let mut noted = Instant::now();
            loop {
                let wait = match self.read_since(Instant::now()).await {
                    Ok(()) => READ_INTERVAL,
                    Err(error) => {
                        tracing::warn!(%error, "access keys were not read");
                        RETRY_INTERVAL
                    }
                };
                if noted.elapsed() > NOTE_INTERVAL {
                    noted = Instant::now();
                    self.note_uses().await;
                    self.0.limits.forget_the_idle();
                }
                tokio::time::sleep(wait).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = reading => {}
        }
    }

    /// The audit trail, into which callers' doings are noted.
    pub(crate) fn trail(&self) -> &Trail {
        &self.0.trail
    }

    /// Notes which keys were used since the last time.
    pub(crate) async fn note_uses(&self) {
        let used = std::mem::take(&mut *self.0.used.lock().unwrap_or_else(PoisonError::into_inner));
        if used.is_empty() {
            return;
        }
        if let Err(error) = self.0.store.note_key_uses(used.into_iter().collect()).await {
            tracing::warn!(%error, "the last uses of access keys were not noted");
        }
    }

    /// Whose token it is, which came from an address.
    pub(crate) async fn caller(&self, token: &Token, address: Option<IpAddr>) -> Result<Caller, Problem> {
        let came = Instant::now();
        let is_fresh = self.with(|known| known.read_at.is_some_and(|at| at.elapsed() < RELIED_UPON));
        if !is_fresh {
            self.read_since(came).await?;
        }
        if !self.knows(&token.id()) {
            address.map_or(Ok(()), |address| self.0.limits.admit_stranger(address))?;
            self.read_since(came).await?;
        }
        let now = Utc::now();
        let caller = self.with(|known| {
            let known = known.keys.get(&token.id());
            known
                .filter(|(_, digest)| digest.is_of(token))
                .map(|(key, _)| Caller::from(key))
        });
        let Some(caller) = caller else {
            address.inspect(|address| self.0.limits.note_stranger(*address));
            return Err(Problem::InvalidKey(KeyFault::Unknown));
        };
        self.check(&caller.key)?;
        let mut used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(caller.key.clone(), now);
        Ok(caller)
    }

    /// That a key, which was valid, still is.
    pub(crate) fn check(&self, id: &KeyId) -> Result<(), Problem> {
        let state = self.with(|known| known.keys.get(id).map(|(key, _)| key.state(Utc::now())));
        match state {
            Some(KeyState::Valid) => Ok(()),
            Some(KeyState::Expired) => Err(Problem::InvalidKey(KeyFault::Expired)),
            Some(KeyState::Revoked) => Err(Problem::InvalidKey(KeyFault::Revoked)),
            None => Err(Problem::InvalidKey(KeyFault::Unknown)),
        }
    }

    /// Whether somebody was given a key with this id.
    pub(crate) fn knows(&self, id: &KeyId) -> bool {
        self.with(|known| known.keys.contains_key(id))
    }

    /// How much each key may ask for.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    fn with<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.0.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the keys, unless somebody began to after `time`.
    async fn read_since(&self, time: Instant) -> Result<(), StoreError> {
        let mut last = self.0.reading.lock().await;
        if let Some((began, outcome)) = &*last {
            if *began >= time {
                return outcome.clone();
            }
            tokio::time::sleep_until(*began + LOOK_INTERVAL).await;
        }
        let began = Instant::now();
        let outcome = self.read(began).await;
        *last = Some((began, outcome.clone()));
        outcome
    }

    async fn read(&self, began: Instant) -> Result<(), StoreError> {
        let keys = self.0.store.keys().await?;
        if keys.is_empty() && self.with(|known| known.read_at.is_none()) {
            tracing::warn!("nobody has an access key yet: make one with `tonghop key create --role admin`");
        }
        let keys = keys
            .into_iter()
            .map(|(key, digest)| (key.id.clone(), (key, digest)))
            .collect();
        *self.0.known.write().unwrap_or_else(PoisonError::into_inner) = Known {
            keys,
            read_at: Some(began),
        };
        Ok(())
    }
}
