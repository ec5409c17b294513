//! Which keys administrators may create.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use tonghop_domain::KeyId;

use crate::refusal::Refusal;

/// The keys that an administrator may create at once, for instance for all units of a province.
const CREATIONS_BURST: NonZeroU32 = NonZeroU32::new(200).unwrap();
/// The time after which an administrator may create one more.
const CREATION_INTERVAL: Duration = Duration::from_secs(10);

/// The rules for keys that administrators create. The operator's commands are free of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRules {
    /// The most valid keys of a unit.
    pub max_per_unit: u32,
    /// The longest time for which a key may be valid; none if keys need not expire.
    pub max_age: Option<Duration>,
}

impl Default for KeyRules {
    fn default() -> Self {
        Self {
            max_per_unit: 50,
            max_age: None,
        }
    }
}

/// Counts the keys that each administrator creates.
pub(crate) struct KeyCreations {
    pub(crate) rules: KeyRules,
    created: DefaultKeyedRateLimiter<KeyId>,
    clock: DefaultClock,
}

impl KeyCreations {
    pub(crate) fn new(rules: KeyRules) -> Self {
        let quota = governor::Quota::with_period(CREATION_INTERVAL)
            .unwrap_or(governor::Quota::per_minute(NonZeroU32::MIN))
            .allow_burst(CREATIONS_BURST);
        Self {
            rules,
            created: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
        }
    }

    /// Counts one more key of an administrator.
    pub(crate) fn count(&self, administrator: &KeyId) -> Result<(), Refusal> {
        self.created
            .check_key(administrator)
            .map_err(|until| Refusal::RateLimited {
                retry_after: until.wait_time_from(self.clock.now()),
            })
    }

    /// Forgets the administrators whose quota is full again.
    pub(crate) fn forget_idle(&self) {
        self.created.retain_recent();
    }
}

impl fmt::Debug for KeyCreations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCreations")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Token;

    #[test]
    fn each_administrator_creates_as_many_keys_as_a_province_has_units_and_then_slowly() {
        let creations = KeyCreations::new(KeyRules::default());
        let (one, other) = (Token::generate().id(), Token::generate().id());
        let allowed = (0..1_000).take_while(|_| creations.count(&one).is_ok()).count();
        assert_eq!(allowed, 200);
        let Err(Refusal::RateLimited { retry_after }) = creations.count(&one) else {
            panic!("the quota is used up");
        };
        assert!(
            retry_after <= CREATION_INTERVAL && retry_after > CREATION_INTERVAL / 2,
            "{retry_after:?}"
        );
        assert!(creations.count(&other).is_ok());
    }
}
