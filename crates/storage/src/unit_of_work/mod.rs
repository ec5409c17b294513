//! What recording and refreshing need of a database transaction.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tonghop_domain::{
    Actor, Announcement, AuditEntry, Form, FormCode, Head, Period, Report, Revision, SubmissionId,
    SubmissionKey, Total, TotalKey, UnitId,
};

use crate::error::StoreError;
use crate::model::Idempotency;

pub(crate) mod parts;
pub(crate) mod record;
pub(crate) mod refresh;

/// A transaction that takes longer is given up, so that every caller hears well within 5 s what became of his.
pub(crate) const DEADLINE: Duration = Duration::from_millis(4500);

/// What an idempotency key was used for, and what was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// The digest of the request.
    pub request: String,
    /// The answer.
    pub answer: Answer,
}

/// The answer that an idempotency key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether a revision was recorded; else the current one said the same.
    pub created: bool,
    /// The submission.
    pub id: SubmissionId,
    /// The revision.
    pub revision: i32,
}

/// An accepted report with the submission behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiledReport {
    /// The submission.
    pub id: SubmissionId,
    /// Its current revision.
    pub revision: i32,
    /// When that was recorded.
    pub received_at: DateTime<Utc>,
    /// What it says.
    pub report: Report,
}

/// A total as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTotal {
    /// The total.
    pub total: Total,
    /// Counts its refreshes.
    pub version: i64,
    /// When it was last refreshed.
    pub refreshed_at: DateTime<Utc>,
}

/// What a batch of changes leaves.
#[derive(Clone, Debug)]
pub struct RecordWrites {
    /// The database's time, read when all was locked.
    pub at: DateTime<Utc>,
    /// New revisions, with who made them.
    pub revisions: Vec<(Revision, Actor)>,
    /// The states of submissions that had no row before.
    pub first: Vec<(SubmissionKey, Head)>,
    /// The new states of others, which are locked.
    pub later: Vec<(SubmissionKey, Head)>,
    /// Totals that are stale now, since when.
    pub marks: Vec<(TotalKey, DateTime<Utc>)>,
    /// What is to be announced.
    pub news: Vec<Announcement>,
    /// What was answered under idempotency keys that this transaction took.
    pub answers: Vec<(Idempotency, Answer)>,
    /// What the audit trail says of it.
    pub trail: Vec<AuditEntry>,
}

/// The marks of a total, as a refresh reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarksRead {
    /// Which, so that exactly these are deleted.
    pub ids: Vec<i64>,
    /// The earliest time among them.
    pub since: DateTime<Utc>,
}

/// What a refresh of totals of one form and period leaves.
#[derive(Clone, Debug, Default)]
pub struct RefreshWrites {
    /// Totals, whose rows are locked, with their new versions.
    pub totals: Vec<(TotalKey, Total, i64)>,
    /// The marks that they take in, and that go.
    pub read: Vec<i64>,
    /// Totals of parents, which are stale now, since when.
    pub marks: Vec<(TotalKey, DateTime<Utc>)>,
    /// What is to be announced.
    pub news: Vec<Announcement>,
}

/// Opens transactions; cheap to clone.
///
/// The rules of recording and refreshing, with their retries and deadlines, are written against this trait and
/// [`UnitOfWork`], so that a test can drive the very code that ships against a database of its own making, which fails and
/// interleaves as it pleases.
pub trait Transactions: Clone + Send + Sync + 'static {
    /// What it opens.
    type Transaction: Transaction;

    /// Opens a transaction that writes; one in a hurry waits for no lock for long.
    fn begin(&self, hurry: bool) -> impl Future<Output = Result<Self::Transaction, StoreError>> + Send;

    /// Whether locks are a row's; else there is one for all changes.
    fn locks_rows(&self) -> bool;

    /// Runs a transaction, and gives it up after so long: `Unavailable`.
    fn within<T: Send>(
        &self,
        deadline: Duration,
        transaction: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;
}

/// An open transaction. Dropped without an end, it is rolled back.
pub trait Transaction: Send {
    /// Through which it reads and writes.
    type UnitOfWork: UnitOfWork;

    /// Its work.
    ///
    /// # Errors
    /// It has ended.
    fn unit_of_work(&mut self) -> Result<&mut Self::UnitOfWork, StoreError>;

    /// Ends it. After an error nobody knows whether it was committed.
    fn commit(self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Rolls back after an error, and returns what the error means.
    fn abort(self, error: StoreError) -> impl Future<Output = StoreError> + Send;

    /// Ends it as if it had never been.
    fn rollback(self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// An open READ COMMITTED transaction on the work: each call sees what was committed before it, and what this
/// transaction wrote. Locks are held until the transaction ends.
pub trait UnitOfWork: Send {
    /// Holds the catalogue as it is; fails when the database has another than `digest` names.
    fn share_catalogue(&mut self, digest: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The database's time.
    fn clock(&mut self) -> impl Future<Output = Result<DateTime<Utc>, StoreError>> + Send;

    /// Takes idempotency keys, in their order; one that another transaction holds is waited for. Answers those that
    /// were used before.
    fn reserve_keys(
        &mut self,
        keys: &BTreeSet<&Idempotency>,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<HashMap<Idempotency, Used>, StoreError>> + Send;

    /// Gives keys back under which nothing was recorded.
    fn release_keys(&mut self, keys: &[Idempotency]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Locks the rows of those submissions that have one, in the order of `keys`, which are sorted. Answers their current
    /// states.
    fn lock_heads(
        &mut self,
        keys: &[SubmissionKey],
    ) -> impl Future<Output = Result<HashMap<SubmissionKey, Head>, StoreError>> + Send;

    /// Which submissions another transaction holds now; waits for nobody.
    fn contended_heads(
        &mut self,
        keys: &[SubmissionKey],
    ) -> impl Future<Output = Result<BTreeSet<SubmissionKey>, StoreError>> + Send;

    /// Writes what a batch of changes leaves. `Contention` when another transaction has meanwhile made one of the rows that
    /// were not there; one that is about to is waited for.
    fn record(&mut self, new: &RecordWrites) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// One revision.
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

    /// The marks of the totals of some units; nothing of those that have none.
    fn marks_of(
        &mut self,
        form: &FormCode,
        period: Period,
        units: &[UnitId],
    ) -> impl Future<Output = Result<HashMap<UnitId, MarksRead>, StoreError>> + Send;

    /// Makes sure that the totals of some units have rows, and locks these, each in the order of `units`, which are sorted.
    /// Answers their versions, 0 for a new one.
    fn lock_totals(
        &mut self,
        form: &FormCode,
        period: Period,
        units: &[UnitId],
    ) -> impl Future<Output = Result<HashMap<UnitId, i64>, StoreError>> + Send;

    /// The totals of some units, as far as they were ever refreshed.
    fn totals(
        &mut self,
        form: &Form,
        period: Period,
        units: &[UnitId],
    ) -> impl Future<Output = Result<HashMap<UnitId, StoredTotal>, StoreError>> + Send;

    /// Writes totals that are locked, and what follows from it.
    fn refresh(
        &mut self,
        form: &Form,
        new: &RefreshWrites,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
