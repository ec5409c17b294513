//! How much each caller may ask for in a time.
//!
//! A key has a rate and may save up for a burst; so one broken client cannot take the place of the others. Who shows keys
//! that nobody knows is limited by his address, since each of them makes the service look whether it is new.

use governor::clock::Clock;
use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::DefaultClock;
use governor::middleware::StateInformationMiddleware;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tonghop_domain::KeyId;

use crate::problem::Problem;

/// How many seconds of its rate a key may save up.
const SAVED_S: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// How many keys that nobody knows an address may show at once, and a second.
const STRANGERS_BURST: NonZeroU32 = NonZeroU32::new(20).unwrap();
const STRANGERS_RATE: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// For how long it may show none when it has shown more.
const PENALTY: Duration = Duration::from_secs(1);

/// The limits of a process.
#[derive(Debug)]
pub struct Limits {
    keys: Option<KeyLimits>,
    strangers: DefaultKeyedRateLimiter<IpAddr>,
    /// Until when an address that has shown too many keys of nobody's may show none.
    penalties: Mutex<HashMap<IpAddr, Instant>>,
    clock: DefaultClock,
}

#[derive(Debug)]
struct KeyLimits {
    limiter: DefaultKeyedRateLimiter<KeyId, StateInformationMiddleware>,
    pub(crate) rate: NonZeroU32,
    pub(crate) burst: NonZeroU32,
}

/// What is left of a key's quota.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) requests: u32,
    pub(crate) rate: NonZeroU32,
    pub(crate) burst: NonZeroU32,
}

impl Limits {
    /// How many requests a second a key may make on the average; 0 for as many as it wants.
    pub fn new(key_rate: u32) -> Self {
        let keys = NonZeroU32::new(key_rate).map(|rate| {
            let burst = rate.saturating_mul(SAVED_S);
            let quota = Quota::per_second(rate).allow_burst(burst);
            let limiter = RateLimiter::keyed(quota).with_middleware();
            KeyLimits { limiter, rate, burst }
        });
        Self {
            keys,
            strangers: RateLimiter::keyed(Quota::per_second(STRANGERS_RATE).allow_burst(STRANGERS_BURST)),
            penalties: Mutex::default(),
            clock: DefaultClock::default(),
        }
    }

    /// Takes one request off a key's quota.
    pub(crate) fn take(&self, key: &KeyId) -> Result<Option<Left>, Problem> {
        let Some(keys) = &self.keys else {
            return Ok(None);
        };
        match keys.limiter.check_key(key) {
            Ok(state) => Ok(Some(Left {
                requests: state.remaining_burst_capacity(),
                rate: keys.rate,
                burst: keys.burst,
            })),
            Err(until) => Err(limited(until.wait_time_from(self.clock.now()))),
        }
    }

    /// Lets an address show one more key that may be new, unless it has shown too many that were not.
    pub(crate) fn admit_stranger(&self, address: IpAddr) -> Result<(), Problem> {
        let until = self.with_penalties(|penalties| penalties.get(&address).copied());
        match until.and_then(|until| until.checked_duration_since(Instant::now())) {
            Some(wait) => Err(limited(wait)),
            None => Ok(()),
        }
    }

    /// An address has shown a key that nobody knows.
    pub(crate) fn note_stranger(&self, address: IpAddr) {
        if self.strangers.check_key(&address).is_err() {
            let until = Instant::now() + PENALTY;
            self.with_penalties(|penalties| penalties.insert(address, until));
        }
    }

    fn with_penalties<T>(&self, act: impl FnOnce(&mut HashMap<IpAddr, Instant>) -> T) -> T {
        act(&mut self.penalties.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets who has saved up all that he may.
    pub(crate) fn forget_the_idle(&self) {
        if let Some(keys) = &self.keys {
            keys.limiter.retain_recent();
        }
        self.strangers.retain_recent();
        self.with_penalties(|penalties| penalties.retain(|_, until| *until > Instant::now()));
    }
}

fn limited(wait: Duration) -> Problem {
    let retry_after_s = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    Problem::RateLimited {
        retry_after_s: retry_after_s.max(1),
    }
}

#[cfg(test)]
mod tests {
    use tonghop_domain::Token;

    use super::*;

    #[test]
    fn a_key_has_a_burst_of_its_own_and_is_told_when_to_come_again() {
        let limits = Limits::new(10);
        let (one, other) = (Token::generate().id(), Token::generate().id());
        for left in (0..20).rev() {
            let told = limits.take(&one).unwrap().unwrap();
            // Some of it may have come back meanwhile.
            assert!((left..=20).contains(&told.requests), "{told:?}");
        }
        let mut refused = 0;
        for _ in 0..50 {
            if let Err(problem) = limits.take(&one) {
                assert_eq!(problem.retry_after_s(), Some(1));
                refused += 1;
            }
        }
        assert!(refused > 30, "{refused} of 50 refused");
        assert!(limits.take(&other).is_ok());
        assert!(Limits::new(0).take(&one).unwrap().is_none());
    }
}
