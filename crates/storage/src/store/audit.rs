//! The audit trail in the store.

use std::collections::HashMap;
use std::sync::PoisonError;

use tonghop_domain::{AuditEntry, SealHead, SubmissionId};

use crate::audit::contents::StoredRevision;
use crate::audit::entries::{self, AuditPlace};
use crate::audit::fault::AuditFault;
use crate::audit::seals::{self, LastSeal};
use crate::audit::verification::{Audit, AuditVerification, batch_ids_after, load_batches, seals_from};
use crate::database::clock::clocks;
use crate::error::StoreError;
use crate::queries::proofs::{self, LaggingHead};
use crate::store::Store;

/// The number of revisions that are compared with their proofs at once.
const COMPARED: usize = 50;

impl Store {
    /// Adds entries to the trail, in their own transaction.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn note(&self, new: Vec<AuditEntry>) -> Result<(), StoreError> {
        self.write(move |conn| Box::pin(async move { entries::insert(conn, &new).await }))
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
        let known = self.last_seal();
        let sealed = self.write(move |conn| Box::pin(seals::seal(conn, known)));
        let (last, is_new) = sealed.await?;
        *self
            .inner
            .last_seal
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = last.clone();
        Ok(last.filter(|_| is_new).map(|last| last.head))
    }

    /// The last seal that this process knows of.
    fn last_seal(&self) -> Option<LastSeal> {
        self.inner
            .last_seal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The digest of a seal in the database.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn seal_digest(&self, number: i64) -> Result<Option<String>, StoreError> {
        self.read_as_service(move |conn| Box::pin(seals::digest(conn, number)))
            .await
    }

    /// Verifies the whole audit trail, and every revision and key against its proof in the trail, page by page. `known` are
    /// heads of the chain that were kept outside the database.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn verify_audit(&self, mut known: Vec<SealHead>) -> Result<AuditVerification, StoreError> {
        let began = self.read_as_service(|conn| Box::pin(clocks(conn))).await?.trail;
        let mut audit = Audit::new(began);
        self.note_contents(&mut audit).await?;
        let last = self.read_as_service(|conn| Box::pin(seals::last(conn))).await?;
        known.extend(last.map(|last| last.head));
        let mut stored_digests: HashMap<i64, String> =
            known.iter().map(|head| (head.number, String::new())).collect();
        self.verify_seals(&mut audit, &mut stored_digests).await?;
        stored_digests.retain(|_, digest| !digest.is_empty());
        let last = self.read_as_service(|conn| Box::pin(seals::last(conn))).await?;
        if last.is_none() && audit.verification.head.is_some() {
            audit.verification.faults.push(AuditFault::HeadRemoved);
        }
        self.look_for_unsealed(&mut audit).await?;
        audit.check_unsealed();
        audit.check_known_heads(&known, &stored_digests);
        let keys = self.keys().await?;
        let mut verification = audit.verification;
        verification.faults.extend(audit.contents.faults(&keys));
        Ok(verification)
    }

    /// Notes what the database contains, before the trail is read.
    async fn note_contents(&self, audit: &mut Audit) -> Result<(), StoreError> {
        audit.contents.note_keys(self.keys().await?);
        let mut after = None;
        loop {
            let page = self
                .read_as_service(move |conn| Box::pin(proofs::submissions_after(conn, after)))
                .await?;
            let Some((last, ..)) = page.last() else { break };
            after = Some(*last);
            for (id, head, has_revisions) in page {
                if !has_revisions {
                    audit.contents.note_without_revisions(id, head);
                }
            }
        }
        self.for_each_history(|revisions| audit.contents.note_revisions(revisions))
            .await
    }

    /// Calls `act` with the revisions of each submission, in their order.
    async fn for_each_history(&self, mut act: impl FnMut(&[StoredRevision])) -> Result<(), StoreError> {
        let (mut after, mut of_one) = (None, Vec::<StoredRevision>::new());
        loop {
            let page = self
                .read_as_service(move |conn| Box::pin(proofs::revisions_after(conn, after)))
                .await?;
            let Some(last) = page.last() else { break };
            after = Some((last.id, last.revision));
            for stored in page {
                if of_one.last().is_some_and(|before| before.id != stored.id) {
                    act(&of_one);
                    of_one.clear();
                }
                of_one.push(stored);
            }
        }
        act(&of_one);
        Ok(())
    }

    /// Checks every seal and its batches.
    async fn verify_seals(
        &self,
        audit: &mut Audit,
        stored_digests: &mut HashMap<i64, String>,
    ) -> Result<(), StoreError> {
        let mut next = Some(i64::MIN);
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
                audit.seal(&seal, stored);
                self.compare_contents(audit).await?;
            }
        }
        Ok(())
    }

    /// Compares the revisions that entries prove with the stored ones.
    async fn compare_contents(&self, audit: &mut Audit) -> Result<(), StoreError> {
        let proved = audit.contents.take_to_compare();
        for chunk in proved.chunks(COMPARED) {
            let wanted = chunk.to_vec();
            let stored = self
                .read_as_service(move |conn| {
                    Box::pin(async move { proofs::comparisons(conn, &wanted).await })
                })
                .await?;
            for proved in chunk {
                let stored = stored.get(&(proved.id, proved.revision));
                audit.contents.compare(proved, stored);
            }
        }
        Ok(())
    }

    /// The submissions that do not show their last revision as it is, as after a change outside the service.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn lagging_heads(&self) -> Result<Vec<LaggingHead>, StoreError> {
        let mut lagging = Vec::new();
        self.for_each_history(|revisions| lagging.extend(LaggingHead::of(revisions)))
            .await?;
        Ok(lagging)
    }

    /// Lets a submission show its last revision again.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn repair_head(&self, id: SubmissionId) -> Result<(), StoreError> {
        self.write(move |conn| Box::pin(proofs::repair_head(conn, id)))
            .await
    }

    /// Checks the batches that are in no seal: new ones, and ones that the service did not write.
    async fn look_for_unsealed(&self, audit: &mut Audit) -> Result<(), StoreError> {
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
                audit.unsealed(id, &batch);
            }
            self.compare_contents(audit).await?;
        }
    }
}
