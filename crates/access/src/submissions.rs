//! Submissions, as one caller may record and read them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tonghop_domain::{AuditEntry, Calendar, Revision, SubmissionId, SubmissionKey, Tree, UnitCode, UnitId};
use tonghop_storage::{Outcome, SubmissionFilter, SubmissionOrder, Write};

use crate::authorized::AuthorizedStore;
use crate::refusal::{Refusal, What};
use crate::shares::Resource;

/// The parts of revisions that a caller of this crate wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedParts {
    /// All of them. The audit trail records who reads confidential figures.
    All,
    /// All but figures and notes, which are left empty. Nothing is recorded.
    WithoutContent,
}

/// A page of current revisions.
#[derive(Debug)]
pub struct SubmissionPage {
    /// The revisions.
    pub revisions: Vec<Revision>,
    /// Whether there are more.
    pub more: bool,
    /// With `updated_since`, in the order of changes: nothing that was recorded before this time is missing from this page and the ones before
    /// it, and nothing can still appear there.
    pub next_since: Option<DateTime<Utc>>,
}

impl AuthorizedStore {
    /// Records a change, or with `dry_run` only determines its outcome. The key is checked once more, since a batch may
    /// outlive it.
    ///
    /// # Errors
    /// The key is no longer valid, its role does not submit, the unit is not at or below its own, or the store failed.
    pub async fn record(&self, write: Write, dry_run: bool) -> Result<Outcome, Refusal> {
        self.keys.check(&self.caller.key)?;
        self.context.set_submission(&write.key);
        self.require_submitter()?;
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
        parts: WantedParts,
    ) -> Result<(Vec<Revision>, bool), Refusal> {
        self.submission_key(id).await?;
        let mut page = self.store.revisions(id, before, limit).await?;
        self.release(&mut page.revisions, parts).await?;
        Ok((page.revisions, page.more))
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
        Ok(found.revisions.first().map(|revision| revision.revision))
    }

    /// At most `limit` current revisions that match the filter; with `within`, only those of
    /// this unit and the units below it. A revision is left out unless its unit is at or below the caller's, and
    /// `within`, in the tree of its own period: units move, and codes are reused.
    ///
    /// # Errors
    /// No unit ever had the code, it never was at or below the caller's, the store failed, or the read could not be
    /// recorded in the audit trail.
    pub async fn submissions(
        &self,
        mut filter: SubmissionFilter,
        within: Option<&UnitCode>,
        limit: usize,
        parts: WantedParts,
    ) -> Result<SubmissionPage, Refusal> {
        filter.units = match within {
            Some(unit) => Some(self.units_ever_within(&filter, unit)?),
            None => self.units_ever_below(),
        };
        let is_wanted =
            |key: &SubmissionKey| self.reaches(key) && within.is_none_or(|unit| self.is_within(key, unit));
        if let Some(since) = filter.updated_since {
            filter.recorded_before = Some(self.store.watermark().await?.max(since));
        }
        let mut revisions: Vec<Revision> = Vec::new();
        let more = loop {
            let page = self.store.submissions(filter.clone(), limit).await?;
            let Some(last) = page.revisions.last() else {
                break false;
            };
            filter.after = Some((last.received_at, last.id));
            let wanted = page
                .revisions
                .into_iter()
                .filter(|revision| is_wanted(&revision.key));
            revisions.extend(wanted);
            let is_full = revisions.len() >= limit || (page.is_cut && !revisions.is_empty());
            if !page.more || is_full {
                break page.more || revisions.len() > limit;
            }
        };
        revisions.truncate(limit);
        self.release(&mut revisions, parts).await?;
        let last = revisions.last().filter(|_| more).map(|last| last.received_at);
        let is_in_order = filter.order == SubmissionOrder::LastChangedLast;
        let watermark = filter.recorded_before.filter(|_| is_in_order);
        Ok(SubmissionPage {
            next_since: watermark.map(|watermark| last.unwrap_or(watermark)),
            revisions,
            more,
        })
    }

    /// Every unit at or below one with this code, in the trees that a filter means and in which the caller reaches it.
    fn units_ever_within(&self, filter: &SubmissionFilter, code: &UnitCode) -> Result<Vec<UnitId>, Refusal> {
        let trees = self.trees(filter);
        let places = || {
            trees
                .iter()
                .filter_map(|tree| Some((tree, tree.get(code.as_str())?)))
        };
        let latest = places().next_back().ok_or(Refusal::NotFound(What::Unit))?;
        let reached = places().filter(|(tree, place)| self.caller.reaches(tree, place.id()));
        let mut within: Vec<UnitId> = reached
            .flat_map(|(_, place)| place.at_or_below().map(|place| place.id()).collect::<Vec<_>>())
            .collect();
        if within.is_empty() {
            self.context.set_unit(latest.1.id());
            return Err(Refusal::Unit);
        }
        within.sort_unstable();
        within.dedup();
        Ok(within)
    }

    /// The tree of the period that a filter names; without a period, the trees of all times.
    fn trees(&self, filter: &SubmissionFilter) -> Vec<Arc<Tree>> {
        let catalogue = self.store.catalogue();
        let Some(period) = filter.period else {
            return catalogue.trees().cloned().collect();
        };
        let scope = filter
            .form
            .as_ref()
            .and_then(|form| catalogue.scope(form.as_str(), period));
        let tree = scope.map_or_else(
            || catalogue.tree(period.last_day(Calendar::Civil)),
            |scope| scope.tree,
        );
        vec![tree]
    }

    /// Whether the unit of a submission is at or below one with this code in the tree of its period.
    fn is_within(&self, key: &SubmissionKey, code: &UnitCode) -> bool {
        let scope = self.store.catalogue().scope(key.form.as_str(), key.period);
        let place = scope.as_ref().and_then(|scope| scope.tree.by_id(key.unit));
        place.is_some_and(|place| place.ancestry().any(|above| above.code() == code))
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

    /// The same for one revision, after waiting for up to `seconds`; none when no total contains it by then, when the
    /// caller's share of waiters is used up, or when the key becomes invalid.
    pub async fn wait_until_aggregated(&self, revision: &Revision, seconds: u64) -> Option<DateTime<Utc>> {
        let mut share = self.share(Resource::Waiters);
        share.take(1).ok()?;
        tokio::select! {
            aggregated_at = self.waiters.wait_for_totals(revision, seconds) => aggregated_at,
            _ = self.until_invalid() => None,
        }
    }

    /// A revision, once its audit entry is committed.
    async fn audited(&self, revision: Revision) -> Result<Revision, Refusal> {
        self.record_reads(std::slice::from_ref(&revision)).await?;
        Ok(revision)
    }

    /// Records in the audit trail each revision with confidential figures, after the turn of the caller's key has come.
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
        let entries: Vec<AuditEntry> = confidential.map(entry).collect();
        let (key, count) = (&self.caller.key, entries.len());
        if !self.limits.count_confidential_reports(key, count) {
            let mut share = self.share(Resource::WaitingPages);
            share.take(1)?;
            self.limits.wait_for_confidential_reports(key, count).await?;
        }
        self.audit.record(entries).await
    }

    /// Records in the audit trail what the caller reads, and takes the rest away.
    async fn release(&self, revisions: &mut [Revision], parts: WantedParts) -> Result<(), Refusal> {
        if parts == WantedParts::All {
            return self.record_reads(revisions).await;
        }
        for revision in revisions {
            revision.content = Arc::default();
        }
        Ok(())
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
