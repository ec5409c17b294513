//! Access keys in the store.

use chrono::{DateTime, Utc};
use tonghop_domain::{AuditEntry, Key, KeyId, Origin, TokenDigest, UnitId};

use crate::audit::entries;
use crate::database::clock::clock;
use crate::error::StoreError;
use crate::queries::access_keys::{self, NewKey};
use crate::store::Store;

impl Store {
    /// Stores a new key: its id and the digest of its token, which only the holder has.
    ///
    /// # Errors
    /// See [`Store`]; also `ConstraintViolated` when the unit does not exist.
    pub async fn create_key(
        &self,
        id: KeyId,
        digest: TokenDigest,
        new: NewKey,
        origin: Origin,
    ) -> Result<Key, StoreError> {
        self.write(move |conn| {
            Box::pin(async move {
                let key = Key {
                    id,
                    role: new.role,
                    unit: new.unit,
                    label: new.label,
                    created_at: clock(conn).await?,
                    expires_at: new.expires_at,
                    revoked_at: None,
                    last_used_at: None,
                };
                access_keys::insert(conn, &key, digest).await?;
                let entry = entry_of(origin, "create_key", "created", &key.id, Some(key.unit));
                entries::insert(conn, &[entry], key.created_at).await?;
                Ok(key)
            })
        })
        .await
    }

    /// All keys, also expired and revoked ones, the oldest first.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn keys(&self) -> Result<Vec<(Key, TokenDigest)>, StoreError> {
        self.read_as_service(|conn| Box::pin(access_keys::all(conn)))
            .await
    }

    /// Revokes a key; returns false if there is no such key or it was revoked before.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn revoke_key(&self, id: KeyId, origin: Origin) -> Result<bool, StoreError> {
        self.write(move |conn| {
            Box::pin(async move {
                let now = clock(conn).await?;
                let revoked = access_keys::revoke(conn, &id, now).await?;
                let outcome = if revoked { "revoked" } else { "unchanged" };
                let entry = entry_of(origin, "revoke_key", outcome, &id, None);
                entries::insert(conn, &[entry], now).await?;
                Ok(revoked)
            })
        })
        .await
    }

    /// Records the times at which keys were last used.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn note_key_uses(&self, mut uses: Vec<(KeyId, DateTime<Utc>)>) -> Result<(), StoreError> {
        // In a fixed order, so that two processes cannot deadlock.
        uses.sort();
        self.write(move |conn| Box::pin(async move { access_keys::note_uses(conn, &uses).await }))
            .await
    }
}

/// The audit entry of an operation on a key.
fn entry_of(origin: Origin, action: &str, outcome: &str, id: &KeyId, unit: Option<UnitId>) -> AuditEntry {
    AuditEntry {
        unit,
        ..AuditEntry::new(origin, action, outcome).about(id)
    }
}
