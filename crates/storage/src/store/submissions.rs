//! Submissions in the store.

use std::collections::BTreeSet;

use std::time::Duration;

use chrono::{DateTime, Utc};
use tonghop_domain::{Revision, Scope, SubmissionId, SubmissionKey};

use crate::database::acting_as::ActingAs;
use crate::database::clock::clock;
use crate::database::connection::Purpose;
use crate::error::StoreError;
use crate::group_commit;
use crate::model::{Outcome, Page, SubmissionFilter, Write};
use crate::queries::{catalogue_digest, idempotency, submission_pages, submissions};
use crate::reads;
use crate::store::{Store, within_deadline};
use crate::unit_of_work::DEADLINE;
use crate::unit_of_work::record::rehearse;

/// The lifetime of idempotency keys.
const KEYS_KEPT: chrono::Duration = chrono::Duration::days(30);

impl Store {
    /// Records a change, in one transaction with concurrent ones. Returns after the commit.
    ///
    /// # Errors
    /// `Overloaded`, `Contention`, `Unavailable` (whether it was recorded may then be unknown), `CatalogueMismatch`.
    pub async fn record(&self, write: Write) -> Result<Outcome, StoreError> {
        let group_commit = self.inner.group_commit.lock().await.clone();
        group_commit
            .ok_or_else(group_commit::closed_error)?
            .record(write)
            .await
    }

    /// The result that [`Store::record`] would return now (dry run). Nothing is stored.
    ///
    /// # Errors
    /// As for [`Store::record`].
    pub async fn rehearse(&self, write: Write) -> Result<Outcome, StoreError> {
        within_deadline(async {
            let (inner, place) = (self.inner.clone(), self.place(&self.inner.rehearsals).await?);
            let pools = inner.pools.clone();
            let rehearsal = async move {
                let _place = place;
                let mut tx = inner.pools.begin(Purpose::Write, &ActingAs::Service).await?;
                match rehearse(tx.conn()?, &inner.catalogue, write).await {
                    Ok(outcome) => tx.rollback().await.map(|()| outcome),
                    Err(error) => Err(tx.abort(error).await),
                }
            };
            let timed = async move { pools.within(DEADLINE, rehearsal).await };
            let task = self.inner.runtime.spawn(timed);
            task.await.map_err(StoreError::unavailable)?
        })
        .await
    }

    /// The key of a submission, also for callers who may not read it, so that they get a 403 instead of a 404.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn submission_key(&self, id: SubmissionId) -> Result<Option<SubmissionKey>, StoreError> {
        let head = self.read_in_turn(Purpose::Lookup, ActingAs::Service, move |conn| {
            Box::pin(submissions::head(conn, id))
        });
        Ok(head.await?.map(|(key, _)| key))
    }

    /// The current revision of a submission.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn submission(&self, id: SubmissionId) -> Result<Option<Revision>, StoreError> {
        self.lookup(move |conn| {
            Box::pin(async move {
                match submissions::head(conn, id).await? {
                    Some((_, head)) => submissions::revision(conn, id, head.revision).await,
                    None => Ok(None),
                }
            })
        })
        .await
    }

    /// One revision of a submission.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn revision(&self, id: SubmissionId, number: i32) -> Result<Option<Revision>, StoreError> {
        self.lookup(move |conn| Box::pin(submissions::revision(conn, id, number)))
            .await
    }

    /// At most `limit` revisions of a submission below `before`, the newest first; empty if there is no such submission.
    /// There are fewer if they would be larger than 1 MiB together.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn revisions(
        &self,
        id: SubmissionId,
        before: Option<i32>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.read(move |conn| Box::pin(submission_pages::history(conn, id, before, limit)))
            .await
    }

    /// At most `limit` current revisions, in the order of [`SubmissionFilter`]. There are fewer if they would be larger
    /// than 1 MiB together.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn submissions(&self, filter: SubmissionFilter, limit: usize) -> Result<Page, StoreError> {
        self.read(move |conn| Box::pin(async move { submission_pages::list(conn, &filter, limit).await }))
            .await
    }

    /// A time before which nothing can still be recorded. It holds for every read that begins afterwards.
    ///
    /// # Errors
    /// See [`Store`]; and `CatalogueMismatch`, since this process does not know forms and units of another catalogue.
    pub async fn watermark(&self) -> Result<DateTime<Utc>, StoreError> {
        within_deadline(async {
            let place = self.place(&self.inner.reads).await?;
            let watermark = self.watermark_within(Duration::ZERO).await?;
            let catalogue = self.inner.catalogue.clone();
            self.run(Purpose::Lookup, ActingAs::Service, place, move |conn| {
                Box::pin(async move { catalogue_digest::check(conn, catalogue.digest()).await })
            })
            .await?;
            Ok(watermark)
        })
        .await
    }

    /// For each revision, when the total of its province that includes it was refreshed; `None` while the total may
    /// lack it. For units above or outside provinces, the root's total counts.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn aggregated_at(
        &self,
        revisions: Vec<(SubmissionKey, DateTime<Utc>)>,
    ) -> Result<Vec<Option<DateTime<Utc>>>, StoreError> {
        let catalogue = self.inner.catalogue.clone();
        // Districts may not read their province's total, but may know when it was refreshed.
        let acting_as = ActingAs::Service;
        self.read_in_turn(Purpose::Read, acting_as, move |conn| {
            Box::pin(async move { reads::totals::aggregated_at(conn, &catalogue, &revisions).await })
        })
        .await
    }

    /// The forms and periods that have submissions.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn scopes(&self) -> Result<Vec<Scope>, StoreError> {
        let keys = self
            .read_as_service(|conn| Box::pin(submissions::keys(conn)))
            .await?;
        let scopes: BTreeSet<_> = keys.into_iter().map(|key| (key.form, key.period)).collect();
        let catalogue = &self.inner.catalogue;
        Ok(scopes
            .into_iter()
            .filter_map(|(form, period)| catalogue.scope(form.as_str(), period))
            .collect())
    }

    /// Deletes idempotency keys older than 30 days; returns their number.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn forget_old_keys(&self) -> Result<usize, StoreError> {
        self.write(|conn| {
            Box::pin(async move {
                let now = clock(conn).await?;
                idempotency::forget(conn, now - KEYS_KEPT).await
            })
        })
        .await
    }
}
