//! Submissions, as one caller may record and read them.

use chrono::{DateTime, Utc};
use tonghop_domain::{Revision, SubmissionId, SubmissionKey, UnitId};
use tonghop_storage::{Outcome, SubmissionFilter, Write};

use crate::authorized::AuthorizedStore;
use crate::refusal::{Refusal, What};

impl AuthorizedStore {
    /// Records a change, or with `dry_run` only determines its outcome. The key is checked once more, since a batch may
    /// outlive it.
    ///
    /// # Errors
    /// The key is no longer valid, its role does not submit, the unit is not at or below its own, or the store failed.
    pub async fn record(&self, write: Write, dry_run: bool) -> Result<Outcome, Refusal> {
        self.keys.check(&self.caller.key)?;
        self.context.set_submission(&write.key);
        if !self.caller.role.submits() {
            return Err(Refusal::Role);
        }
        self.require_submission(&write.key)?;
        Ok(if dry_run {
            self.store.rehearse(write).await?
        } else {
            self.store.record(write).await?
        })
    }

    /// The form, period and unit of a submission.
    ///
    /// # Errors
    /// There is none with the id, its unit is not at or below the caller's, or the store failed.
    pub async fn submission_key(&self, id: SubmissionId) -> Result<SubmissionKey, Refusal> {
        let found = self.store.submission_key(id).await?;
        let key = found.ok_or(Refusal::NotFound(What::Submission))?;
        self.require_submission(&key)?;
        Ok(key)
    }

    /// The current revision of a submission.
    ///
    /// # Errors
    /// As for [`submission_key`](Self::submission_key), or the read could not be recorded in the audit trail.
    pub async fn submission(&self, id: SubmissionId) -> Result<Revision, Refusal> {
        self.submission_key(id).await?;
        let found = self.store.submission(id).await?;
        self.audited(found.ok_or(Refusal::NotFound(What::Submission))?)
            .await
    }

    /// One revision of a submission.
    ///
    /// # Errors
    /// As for [`submission`](Self::submission), or the submission has no revision with the number.
    pub async fn revision(&self, id: SubmissionId, number: i32) -> Result<Revision, Refusal> {
        self.submission_key(id).await?;
        let found = self.store.revision(id, number).await?;
        self.audited(found.ok_or(Refusal::NotFound(What::Revision))?)
            .await
    }

    /// At most `limit` revisions of a submission with numbers below `before`, the newest first; and whether there are
    /// more.
    ///
    /// # Errors
    /// As for [`submission`](Self::submission).
    pub async fn revisions(
        &self,
        id: SubmissionId,
        before: Option<i32>,
        limit: usize,
    ) -> Result<(Vec<Revision>, bool), Refusal> {
        self.submission_key(id).await?;
        let found = self.store.revisions(id, before, limit + 1).await?;
        self.audited_page(found, limit).await
    }

    /// The number of the current revision for a form, period and unit; none when nothing was reported.
    ///
    /// # Errors
    /// The unit is not at or below the caller's, or the store failed.
    pub async fn current_revision(&self, key: &SubmissionKey) -> Result<Option<i32>, Refusal> {
        self.require_submission(key)?;
        let filter = SubmissionFilter {
            form: Some(key.form.clone()),
            period: Some(key.period),
            units: Some(vec![key.unit]),
            ..SubmissionFilter::default()
        };
        let found = self.store.submissions(filter, 1).await?;
        Ok(found.first().map(|revision| revision.revision))
    }

    /// At most `limit` current revisions, the newest first; and whether there are more. Those of other units are left
    /// out: a unit may be at or below the caller's in one period and not in the next.
    ///
    /// # Errors
    /// The store failed, or the read could not be recorded in the audit trail.
    pub async fn submissions(
        &self,
        mut filter: SubmissionFilter,
        limit: usize,
    ) -> Result<(Vec<Revision>, bool), Refusal> {
        if filter.units.is_none() {
            filter.units = self.units_ever_below();
        }
        let mut reached = Vec::new();
        loop {
            let found = self.store.submissions(filter.clone(), limit + 1).await?;
            let is_last = found.len() <= limit;
            filter.after = found.last().map(|last| (last.received_at, last.id));
            reached.extend(found.into_iter().filter(|revision| self.reaches(&revision.key)));
            if is_last || reached.len() > limit {
                return self.audited_page(reached, limit).await;
            }
        }
    }

    /// For each revision, when the total of its province that contains it was refreshed; none while no total does.
    /// Needs no rights beyond those by which the caller got the revisions.
    ///
    /// # Errors
    /// The store failed.
    pub async fn aggregated_at(&self, revisions: &[Revision]) -> Result<Vec<Option<DateTime<Utc>>>, Refusal> {
        if revisions.is_empty() {
            return Ok(Vec::new());
        }
        let keys = revisions
            .iter()
            .map(|revision| (revision.key.clone(), revision.received_at));
        Ok(self.store.aggregated_at(keys.collect()).await?)
    }

    /// The same for one revision, after waiting for up to `seconds`; none when no total contains it by then, or too many
    /// callers wait already.
    pub async fn wait_until_aggregated(&self, revision: &Revision, seconds: u64) -> Option<DateTime<Utc>> {
        self.waiters.wait_for_totals(revision, seconds).await
    }

    /// A revision, once its audit entry is committed.
    async fn audited(&self, revision: Revision) -> Result<Revision, Refusal> {
        self.record_reads(std::slice::from_ref(&revision)).await?;
        Ok(revision)
    }

    /// The first `limit` revisions, once their audit entries are committed, and whether there are more.
    async fn audited_page(
        &self,
        mut found: Vec<Revision>,
        limit: usize,
    ) -> Result<(Vec<Revision>, bool), Refusal> {
        let more = found.len() > limit;
        found.truncate(limit);
        self.record_reads(&found).await?;
        Ok((found, more))
    }

    /// Records in the audit trail each revision with confidential figures.
    async fn record_reads(&self, revisions: &[Revision]) -> Result<(), Refusal> {
        let confidential = revisions.iter().filter(|revision| {
            let SubmissionKey { form, period, .. } = &revision.key;
            let scope = self.store.catalogue().scope(form.as_str(), *period);
            let mut figures = revision.content.figures.iter();
            scope.is_some_and(|scope| {
                figures.any(|figure| scope.form.is_confidential(figure.indicator.as_str()))
            })
        });
        let entry = |revision: &Revision| {
            let about = format!("{}/{}", revision.id, revision.revision);
            self.context.entry("read").on(&revision.key).about(about)
        };
        self.audit.record(confidential.map(entry).collect()).await
    }

    /// Every unit that is or was at or below the caller's; none when that is all of them.
    fn units_ever_below(&self) -> Option<Vec<UnitId>> {
        let own = || {
            let trees = self.store.catalogue().trees();
            trees.filter_map(|tree| tree.by_id(self.caller.unit))
        };
        if own().any(|place| place.parent().is_none()) {
            return None;
        }
        let mut below: Vec<UnitId> = own()
            .flat_map(|place| place.at_or_below().map(|place| place.id()).collect::<Vec<_>>())
            .collect();
        below.sort_unstable();
        below.dedup();
        Some(below)
    }
}
