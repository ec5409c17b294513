//! The store as one caller may use it: the one place where it is decided who may see and change what.
//!
//! Handlers are given an [`Access`] and no store, and only a request with a valid key has one. So none can forget to ask.

use actix_web::HttpMessage;
use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use chrono::{DateTime, Utc};
use tonghop_domain::{
    Caller, Catalogue, IndicatorCode, Key, KeyId, Level, Revision, SubmissionId, SubmissionKey, Token,
    UnitCode, UnitId,
};
use tonghop_storage::{
    Contribution, NewKey, Outcome, Store, StoreError, SubmissionFilter, TotalRead, UnitCompleteness,
    Verification, Write,
};

use crate::access::audit_context::Trace;
use crate::access::audit_log::Trail;
use crate::access::key_cache::Keys;
use crate::problem::{Denied, Missing, Problem};
use crate::request::total_ref::About;

/// The store of the service, which only this file can open.
#[derive(Clone, Debug)]
pub(crate) struct Locked(Store);

impl Locked {
    /// Out of the handlers' reach.
    pub(crate) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Whether the database answers and takes changes; everyone may ask.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        self.0.ping().await
    }
}

/// The store behind the check. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    caller: Caller,
    keys: Keys,
    store: Store,
    trail: Trail,
    trace: Trace,
}

impl FromRequest for Access {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // Put there by [`crate::middleware::authenticate::authenticate`] and by nobody else.
        let caller = request.extensions().get::<(Caller, Trace)>().cloned();
        let keys = request.app_data::<Data<Keys>>();
        let store = request.app_data::<Data<Locked>>();
        ready(match (caller, keys, store) {
            (Some((caller, trace)), Some(keys), Some(store)) => Ok(Self {
                keys: keys.get_ref().clone(),
                store: store.0.on_behalf_of(&caller.key),
                caller,
                trail: keys.trail().clone(),
                trace,
            }),
            (None, _, _) => Err(Problem::MissingKey),
            _ => Err(Problem::Internal("the service has no keys or no store".into())),
        })
    }
}

impl Access {
    /// Who calls.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What the audit trail will say of the request.
    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Notes that a line of a batch was refused.
    pub(crate) fn note_refused_line(&self, key: Option<&SubmissionKey>, problem: &Problem) {
        let trace = self.trace.of_line(key);
        trace.note_refusal(&self.trail, problem);
    }

    /// That the caller is an administrator.
    pub(crate) fn check_administers(&self) -> Result<(), Problem> {
        if self.caller.role.administers() {
            Ok(())
        } else {
            Err(Problem::Forbidden(Denied::Role))
        }
    }

    /// What is agreed before anyone reports; every caller may know it.
    pub(crate) fn catalogue(&self) -> &Arc<Catalogue> {
        self.store.catalogue()
    }

    /// Records a change, or only tells what would become of it. A batch may outlive its key.
    pub(crate) async fn record(&self, write: Write, dry_run: bool) -> Result<Outcome, Problem> {
        self.keys.check(&self.caller.key)?;
        self.trace.is_on(&write.key);
        if !self.caller.role.submits() {
            return Err(Problem::Forbidden(Denied::Role));
        }
        self.check(&write.key)?;
        Ok(if dry_run {
            self.store.rehearse(write).await?
        } else {
            self.store.record(write).await?
        })
    }

    /// What a submission is about.
    pub(crate) async fn submission_key(&self, id: SubmissionId) -> Result<SubmissionKey, Problem> {
        let found = self.store.submission_key(id).await?;
        let key = found.ok_or(Problem::NotFound(Missing::Submission))?;
        self.check(&key)?;
        Ok(key)
    }

    /// The current revision of a submission.
    pub(crate) async fn submission(&self, id: SubmissionId) -> Result<Revision, Problem> {
        self.submission_key(id).await?;
        let found = self.store.submission(id).await?;
        self.shown(found.ok_or(Problem::NotFound(Missing::Submission))?)
            .await
    }

    /// One revision of a submission.
    pub(crate) async fn revision(&self, id: SubmissionId, number: i32) -> Result<Revision, Problem> {
        self.submission_key(id).await?;
        let found = self.store.revision(id, number).await?;
        self.shown(found.ok_or(Problem::NotFound(Missing::Revision))?)
            .await
    }

    /// The history of a submission, newest first, of revisions below `before`; and whether there are more.
    pub(crate) async fn revisions(
        &self,
        id: SubmissionId,
        before: Option<i32>,
        limit: usize,
    ) -> Result<(Vec<Revision>, bool), Problem> {
        self.submission_key(id).await?;
        let found = self.store.revisions(id, before, limit + 1).await?;
        self.page_shown(found, limit).await
    }

    /// The revision number of what is reported for a key now.
    pub(crate) async fn current(&self, key: &SubmissionKey) -> Result<Option<i32>, Problem> {
        self.check(key)?;
        let filter = SubmissionFilter {
            form: Some(key.form.clone()),
            period: Some(key.period),
            units: Some(vec![key.unit]),
            ..SubmissionFilter::default()
        };
        let found = self.store.submissions(filter, 1).await?;
        Ok(found.first().map(|revision| revision.revision))
    }

    /// Current revisions, newest first; and whether there are more. Those of others are left out: a unit may have been
    /// the caller's in one period and another's in the next.
    pub(crate) async fn submissions(
        &self,
        mut filter: SubmissionFilter,
        limit: usize,
    ) -> Result<(Vec<Revision>, bool), Problem> {
        if filter.units.is_none() {
            filter.units = self.ever_below();
        }
        let mut seen = Vec::new();
        loop {
            let found = self.store.submissions(filter.clone(), limit + 1).await?;
            let was_last = found.len() <= limit;
            filter.after = found.last().map(|last| (last.received_at, last.id));
            seen.extend(found.into_iter().filter(|revision| self.reaches(&revision.key)));
            if was_last || seen.len() > limit {
                return self.page_shown(seen, limit).await;
            }
        }
    }

    /// For each revision, when its province's total that holds it was refreshed. What was answered before is told, and
    /// so this asks for no more rights than that.
    pub(crate) async fn aggregated_at(
        &self,
        revisions: &[Revision],
    ) -> Result<Vec<Option<DateTime<Utc>>>, Problem> {
        if revisions.is_empty() {
            return Ok(Vec::new());
        }
        let keys = revisions
            .iter()
            .map(|revision| (revision.key.clone(), revision.received_at));
        Ok(self.store.aggregated_at(keys.collect()).await?)
    }

    /// That the caller may read a unit of a tree.
    pub(crate) fn check_unit(&self, tree: &tonghop_domain::Tree, unit: &UnitCode) -> Result<(), Problem> {
        let place = tree.get(unit.as_str());
        if place.is_some_and(|place| self.caller.reaches(tree, place.id())) {
            return Ok(());
        }
        if let Some(place) = place {
            self.trace.is_on_unit(place.id());
        }
        Err(Problem::Forbidden(Denied::Unit))
    }

    /// A total, of which only some indicators are shown, or all if none is named.
    pub(crate) async fn total(&self, about: &About, wanted: &[IndicatorCode]) -> Result<TotalRead, Problem> {
        self.check_unit(&about.scope.tree, &about.unit)?;
        let read = self.store.total(&about.scope, &about.unit).await?;
        let form = &about.scope.form;
        let confidential = if wanted.is_empty() {
            form.indicators.iter().any(|indicator| indicator.confidential)
        } else {
            wanted.iter().any(|code| form.is_confidential(code.as_str()))
        };
        if confidential {
            self.note_total(about).await?;
        }
        Ok(read)
    }

    /// What an indicator of a total is made of.
    pub(crate) async fn contributions(
        &self,
        about: &About,
        code: &IndicatorCode,
    ) -> Result<Vec<Contribution>, Problem> {
        self.check_unit(&about.scope.tree, &about.unit)?;
        let read = self.store.contributions(&about.scope, &about.unit, code).await?;
        if about.scope.form.is_confidential(code.as_str()) {
            let entry = self.trace.entry("read").on(&about.key()).about(code);
            self.trail.note(vec![entry]).await?;
        }
        Ok(read)
    }

    /// Who has reported.
    pub(crate) async fn completeness(&self, about: &About) -> Result<Vec<UnitCompleteness>, Problem> {
        self.check_unit(&about.scope.tree, &about.unit)?;
        Ok(self.store.completeness(&about.scope, &about.unit).await?)
    }

    /// Totals, counted once more.
    pub(crate) async fn verify(&self, about: &About) -> Result<Verification, Problem> {
        self.check_unit(&about.scope.tree, &about.unit)?;
        let verified = self.store.verify(&about.scope, &about.unit).await?;
        // Where totals differ, both numbers are shown.
        let differing = verified.differing.iter();
        let mut shown = differing.filter_map(|difference| difference.indicator.as_ref());
        if shown.any(|code| about.scope.form.is_confidential(code.as_str())) {
            let entry = self.trace.entry("read").on(&about.key());
            self.trail.note(vec![entry]).await?;
        }
        Ok(verified)
    }

    /// Makes a key for a unit that the caller administers.
    pub(crate) async fn create_key(&self, new: NewKey) -> Result<(Key, Token), Problem> {
        self.check_administers()?;
        self.check_lately(new.unit)?;
        let token = Token::generate();
        let origin = self.trace.origin().clone();
        let key = self.store.create_key(&token, new, origin).await?;
        Ok((key, token))
    }

    /// The keys of units that the caller administers, the oldest first.
    pub(crate) async fn keys(&self) -> Result<Vec<Key>, Problem> {
        self.check_administers()?;
        let mut keys: Vec<Key> = self.store.keys().await?.into_iter().map(|(key, _)| key).collect();
        keys.retain(|key| self.reaches_lately(key.unit));
        self.trail.note(vec![self.trace.entry("read")]).await?;
        Ok(keys)
    }

    /// Revokes a key of a unit that the caller administers, and answers it as it is then.
    pub(crate) async fn revoke_key(&self, id: KeyId) -> Result<Key, Problem> {
        self.check_administers()?;
        let find = async || -> Result<Key, Problem> {
            let keys = self.store.keys().await?;
            let found = keys.into_iter().map(|(key, _)| key).find(|key| key.id == id);
            found.ok_or(Problem::NotFound(Missing::Key))
        };
        self.check_lately(find().await?.unit)?;
        let origin = self.trace.origin().clone();
        self.store.revoke_key(id.clone(), origin).await?;
        find().await
    }

    /// That a unit is at or below the caller's in the latest tree that has it: a key outlives its unit.
    fn check_lately(&self, unit: UnitId) -> Result<(), Problem> {
        if self.reaches_lately(unit) {
            return Ok(());
        }
        self.trace.is_on_unit(unit);
        Err(Problem::Forbidden(Denied::Unit))
    }

    fn reaches_lately(&self, unit: UnitId) -> bool {
        let trees = self.store.catalogue().trees();
        let latest = trees.filter(|tree| tree.by_id(unit).is_some()).last();
        latest.is_some_and(|tree| self.caller.reaches(tree, unit))
    }

    fn check(&self, key: &SubmissionKey) -> Result<(), Problem> {
        if self.reaches(key) {
            return Ok(());
        }
        self.trace.is_on(key);
        Err(Problem::Forbidden(Denied::Unit))
    }

    fn reaches(&self, key: &SubmissionKey) -> bool {
        let scope = self.store.catalogue().scope(key.form.as_str(), key.period);
        scope.is_some_and(|scope| self.caller.reaches(&scope.tree, key.unit))
    }

    /// A revision that the caller may see, once it is noted that he does.
    async fn shown(&self, revision: Revision) -> Result<Revision, Problem> {
        self.note_shown(std::slice::from_ref(&revision)).await?;
        Ok(revision)
    }

    /// The first of some revisions, and whether there are more.
    async fn page_shown(
        &self,
        mut found: Vec<Revision>,
        limit: usize,
    ) -> Result<(Vec<Revision>, bool), Problem> {
        let more = found.len() > limit;
        found.truncate(limit);
        self.note_shown(&found).await?;
        Ok((found, more))
    }

    /// Notes each revision with confidential figures that the caller is shown.
    async fn note_shown(&self, revisions: &[Revision]) -> Result<(), Problem> {
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
            self.trace.entry("read").on(&revision.key).about(about)
        };
        self.trail.note(confidential.map(entry).collect()).await
    }

    /// Notes that a total is shown: those of provinces and above, which dashboards read all the time, once a minute.
    async fn note_total(&self, about: &About) -> Result<(), Problem> {
        let entry = self.trace.entry("read").on(&about.key());
        let place = about.scope.tree.get(about.unit.as_str());
        let is_high =
            place.is_some_and(|place| matches!(place.unit().level, Level::Country | Level::Province));
        if is_high {
            self.trail.count(entry);
            return Ok(());
        }
        self.trail.note(vec![entry]).await
    }

    /// Every unit that is or was at or below the caller's; none when that is all of them.
    fn ever_below(&self) -> Option<Vec<UnitId>> {
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
