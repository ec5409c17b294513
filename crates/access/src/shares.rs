//! Shares: how much of what all callers share one caller may hold.
//!
//! There is one rule for everything: a caller may take more as long as they then hold no more than was free before. One
//! caller gets at most half, two get a third each, and so on: however many there are, the next one finds some.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonghop_domain::KeyId;

/// A caller holds as much of a resource as they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key holds its share of {0:?}")]
pub struct ShareUsedUp(pub Resource);

/// What the callers of a process share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Batches that are being received.
    Batches,
    /// The bytes of request bodies in memory, each from its arrival to the response.
    BodyBytes,
    /// Callers that wait until totals contain what they sent.
    Waiters,
    /// Verifications over HTTP, each of which reads every report at or below a unit.
    Verifications,
}

impl Resource {
    /// How much of it a process has.
    pub const fn total(self) -> usize {
        match self {
            Self::Batches => 32,
            Self::BodyBytes => 32 << 20,
            Self::Waiters => 1_024,
            Self::Verifications => 4,
        }
    }
}

/// What callers hold. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares(Arc<[Mutex<Held>; 4]>);

#[derive(Debug, Default)]
struct Held {
    by_all: usize,
    by_caller: HashMap<KeyId, usize>,
}

/// What one caller holds of a resource; it is returned when dropped.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    resource: Resource,
    caller: KeyId,
    amount: usize,
}

impl Shares {
    /// An empty share of a caller.
    pub(crate) fn of(&self, caller: &KeyId, resource: Resource) -> Share {
        Share {
            shares: self.clone(),
            resource,
            caller: caller.clone(),
            amount: 0,
        }
    }

    fn held(&self, resource: Resource) -> MutexGuard<'_, Held> {
        self.0[resource as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes more of the resource.
    ///
    /// # Errors
    /// The caller would hold more than is free now.
    pub fn take(&mut self, amount: usize) -> Result<(), ShareUsedUp> {
        let mut held = self.shares.held(self.resource);
        let free = self.resource.total().saturating_sub(held.by_all);
        let own = held.by_caller.get(&self.caller).copied().unwrap_or_default();
        if own + amount > free {
            return Err(ShareUsedUp(self.resource));
        }
        held.by_all += amount;
        held.by_caller.insert(self.caller.clone(), own + amount);
        self.amount += amount;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.amount == 0 {
            return;
        }
        let mut held = self.shares.held(self.resource);
        held.by_all -= self.amount;
        if let Some(own) = held.by_caller.get_mut(&self.caller) {
            *own -= self.amount;
            if *own == 0 {
                held.by_caller.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::token::Token;

    fn take(shares: &Shares, caller: &KeyId, amount: usize) -> Option<Share> {
        let mut share = shares.of(caller, Resource::Batches);
        share.take(amount).ok().map(|()| share)
    }

    #[test]
    fn a_caller_gets_half_and_leaves_room_for_others() {
        let shares = Shares::default();
        let [one, two, three] = [(); 3].map(|()| Token::generate().id());
        let all = |caller| -> Vec<Share> { std::iter::from_fn(|| take(&shares, caller, 1)).collect() };
        let mut of_one = all(&one);
        assert_eq!(of_one.len(), 16);
        let of_two = all(&two);
        assert_eq!(of_two.len(), 8);
        assert_eq!(all(&three).len(), 4, "and they are returned");
        of_one.clear();
        assert_eq!(all(&three).len(), 12);
        drop(of_two);
        assert!(shares.held(Resource::Batches).by_caller.is_empty());
        assert_eq!(shares.held(Resource::Batches).by_all, 0);
    }

    #[test]
    fn resources_are_counted_separately() {
        let shares = Shares::default();
        let caller = Token::generate().id();
        let mut held = Vec::new();
        while let Some(share) = take(&shares, &caller, 1) {
            held.push(share);
        }
        for resource in [Resource::BodyBytes, Resource::Waiters, Resource::Verifications] {
            assert!(shares.of(&caller, resource).take(1).is_ok(), "{resource:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_held_is_returned_exactly(steps in prop::collection::vec((0usize..3, 1usize..9, any::<bool>()), 0..60)) {
            let shares = Shares::default();
            let callers = [(); 3].map(|()| Token::generate().id());
            let mut held: Vec<Share> = Vec::new();
            for (caller, amount, returns) in steps {
                if returns && !held.is_empty() {
                    held.swap_remove(amount % held.len());
                } else {
                    held.extend(take(&shares, &callers[caller], amount));
                }
                let sum: usize = held.iter().map(|share| share.amount).sum();
                prop_assert_eq!(shares.held(Resource::Batches).by_all, sum);
                prop_assert!(sum <= Resource::Batches.total());
            }
        }
    }
}
