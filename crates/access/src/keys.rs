//! Access keys, as an administrator may create, list and revoke them.

use tonghop_domain::{Key, KeyId};
use tonghop_storage::NewKey;

use crate::authorized::AuthorizedStore;
use crate::refusal::{Refusal, What};
use crate::token::Token;

impl AuthorizedStore {
    /// Creates a key for a unit at or below the caller's. The token is returned here and kept nowhere.
    ///
    /// # Errors
    /// The caller is no administrator, the unit is not at or below theirs, or the store failed.
    pub async fn create_key(&self, new: NewKey) -> Result<(Key, Token), Refusal> {
        self.require_administrator()?;
        self.require_latest_unit(new.unit)?;
        let token = Token::generate();
        let origin = self.context.origin().clone();
        let key = self
            .store
            .create_key(token.id(), token.digest(), new, origin)
            .await?;
        Ok((key, token))
    }

    /// The keys of units at or below the caller's, the oldest first.
    ///
    /// # Errors
    /// The caller is no administrator, the store failed, or the read could not be recorded in the audit trail.
    pub async fn keys(&self) -> Result<Vec<Key>, Refusal> {
        self.require_administrator()?;
        let mut keys: Vec<Key> = self.store.keys().await?.into_iter().map(|(key, _)| key).collect();
        keys.retain(|key| self.reaches_latest(key.unit));
        self.audit.record(vec![self.context.entry("read")]).await?;
        Ok(keys)
    }

    /// Revokes a key of a unit at or below the caller's, and returns the key as it is then.
    ///
    /// # Errors
    /// The caller is no administrator, there is no key with the id, its unit is not at or below the caller's, or the
    /// store failed.
    pub async fn revoke_key(&self, id: KeyId) -> Result<Key, Refusal> {
        self.require_administrator()?;
        let find = async || -> Result<Key, Refusal> {
            let keys = self.store.keys().await?;
            let found = keys.into_iter().map(|(key, _)| key).find(|key| key.id == id);
            found.ok_or(Refusal::NotFound(What::Key))
        };
        self.require_latest_unit(find().await?.unit)?;
        let origin = self.context.origin().clone();
        self.store.revoke_key(id.clone(), origin).await?;
        find().await
    }
}
