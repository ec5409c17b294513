//! The port between the rules of recording and refreshing and a database transaction.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tonghop_domain::{
    Actor, Announcement, AuditEntry, Form, FormCode, Head, Period, Report, Revision, SubmissionId,
    SubmissionKey, Total, TotalKey, UnitId, new_salt, revision_proof,
};

use crate::error::StoreError;
use crate::model::Idempotency;

pub(crate) mod parts;
pub(crate) mod record;
pub(crate) mod refresh;

/// The deadline of a transaction, after which it is abandoned, so that every caller gets a response well within 5 s.
pub(crate) const DEADLINE: Duration = Duration::from_millis(4500);

/// The request and the response of an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// The digest of the request.
    pub request: String,
    /// The response.
    pub answer: Answer,
}

/// The response stored under an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether a revision was recorded; otherwise the current one had the same content.
    pub created: bool,
    /// The submission.
    pub id: SubmissionId,
    /// The revision.
    pub revision: i32,
}

/// An accepted report and its submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiledReport {
    /// The submission.
    pub id: SubmissionId,
    /// The current revision.
    pub revision: i32,
    /// The time of that revision.
    pub received_at: DateTime<Utc>,
    /// The report.
    pub report: Report,
}

/// A total as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTotal {
    /// The total.
    pub total: Total,
    /// The number of refreshes.
    pub version: i64,
    /// The time of the last refresh.
    pub refreshed_at: DateTime<Utc>,
}

/// The times of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The time.
    pub now: DateTime<Utc>,
    /// The time for the audit trail: the same, or that of the last seal if the clock was set back since, because the trail's
    /// time must not go back.
    pub trail: DateTime<Utc>,
}

/// A revision to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRevision {
    /// The revision.
    pub revision: Revision,
    /// The digest of its content.
    pub content_digest: String,
    /// Its author.
    pub actor: Actor,
    /// The salt of its proof.
    pub salt: String,
}

impl NewRevision {
    /// A revision with a new salt.
    pub(crate) fn new(revision: &Revision, content_digest: String, actor: &Actor) -> Self {
        Self {
            revision: revision.clone(),
            content_digest,
            actor: actor.clone(),
            salt: new_salt(),
        }
    }

    /// The proof of the revision, for the audit trail.
    pub fn proof(&self) -> String {
        revision_proof(
            &self.revision,
            &self.content_digest,
            self.actor.as_str(),
            &self.salt,
        )
    }
}

/// The rows that a batch of changes writes.
#[derive(Clone, Debug)]
pub struct RecordWrites {
    /// The times of the database, read after all locks were taken.
    pub at: Clock,
    /// New revisions.
    pub revisions: Vec<NewRevision>,
    /// The heads of new submissions.
    pub first: Vec<(SubmissionKey, Head)>,
    /// The new heads of existing submissions, which are locked.
    pub later: Vec<(SubmissionKey, Head)>,
    /// Totals that become stale, with the time of the change.
    pub marks: Vec<(TotalKey, DateTime<Utc>)>,
    /// The announcements to publish.
    pub news: Vec<Announcement>,
    /// The responses to store under the reserved idempotency keys.
    pub answers: Vec<(Idempotency, Answer)>,
    /// The entries for the audit trail.
    pub trail: Vec<AuditEntry>,
}

/// The marks of a total that a refresh has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarksRead {
    /// The ids; exactly these marks are deleted.
    pub ids: Vec<i64>,
    /// The earliest time of a mark.
    pub since: DateTime<Utc>,
}

/// The rows that a refresh of totals of one form and period writes.
#[derive(Clone, Debug, Default)]
pub struct RefreshWrites {
    /// The totals, whose rows are locked, with their new versions.
    pub totals: Vec<(TotalKey, Total, i64)>,
    /// The marks that the totals include, to be deleted.
    pub read: Vec<i64>,
    /// Parent totals that become stale, with the time of the change.
    pub marks: Vec<(TotalKey, DateTime<Utc>)>,
    /// The announcements to publish.
    pub news: Vec<Announcement>,
}

/// A factory of transactions; cheap to clone.
///
/// The rules of recording and refreshing, with their retries and deadlines, are written against this trait and
/// [`UnitOfWork`], so that a test can run the production code against a simulated database with faults and
/// interleavings of its choice.
pub trait Transactions: Clone + Send + Sync + 'static {
    /// The type of its transactions.
    type Transaction: Transaction;

    /// Begins a transaction that writes. With `hurry`, it waits only briefly for locks.
    fn begin(&self, hurry: bool) -> impl Future<Output = Result<Self::Transaction, StoreError>> + Send;

    /// The same for a transaction that records revisions, which is announced for the watermark before it reads the clock.
    fn begin_recording(
        &self,
        hurry: bool,
    ) -> impl Future<Output = Result<Self::Transaction, StoreError>> + Send {
        self.begin(hurry)
    }

    /// Whether locks are per row; otherwise one lock serialises all changes.
    fn locks_rows(&self) -> bool;

    /// Runs a transaction and abandons it after the deadline with `Unavailable`.
    fn within<T: Send>(
        &self,
        deadline: Duration,
        transaction: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;
}

/// An open transaction. If dropped, it is rolled back.
pub trait Transaction: Send {
    /// The type of its reads and writes.
    type UnitOfWork: UnitOfWork;

    /// The reads and writes of this transaction.
    ///
    /// # Errors
    /// It has ended.
    fn unit_of_work(&mut self) -> Result<&mut Self::UnitOfWork, StoreError>;

    /// Commits. After an error it is unknown whether the transaction was committed.
    fn commit(self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Rolls back after an error, and returns the classified error.
    fn abort(self, error: StoreError) -> impl Future<Output = StoreError> + Send;

    /// Rolls back.
    fn rollback(self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The reads and writes of an open READ COMMITTED transaction: each call sees what was committed before it and what
/// this transaction wrote. Locks last until the transaction ends.
pub trait UnitOfWork: Send {
    /// Locks the catalogue against changes; fails if its digest in the database is not `digest`.
    fn share_catalogue(&mut self, digest: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The times of the database.
    fn clock(&mut self) -> impl Future<Output = Result<Clock, StoreError>> + Send;

    /// Reserves idempotency keys in their order, waiting for transactions that have reserved the same ones. Returns
    /// those that were used before.
    fn reserve_keys(
        &mut self,
        keys: &BTreeSet<&Idempotency>,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<HashMap<Idempotency, Used>, StoreError>> + Send;

    /// Releases keys under which nothing was recorded.
    fn release_keys(&mut self, keys: &[Idempotency]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Locks the heads of the submissions that exist, in the order of `keys`, which are sorted. Returns these heads.
    fn lock_heads(
        &mut self,
        keys: &[SubmissionKey],
    ) -> impl Future<Output = Result<HashMap<SubmissionKey, Head>, StoreError>> + Send;

    /// The submissions that another transaction has locked now; does not wait.
    fn contended_heads(
        &mut self,
        keys: &[SubmissionKey],
    ) -> impl Future<Output = Result<BTreeSet<SubmissionKey>, StoreError>> + Send;

    /// Writes a batch of changes. Waits for a transaction that inserts the same submission, and fails with `Contention`
    /// if that one commits.
    fn record(&mut self, new: &RecordWrites) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A revision.
    fn revision(
        &mut self,
        id: SubmissionId,
        number: i32,
    ) -> impl Future<Output = Result<Option<Revision>, StoreError>> + Send;

    /// The accepted reports of some units.
    fn reports(
        &mut self,
        form: &FormCode,
        period: Period,
        units: &[UnitId],
    ) -> impl Future<Output = Result<HashMap<UnitId, FiledReport>, StoreError>> + Send;

    /// The marks of the totals of some units, without units that have none.
    fn marks_of(
        &mut self,
        form: &FormCode,
        period: Period,
        units: &[UnitId],
    ) -> impl Future<Output = Result<HashMap<UnitId, MarksRead>, StoreError>> + Send;

    /// Creates missing rows for the totals of some units and locks all of them, both in the order of `units`, which are
    /// sorted. Returns the versions, 0 for new ones.
    fn lock_totals(
        &mut self,
        form: &FormCode,
        period: Period,
        units: &[UnitId],
    ) -> impl Future<Output = Result<HashMap<UnitId, i64>, StoreError>> + Send;

    /// The totals of some units, without those that were never refreshed.
    fn totals(
        &mut self,
        form: &Form,
        period: Period,
        units: &[UnitId],
    ) -> impl Future<Output = Result<HashMap<UnitId, StoredTotal>, StoreError>> + Send;

    /// Writes refreshed totals, which are locked, deletes their marks and marks their parents.
    fn refresh(
        &mut self,
        form: &Form,
        new: &RefreshWrites,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
