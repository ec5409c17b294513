//! How many requests each caller may make.
//!
//! Each key has a rate and may save up for a burst, so that one broken client cannot take the place of the others.
//! Attempts with unknown keys are limited per IP address, because each costs a database lookup. Documents that need no
//! key have the rate of a key for each address. Beyond it they wait for their turn and are not refused at once, since a
//! browser asks for many of them together. Pages of reports with confidential figures wait too: each such report is an
//! entry of the audit trail, and one key could let the trail grow by megabytes per second.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use tonghop_domain::KeyId;

use crate::refusal::Refusal;
use crate::shares::Holder;

/// The seconds of its rate that a key may save up.
const BURST_S: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// Attempts with unknown keys that an address may make at once.
const UNKNOWN_KEYS_BURST: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// Attempts with unknown keys that an address may make per second.
const UNKNOWN_KEYS_RATE: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// The time for which an address that exceeded this limit may try no unknown key.
const PENALTY: Duration = Duration::from_secs(1);

/// The documents that an address may have per second, however few requests a key may make: a page of documentation
/// consists of several.
const MIN_DOCUMENTS: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// The reports with confidential figures that a key may read per second, for each request per second of its rate.
const CONFIDENTIAL_REPORTS: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// The reports that it may read per second in any case: as many as a page can have.
const MIN_CONFIDENTIAL_REPORTS: NonZeroU32 = NonZeroU32::new(200).unwrap();
/// The seconds of its rate of such reports that a key may save up.
const CONFIDENTIAL_BURST_S: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// The longest time that a document or a page waits for its turn.
const LONGEST_TURN: Duration = Duration::from_secs(2);
/// The time after which what waits looks again: many may wait, and each look costs a little.
const TURN_STEP: Duration = Duration::from_millis(100);

/// The rate limits of a process.
#[derive(Debug)]
pub struct RateLimits {
    keys: Option<KeyLimits>,
    unknown_keys: DefaultKeyedRateLimiter<IpAddr>,
    documents: Option<DefaultKeyedRateLimiter<Holder>>,
    confidential_reports: Option<DefaultKeyedRateLimiter<KeyId>>,
    /// When the penalty of each penalized address ends.
    penalties: Mutex<HashMap<IpAddr, Instant>>,
    clock: DefaultClock,
}

#[derive(Debug)]
struct KeyLimits {
    limiter: DefaultKeyedRateLimiter<KeyId, StateInformationMiddleware>,
    rate: NonZeroU32,
    burst: NonZeroU32,
}

/// The state of a key's quota after a request.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// The requests that the key may make at once now.
    pub remaining: u32,
    /// The requests per second by which it refills.
    pub rate: NonZeroU32,
    /// The requests that it holds when it is full.
    pub burst: NonZeroU32,
}

impl RateLimits {
    /// Limits of `key_rate` requests per second on average for each key, as many documents for each address, and twice as
    /// many reports with confidential figures for each key; 0 means no limits.
    pub fn new(key_rate: u32) -> Self {
        let rate = NonZeroU32::new(key_rate);
        let quota =
            |rate: NonZeroU32| governor::Quota::per_second(rate).allow_burst(rate.saturating_mul(BURST_S));
        let keys = rate.map(|rate| KeyLimits {
            limiter: RateLimiter::keyed(quota(rate)).with_middleware(),
            rate,
            burst: rate.saturating_mul(BURST_S),
        });
        let unknown_keys = governor::Quota::per_second(UNKNOWN_KEYS_RATE).allow_burst(UNKNOWN_KEYS_BURST);
        Self {
            keys,
            unknown_keys: RateLimiter::keyed(unknown_keys),
            confidential_reports: rate.map(|rate| {
                let rate = rate.saturating_mul(CONFIDENTIAL_REPORTS);
                let rate = rate.max(MIN_CONFIDENTIAL_REPORTS);
                let burst = rate.saturating_mul(CONFIDENTIAL_BURST_S);
                RateLimiter::keyed(governor::Quota::per_second(rate).allow_burst(burst))
            }),
            documents: rate.map(|rate| RateLimiter::keyed(quota(rate.max(MIN_DOCUMENTS)))),
            penalties: Mutex::default(),
            clock: DefaultClock::default(),
        }
    }

    /// The requests per second of each key, and those that may come at once; none without a limit.
    pub(crate) fn key_quota(&self) -> Option<(NonZeroU32, NonZeroU32)> {
        self.keys.as_ref().map(|keys| (keys.rate, keys.burst))
    }

    /// Counts one request against a key's quota.
    pub(crate) fn count_request(&self, key: &KeyId) -> Result<Option<Quota>, Refusal> {
        let Some(keys) = &self.keys else {
            return Ok(None);
        };
        match keys.limiter.check_key(key) {
            Ok(state) => Ok(Some(Quota {
                remaining: state.remaining_burst_capacity(),
                rate: keys.rate,
                burst: keys.burst,
            })),
            Err(until) => Err(Refusal::RateLimited {
                retry_after: until.wait_time_from(self.clock.now()),
            }),
        }
    }

    /// Waits for the turn of a document that needs no key.
    pub(crate) async fn wait_for_document(&self, holder: &Holder) -> Result<(), Refusal> {
        match &self.documents {
            Some(documents) => self.wait_for_turn(documents, holder, NonZeroU32::MIN).await,
            None => Ok(()),
        }
    }

    /// Counts reports with confidential figures against a key's quota. Returns whether the key may have them at once.
    pub(crate) fn count_confidential_reports(&self, key: &KeyId, count: usize) -> bool {
        match (&self.confidential_reports, cells(count)) {
            (Some(reports), Some(count)) => matches!(reports.check_key_n(key, count), Ok(Ok(()))),
            _ => true,
        }
    }

    /// Waits until a key may have reports with confidential figures.
    pub(crate) async fn wait_for_confidential_reports(
        &self,
        key: &KeyId,
        count: usize,
    ) -> Result<(), Refusal> {
        match (&self.confidential_reports, cells(count)) {
            (Some(reports), Some(count)) => self.wait_for_turn(reports, key, count).await,
            _ => Ok(()),
        }
    }

    /// Waits until the limiter lets the holder have `count` more.
    async fn wait_for_turn<K: Clone + Eq + Hash>(
        &self,
        limiter: &DefaultKeyedRateLimiter<K>,
        holder: &K,
        count: NonZeroU32,
    ) -> Result<(), Refusal> {
        let end = tokio::time::Instant::now() + LONGEST_TURN;
        loop {
            let retry_after = match limiter.check_key_n(holder, count) {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(until)) => until.wait_time_from(self.clock.now()),
                // More than the limiter ever has at once.
                Err(_) => {
                    return Err(Refusal::RateLimited {
                        retry_after: LONGEST_TURN,
                    });
                }
            };
            if tokio::time::Instant::now() + retry_after > end {
                return Err(Refusal::RateLimited { retry_after });
            }
            tokio::time::sleep(retry_after.max(TURN_STEP)).await;
        }
    }

    /// Fails while an address is penalized for attempts with unknown keys.
    pub(crate) fn check_unknown_key(&self, address: IpAddr) -> Result<(), Refusal> {
        let until = self.with_penalties(|penalties| penalties.get(&address).copied());
        match until.and_then(|until| until.checked_duration_since(Instant::now())) {
            Some(retry_after) => Err(Refusal::RateLimited { retry_after }),
            None => Ok(()),
        }
    }

    /// Counts an attempt with an unknown key, and penalizes the address when it made too many.
    pub(crate) fn count_unknown_key(&self, address: IpAddr) {
        if self.unknown_keys.check_key(&address).is_err() {
            let until = Instant::now() + PENALTY;
            self.with_penalties(|penalties| penalties.insert(address, until));
        }
    }

    fn with_penalties<T>(&self, act: impl FnOnce(&mut HashMap<IpAddr, Instant>) -> T) -> T {
        act(&mut self.penalties.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets the keys and addresses whose quota is full again.
    pub(crate) fn forget_idle(&self) {
        if let Some(keys) = &self.keys {
            keys.limiter.retain_recent();
        }
        self.unknown_keys.retain_recent();
        if let Some(documents) = &self.documents {
            documents.retain_recent();
        }
        if let Some(reports) = &self.confidential_reports {
            reports.retain_recent();
        }
        self.with_penalties(|penalties| penalties.retain(|_, until| *until > Instant::now()));
    }
}

/// A number for a limiter; none for 0.
fn cells(count: usize) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Token;

    #[test]
    fn each_key_has_its_own_burst_and_learns_when_to_retry() {
        let limits = RateLimits::new(10);
        let (one, other) = (Token::generate().id(), Token::generate().id());
        for remaining in (0..20).rev() {
            let quota = limits.count_request(&one).unwrap().unwrap();
            // Part of the quota may have refilled meanwhile.
            assert!((remaining..=20).contains(&quota.remaining), "{quota:?}");
        }
        let mut refused = 0;
        for _ in 0..50 {
            if let Err(refusal) = limits.count_request(&one) {
                let Refusal::RateLimited { retry_after } = refusal else {
                    panic!("{refusal:?}");
                };
                assert!(retry_after <= Duration::from_millis(100), "{retry_after:?}");
                refused += 1;
            }
        }
        assert!(refused > 30, "{refused} of 50 refused");
        assert!(limits.count_request(&other).is_ok());
        assert!(RateLimits::new(0).count_request(&one).unwrap().is_none());
    }

    #[tokio::test]
    async fn documents_of_one_address_wait_and_those_of_others_do_not() {
        let limits = RateLimits::new(1);
        let at = |address: &str| Holder::at(address.parse().unwrap());
        let (one, other) = (at("192.0.2.1"), at("192.0.2.2"));
        let start = Instant::now();
        for _ in 0..40 {
            limits.wait_for_document(&one).await.unwrap();
        }
        assert!(start.elapsed() < TURN_STEP, "a burst does not wait");
        for _ in 0..10 {
            limits.wait_for_document(&one).await.unwrap();
        }
        assert!(start.elapsed() > TURN_STEP * 4, "{:?}", start.elapsed());
        limits.wait_for_document(&other).await.unwrap();
        let mut together = tokio::task::JoinSet::new();
        let limits = std::sync::Arc::new(limits);
        for _ in 0..120 {
            let (limits, one) = (limits.clone(), one.clone());
            together.spawn(async move { limits.wait_for_document(&one).await.is_ok() });
        }
        let start = Instant::now();
        let sent = together.join_all().await.into_iter().filter(|sent| *sent).count();
        assert!((30..=50).contains(&sent), "{sent} of 120 in two seconds");
        assert!(start.elapsed() < LONGEST_TURN * 2, "{:?}", start.elapsed());
        let free = RateLimits::new(0);
        for _ in 0..1_000 {
            free.wait_for_document(&other).await.unwrap();
        }
    }
}
