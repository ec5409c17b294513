//! The store as one caller may use it.

use std::sync::Arc;
use std::time::Duration;

use tonghop_domain::{Caller, Catalogue, Role, SubmissionKey, Tree, UnitCode, UnitId};
use tonghop_storage::Store;

use crate::audit_context::{AuditContext, RefusalCause};
use crate::audit_log::AuditLog;
use crate::feed::Feed;
use crate::key_cache::KeyCache;
use crate::key_rules::{KeyCreations, KeyRules};
use crate::rate_limit::RateLimits;
use crate::refusal::Refusal;
use crate::refused_lines::{RefusalPace, RefusedLines};
use crate::shares::{Holder, Resource, Share, Shares};
use crate::waiters::Waiters;

/// The interval at which the key of a request that lasts is checked again.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The store behind the checks: one per request, and the only way to figures. Cheap to clone.
///
/// Its methods are grouped by noun in the files `submissions`, `totals` and `keys`.
#[derive(Clone, Debug)]
pub struct AuthorizedStore {
    pub(crate) caller: Caller,
    pub(crate) keys: KeyCache,
    /// Reads on behalf of the caller's key.
    pub(crate) store: Store,
    pub(crate) audit: AuditLog,
    pub(crate) waiters: Waiters,
    pub(crate) feed: Feed,
    pub(crate) shares: Shares,
    pub(crate) key_creations: Arc<KeyCreations>,
    pub(crate) refusal_pace: Arc<RefusalPace>,
    pub(crate) limits: Arc<RateLimits>,
    pub(crate) context: AuditContext,
}

impl AuthorizedStore {
    /// The caller.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What the audit trail says of the request.
    pub fn context(&self) -> &AuditContext {
        &self.context
    }

    /// What is agreed before anyone reports; every caller may know it.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        self.store.catalogue()
    }

    /// The caller's share of a resource, of which it holds nothing yet.
    pub fn share(&self, resource: Resource) -> Share {
        self.shares.of(Holder::Key(self.caller.key.clone()), resource)
    }

    /// Resolves once the caller's key is no longer valid, within seconds after it expired or was revoked.
    pub async fn until_invalid(&self) -> Refusal {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            if let Err(refusal) = self.keys.check(&self.caller.key) {
                return refusal;
            }
        }
    }

    /// Whether the caller's key is still valid.
    pub(crate) fn is_valid(&self) -> bool {
        self.keys.check(&self.caller.key).is_ok()
    }

    /// Fails unless the key may submit.
    ///
    /// # Errors
    /// The role of the key does not allow it.
    pub fn require_submitter(&self) -> Result<(), Refusal> {
        if self.caller.role.submits() {
            Ok(())
        } else {
            Err(Refusal::Role)
        }
    }

    /// Fails unless the caller is an administrator.
    ///
    /// # Errors
    /// The role of the key does not allow it.
    pub fn require_administrator(&self) -> Result<(), Refusal> {
        if self.caller.role.administers() {
            Ok(())
        } else {
            Err(Refusal::Role)
        }
    }

    /// Fails unless the caller may read the metrics: those of the whole service, not of a unit.
    ///
    /// # Errors
    /// The caller is neither for monitoring nor an administrator of the root.
    pub fn require_monitor(&self) -> Result<(), Refusal> {
        match self.caller.role {
            Role::Metrics => Ok(()),
            Role::Admin if self.is_of_root() => Ok(()),
            _ => Err(Refusal::Role),
        }
    }

    /// Whether the caller's unit is the root.
    pub(crate) fn is_of_root(&self) -> bool {
        let root = self.store.catalogue().root();
        root.is_some_and(|root| root.id == self.caller.unit)
    }

    /// The rules for keys that the caller may create.
    pub fn key_rules(&self) -> KeyRules {
        self.key_creations.rules
    }

    /// Fails unless a unit of a tree is at or below the caller's.
    ///
    /// # Errors
    /// It is not.
    pub fn require_unit(&self, tree: &Tree, unit: &UnitCode) -> Result<(), Refusal> {
        let place = tree.get(unit.as_str());
        if place.is_some_and(|place| self.caller.reaches(tree, place.id())) {
            return Ok(());
        }
        if let Some(place) = place {
            self.context.set_unit(place.id());
        }
        Err(Refusal::Unit)
    }

    /// Records in the audit trail that the request was refused, if its cause and operation call for it. `outcome` is
    /// the code of the refusal that the caller receives.
    pub fn record_refusal(&self, outcome: &str, cause: RefusalCause) {
        self.context.record_refusal(&self.audit, outcome, cause);
    }

    /// Counts the refused lines of the request's batch.
    pub fn refused_lines(&self) -> RefusedLines {
        let (pace, key) = (self.refusal_pace.clone(), self.caller.key.clone());
        RefusedLines::new(self.audit.clone(), self.context.clone(), pace, key)
    }

    /// Fails unless the unit of a submission is at or below the caller's in the tree of its period.
    pub(crate) fn require_submission(&self, key: &SubmissionKey) -> Result<(), Refusal> {
        if self.reaches(key) {
            return Ok(());
        }
        self.context.set_submission(key);
        Err(Refusal::Unit)
    }

    /// Whether the unit of a submission is at or below the caller's in the tree of its period.
    pub(crate) fn reaches(&self, key: &SubmissionKey) -> bool {
        let scope = self.store.catalogue().scope(key.form.as_str(), key.period);
        scope.is_some_and(|scope| self.caller.reaches(&scope.tree, key.unit))
    }

    /// Fails unless the unit is at or below the caller's in the latest tree that contains it (keys outlive units).
    pub(crate) fn require_latest_unit(&self, unit: UnitId) -> Result<(), Refusal> {
        if self.reaches_latest(unit) {
            return Ok(());
        }
        self.context.set_unit(unit);
        Err(Refusal::Unit)
    }

    /// Whether the unit is at or below the caller's in the latest tree that contains it.
    pub(crate) fn reaches_latest(&self, unit: UnitId) -> bool {
        let trees = self.store.catalogue().trees();
        let latest = trees.filter(|tree| tree.by_id(unit).is_some()).last();
        latest.is_some_and(|tree| self.caller.reaches(tree, unit))
    }
}
