//! Access keys, as an administrator may create, list and revoke them.

use std::num::NonZeroU32;

use tonghop_domain::{Key, KeyId, Role, UnitId};
use tonghop_storage::{KeyPosition, NewKey};

use crate::authorized::AuthorizedStore;
use crate::refusal::{KeyRefusal, Refusal, What};
use crate::token::Token;

/// A page of keys.
#[derive(Debug)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<Key>,
    /// Whether there are more.
    pub more: bool,
}

impl AuthorizedStore {
    /// Creates a key for a unit at or below the caller's. The token is returned here and kept nowhere. The key acts only
    /// where the caller does: in periods in which its unit was at or below the caller's.
    ///
    /// # Errors
    /// The caller is no administrator, the unit is not at or below theirs, the role is for monitoring the whole service and
    /// theirs is a part of it, the unit has as many valid keys as it may, the
    /// caller has created too many keys, or the store failed.
    pub async fn create_key(&self, mut new: NewKey) -> Result<(Key, Token), Refusal> {
        self.require_administrator()?;
        self.require_latest_unit(new.unit)?;
        if new.role == Role::Metrics && !self.is_of_root() {
            return Err(Refusal::Role);
        }
        let max = self.key_rules().max_per_unit;
        if self.store.valid_keys(new.unit).await? >= i64::from(max) {
            return Err(Refusal::TooManyKeys { max });
        }
        self.key_creations.count(&self.caller.key)?;
        new.within = self.within();
        let token = Token::generate();
        let origin = self.context.origin().clone();
        let key = self
            .store
            .create_key(token.id(), token.digest(), new, origin)
            .await?;
        Ok((key, token))
    }

    /// The units within which alone a key that the caller creates may act: those within which the caller acts, and the
    /// caller's own, since a unit can move to another. Everything always belongs to the root.
    fn within(&self) -> Vec<UnitId> {
        let own = Some(self.caller.unit).filter(|_| !self.is_of_root());
        self.caller.within.iter().copied().chain(own).collect()
    }

    /// At most `limit` keys of units at or below the caller's that follow a position; the oldest first.
    ///
    /// # Errors
    /// The caller is no administrator, the store failed, or the read could not be recorded in the audit trail.
    pub async fn keys(&self, after: Option<KeyPosition>, limit: usize) -> Result<KeyPage, Refusal> {
        self.require_administrator()?;
        let all = self.store.catalogue().units();
        let reached: Vec<UnitId> = all
            .iter()
            .map(|unit| unit.id)
            .filter(|unit| self.reaches_latest(*unit))
            .collect();
        let units = Some(reached).filter(|reached| reached.len() < all.len());
        let mut keys = self.store.key_page(units, after, limit + 1).await?;
        let more = keys.len() > limit;
        keys.truncate(limit);
        self.audit.record(vec![self.context.entry("read")]).await?;
        Ok(KeyPage { keys, more })
    }

    /// A key of a unit at or below the caller's.
    ///
    /// # Errors
    /// The caller is no administrator, there is no key with the id, its unit is not at or below the caller's, the store
    /// failed, or the read could not be recorded in the audit trail.
    pub async fn key(&self, id: KeyId) -> Result<Key, Refusal> {
        let key = self.administered_key(&id).await?;
        let entry = self.context.entry("read").about(&key.id);
        self.audit.record(vec![entry]).await?;
        Ok(key)
    }

    /// The key of the caller.
    ///
    /// # Errors
    /// The key does not exist any more, or the store failed.
    pub async fn own_key(&self) -> Result<Key, Refusal> {
        let found = self.store.key(self.caller.key.clone()).await?;
        found.ok_or(Refusal::Key(KeyRefusal::Unknown))
    }

    /// The requests per second of each key, and those that may come at once; none without a limit.
    pub fn quota(&self) -> Option<(NonZeroU32, NonZeroU32)> {
        self.limits.key_quota()
    }

    /// Revokes a key of a unit at or below the caller's, and returns the key as it is then.
    ///
    /// # Errors
    /// The caller is no administrator, there is no key with the id, its unit is not at or below the caller's, or the
    /// store failed.
    pub async fn revoke_key(&self, id: KeyId) -> Result<Key, Refusal> {
        self.administered_key(&id).await?;
        let origin = self.context.origin().clone();
        self.store.revoke_key(id.clone(), origin).await?;
        self.administered_key(&id).await
    }

    /// A key that the caller administers.
    async fn administered_key(&self, id: &KeyId) -> Result<Key, Refusal> {
        self.require_administrator()?;
        let found = self.store.key(id.clone()).await?;
        let key = found.ok_or(Refusal::NotFound(What::Key))?;
        self.require_latest_unit(key.unit)?;
        Ok(key)
    }
}
