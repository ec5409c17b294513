//! Shares: how much of what all callers share one caller may hold.
//!
//! There is one rule for everything: a caller may take more as long as they then hold no more than was free before. One
//! caller gets at most half, two get a third each, and so on: however many there are, the next one finds some.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
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
    /// Pages of reports that are in memory until the turn of their key comes.
    WaitingPages,
    /// Callers that listen to the change feed.
    Listeners,
    /// Connections, which have an address but no key.
    Connections,
}

impl Resource {
    /// How much of it a process has.
    pub const fn total(self) -> usize {
        match self {
            Self::Batches => 32,
            Self::BodyBytes => 32 << 20,
            Self::Waiters => 1_024,
            Self::Verifications => 4,
            Self::WaitingPages => 32,
            Self::Listeners => 2_048,
            Self::Connections => 4_000,
        }
    }
}

/// What callers hold. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares(Arc<[Mutex<Held>; 7]>);

#[derive(Debug, Default)]
struct Held {
    by_all: usize,
    by_holder: HashMap<Holder, usize>,
}

/// The holder of a share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// The holder of a key.
    Key(KeyId),
    /// The clients of an address. Of an IPv6 address only the first 48 bits count, since one customer has all the others.
    Address(IpAddr),
}

impl Holder {
    /// The clients of an address.
    pub(crate) fn at(address: IpAddr) -> Self {
        const NETWORK: u128 = u128::MAX << 80;
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
            address => address,
        })
    }
}

/// What one caller holds of a resource; it is returned when dropped.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    resource: Resource,
    holder: Holder,
    amount: usize,
}

impl Shares {
    /// An empty share.
    pub(crate) fn of(&self, holder: Holder, resource: Resource) -> Share {
        Share {
            shares: self.clone(),
            resource,
            holder,
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
        let own = held.by_holder.get(&self.holder).copied().unwrap_or_default();
        if own + amount > free {
            return Err(ShareUsedUp(self.resource));
        }
        held.by_all += amount;
        held.by_holder.insert(self.holder.clone(), own + amount);
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
        if let Some(own) = held.by_holder.get_mut(&self.holder) {
            *own -= self.amount;
            if *own == 0 {
                held.by_holder.remove(&self.holder);
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
        let mut share = shares.of(Holder::Key(caller.clone()), Resource::Batches);
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
        assert!(shares.held(Resource::Batches).by_holder.is_empty());
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
            let mut share = shares.of(Holder::Key(caller.clone()), resource);
            assert!(share.take(1).is_ok(), "{resource:?}");
        }
    }

    #[test]
    fn a_network_of_ipv6_addresses_is_one_holder() {
        let at = |address: &str| Holder::at(address.parse().unwrap());
        assert_eq!(at("2001:db8:0:1::5"), at("2001:db8:0:2:ffff::"));
        assert_ne!(at("2001:db8:0:1::5"), at("2001:db8:1:1::5"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
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
