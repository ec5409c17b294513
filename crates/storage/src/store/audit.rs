//! The audit trail in the store.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use tonghop_domain::{AuditEntry, SealHead};

use crate::audit::entries::{self, AuditPlace};
use crate::audit::seals::{self, LOOK_BACK};
use crate::audit::verification::{
    Audit, AuditFault, AuditVerification, batch_ids_after, load_batches, seals_from,
};
use crate::database::clock::clock;
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// Adds entries to the trail, in their own transaction.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn note(&self, new: Vec<AuditEntry>) -> Result<(), StoreError> {
        self.write(move |conn| {
            Box::pin(async move {
                let now = clock(conn).await?;
                entries::insert(conn, &new, now).await
            })
        })
        .await
    }

    /// A page of entries, the oldest first, that follow a given entry.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn audit_entries(
        &self,
        after: Option<AuditPlace>,
        limit: usize,
    ) -> Result<Vec<(AuditPlace, AuditEntry)>, StoreError> {
        self.read_as_service(move |conn| {
            Box::pin(async move { entries::page(conn, after.as_ref(), limit).await })
        })
        .await
    }

    /// Seals the entries that are not sealed yet. Returns the new head of the chain; `None` if there was nothing to
    /// seal or another process sealed it.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn seal(&self) -> Result<Option<SealHead>, StoreError> {
        let hint = self.inner.last_seal.load(Ordering::Relaxed);
        let sealed = self.write(move |conn| {
            Box::pin(async move {
                let now = clock(conn).await?;
                seals::seal(conn, now, hint).await
            })
        });
        let head = sealed.await?;
        if let Some(head) = &head {
            self.inner.last_seal.store(head.number, Ordering::Relaxed);
        }
        Ok(head)
    }

    /// The digest of a seal in the database.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn seal_digest(&self, number: i64) -> Result<Option<String>, StoreError> {
        self.read_as_service(move |conn| Box::pin(seals::digest(conn, number)))
            .await
    }

    /// Verifies the whole audit trail, page by page, so that its length does not matter. `known` are heads of the chain
    /// that were kept outside the database.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn verify_audit(&self, known: Vec<SealHead>) -> Result<AuditVerification, StoreError> {
        let mut audit = Audit::default();
        let mut stored_digests: HashMap<i64, String> =
            known.iter().map(|head| (head.number, String::new())).collect();
        let (mut last_sealed_at, mut next) = (None, Some(i64::MIN));
        while let Some(from) = next {
            let page = self
                .read_as_service(move |conn| {
                    Box::pin(async move {
                        let mut page = Vec::new();
                        for seal in seals_from(conn, from).await? {
                            let ids: Vec<&str> = seal.batch_digests().map(|(id, _)| id).collect();
                            let stored = load_batches(conn, &ids).await?;
                            page.push((seal, stored));
                        }
                        Ok(page)
                    })
                })
                .await?;
            if page.is_empty() {
                break;
            }
            for (seal, stored) in page {
                next = seal.head.number.checked_add(1);
                if let Some(digest) = stored_digests.get_mut(&seal.head.number) {
                    digest.clone_from(&seal.head.digest);
                }
                last_sealed_at = Some(seal.sealed_at);
                audit.seal(&seal, stored);
            }
        }
        stored_digests.retain(|_, digest| !digest.is_empty());
        self.look_for_unsealed(&mut audit, last_sealed_at).await?;
        audit.check_known_heads(&known, &stored_digests);
        Ok(audit.verification)
    }

    /// Checks the batches that are in no seal: new ones, and ones that the service did not write.
    async fn look_for_unsealed(
        &self,
        audit: &mut Audit,
        last_sealed_at: Option<DateTime<Utc>>,
    ) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let from = after.clone();
            let ids = self
                .read_as_service(move |conn| Box::pin(async move { batch_ids_after(conn, &from).await }))
                .await?;
            let Some(last) = ids.last() else {
                return Ok(());
            };
            after.clone_from(last);
            let unsealed: Vec<String> = ids.into_iter().filter(|id| !audit.sealed.contains(id)).collect();
            let found = self
                .read_as_service(move |conn| {
                    Box::pin(async move {
                        let ids: Vec<&str> = unsealed.iter().map(String::as_str).collect();
                        load_batches(conn, &ids).await
                    })
                })
                .await?;
            for (id, batch) in found {
                let faults = &mut audit.verification.faults;
                let is_late = last_sealed_at.is_some_and(|sealed_at| batch.at < sealed_at - LOOK_BACK);
                if is_late {
                    faults.push(AuditFault::BatchInserted(id));
                } else {
                    let digest = batch.digest.clone();
                    audit.verification.unsealed += batch.compare(&id, &digest, faults);
                }
            }
        }
    }
}
