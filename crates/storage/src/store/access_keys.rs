//! Access keys in the store.

use chrono::{DateTime, Utc};
use tonghop_domain::{AuditEntry, Key, KeyId, Origin, TokenDigest, UnitId, key_proof};

use crate::audit::entries;
use crate::database::clock::clock;
use crate::error::StoreError;
use crate::queries::access_keys::{self, KeyPosition, NewKey};
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
                    within: new.within,
                    label: new.label,
                    created_at: clock(conn).await?,
                    created_by: origin.actor.clone(),
                    expires_at: new.expires_at,
                    revoked_at: None,
                    last_used_at: None,
                };
                access_keys::insert(conn, &key, digest).await?;
                let entry = entry_of(origin, "create_key", "created", &key.id, Some(key.unit))
                    .proving(key_proof(&key, &digest));
                entries::insert(conn, &[entry]).await?;
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

    /// The keys that were created or revoked since a time.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn keys_changed_since(
        &self,
        since: DateTime<Utc>,
    ) -> Result<Vec<(Key, TokenDigest)>, StoreError> {
        self.read_as_service(move |conn| Box::pin(access_keys::changed_since(conn, since)))
            .await
    }

    /// The number of valid keys of a unit.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn valid_keys(&self, unit: UnitId) -> Result<i64, StoreError> {
        self.read(move |conn| {
            Box::pin(async move {
                let now = clock(conn).await?;
                access_keys::count_valid(conn, unit, now).await
            })
        })
        .await
    }

    /// At most `limit` keys of some units, or of all, that follow a position; the oldest first.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn key_page(
        &self,
        units: Option<Vec<UnitId>>,
        after: Option<KeyPosition>,
        limit: usize,
    ) -> Result<Vec<Key>, StoreError> {
        self.read(move |conn| {
            Box::pin(async move { access_keys::page(conn, units.as_deref(), after.as_ref(), limit).await })
        })
        .await
    }

    /// A key.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn key(&self, id: KeyId) -> Result<Option<Key>, StoreError> {
        self.lookup(move |conn| Box::pin(async move { access_keys::find(conn, &id).await }))
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
                entries::insert(conn, &[entry]).await?;
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
