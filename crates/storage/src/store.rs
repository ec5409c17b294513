//! The store: what the services call. Each call is one transaction, run to its end whatever becomes of the caller.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tonghop_domain::{
    Catalogue, IndicatorCode, KeyId, Revision, Scope, SubmissionId, SubmissionKey, TotalKey, UnitCode,
};

use crate::commits::Commits;
use crate::conn::{Conn, DEADLINE, PoolState, Pools, Purpose, clock, unavailable};
use crate::journal::{self, Journal, Recorder};
use crate::row_security::Beneficiary;
use crate::standing::Standing;
use crate::{
    Backlog, Contribution, DatabaseUrl, Outcome, Refreshed, StoreError, SubmissionFilter, TotalRead,
    UnitCoverage, Verification, Write, adoption, idempotency, marks, migrations, outbox, probe, reads,
    record, refresh_totals, submissions, verification,
};

/// The deadline of a proof, which reads everything below a unit.
const LONG_DEADLINE: Duration = Duration::from_secs(60);
/// How many reads and rehearsals of callers are in hand or wait for a connection; more are refused at once.
const CALLERS: usize = 256;
/// How long idempotency keys are kept.
const KEYS_KEPT: chrono::Duration = chrono::Duration::days(30);

/// The store; cheap to clone. Made on a multi-threaded tokio runtime, on which all its work runs, wherever it is
/// called from.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// For whom callers' reads are.
    whom: Beneficiary,
}

struct Inner {
    pools: Pools,
    catalogue: Arc<Catalogue>,
    news: Arc<Notify>,
    /// None once it is closed.
    journal: Mutex<Option<Journal>>,
    recorders: Mutex<JoinSet<()>>,
    standing: Arc<Standing>,
    commits: Commits,
    callers: Arc<Semaphore>,
    runtime: Handle,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens a database. SQLite is migrated and given the catalogue on the way; PostgreSQL must have been.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be reached, `NotMigrated`, `OtherCatalogue`, `CatalogueInUse`.
    pub async fn open(url: &DatabaseUrl, catalogue: Catalogue) -> Result<Self, StoreError> {
        match url {
            DatabaseUrl::Sqlite(_) => Self::migrate(url, &catalogue).await?,
            DatabaseUrl::Postgres(_) => migrations::check(url).await?,
        }
        let pools = Pools::new(url)?;
        let service = &Beneficiary::Service;
        let catalogue = run(&pools, Purpose::Read, service, DEADLINE, move |conn| {
            Box::pin(async move {
                adoption::check(conn, catalogue.digest()).await?;
                adoption::with_ids(conn, &catalogue).await
            })
        })
        .await?;
        let news = Arc::new(Notify::new());
        let catalogue = Arc::new(catalogue);
        let recorder = Recorder::new(pools.clone(), catalogue.clone(), news.clone());
        let standing = recorder.standing().clone();
        let commits = recorder.commits().clone();
        let (journal, changes) = Journal::new();
        let mut recorders = JoinSet::new();
        for _ in 0..pools.writers() {
            recorders.spawn(recorder.clone().work(changes.clone()));
        }
        let inner = Inner {
            pools,
            catalogue,
            news,
            journal: Mutex::new(Some(journal)),
            recorders: Mutex::new(recorders),
            standing,
            commits,
            callers: Arc::new(Semaphore::new(CALLERS)),
            runtime: Handle::current(),
        };
        Ok(Self {
            inner: Arc::new(inner),
            whom: Beneficiary::Service,
        })
    }

    /// Brings a database to this version and makes the catalogue its own. Can be repeated.
    ///
    /// # Errors
    /// `Unavailable`, or `CatalogueInUse` when submissions use what the catalogue lacks.
    pub async fn migrate(url: &DatabaseUrl, catalogue: &Catalogue) -> Result<(), StoreError> {
        migrations::run(url).await?;
        migrations::adopt(url, catalogue).await
    }

    /// Gives the roles of api and aggregator processes, [`API_ROLE`](crate::API_ROLE) and
    /// [`AGGREGATOR_ROLE`](crate::AGGREGATOR_ROLE), their rights in a PostgreSQL database, and makes the roles if this
    /// session may. Answers whether there are such roles.
    ///
    /// # Errors
    /// `Unavailable`, also when the session does not own the tables.
    pub async fn grant(url: &DatabaseUrl) -> Result<bool, StoreError> {
        migrations::grant(url).await
    }

    /// The same store for the holder of a key: on PostgreSQL, what callers read through it is what the key reaches.
    #[must_use]
    pub fn on_behalf_of(&self, key: &KeyId) -> Self {
        Self {
            inner: self.inner.clone(),
            whom: Beneficiary::Key(key.clone()),
        }
    }

    /// The catalogue, with the database's unit ids.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.inner.catalogue
    }

    /// Woken after each commit that put announcements into the outbox.
    pub fn outbox_changed(&self) -> &Notify {
        &self.inner.news
    }

    /// Whether the database answers, holds this process's catalogue and takes changes. It is asked for the last by a
    /// change that means nothing, and only when it has refused one.
    ///
    /// # Errors
    /// As for every call.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let catalogue = self.inner.catalogue.clone();
        self.look(move |conn| Box::pin(async move { adoption::check(conn, catalogue.digest()).await }))
            .await?;
        self.inner
            .standing
            .settle(async || self.try_to_write().await)
            .await
    }

    async fn try_to_write(&self) -> Result<(), StoreError> {
        let catalogue = self.inner.catalogue.clone();
        self.write(move |conn| {
            Box::pin(async move {
                adoption::share_lock(conn, catalogue.digest()).await?;
                probe::write(conn).await
            })
        })
        .await
    }

    /// Finishes what waits to be recorded. Later changes are refused as `Unavailable`.
    pub async fn close(&self) {
        drop(self.inner.journal.lock().await.take());
        let mut recorders = self.inner.recorders.lock().await;
        while let Some(ended) = recorders.join_next().await {
            if let Err(panic) = ended {
                tracing::error!(%panic, "a recorder failed");
            }
        }
    }

    /// Records a change, together with others that come at the same time. Answers after the commit.
    ///
    /// # Errors
    /// `Overloaded`, `Contention`, `Unavailable` (whether it was recorded may then be unknown), `OtherCatalogue`.
    pub async fn record(&self, write: Write) -> Result<Outcome, StoreError> {
        let journal = self.inner.journal.lock().await.clone();
        journal.ok_or_else(journal::closed)?.record(write).await
    }

    /// What [`Store::record`] would answer now. Nothing is kept.
    ///
    /// # Errors
    /// As for [`Store::record`].
    pub async fn rehearse(&self, write: Write) -> Result<Outcome, StoreError> {
        let (inner, turn) = (self.inner.clone(), self.turn()?);
        let pools = inner.pools.clone();
        let rehearsal = async move {
            let _turn = turn;
            let mut tx = inner.pools.begin(Purpose::Write, &Beneficiary::Service).await?;
            let outcomes = record::record(tx.conn()?, &inner.catalogue, &[write]).await;
            tx.rollback().await?;
            outcomes?.pop().ok_or_else(|| StoreError::corrupt("no outcome"))
        };
        let timed = async move { pools.within(DEADLINE, rehearsal).await };
        self.inner.runtime.spawn(timed).await.map_err(unavailable)?
    }

    /// What a submission is about, whoever asks, so that he can be told that it is not for him.
    ///
    /// # Errors
    /// As for every call.
    pub async fn submission_key(&self, id: SubmissionId) -> Result<Option<SubmissionKey>, StoreError> {
        let turn = self.turn()?;
        let head = self.run(Purpose::Lookup, Beneficiary::Service, Some(turn), move |conn| {
            Box::pin(submissions::head(conn, id))
        });
        Ok(head.await?.map(|(key, _)| key))
    }

    /// The current revision of a submission.
    ///
    /// # Errors
    /// As for every call: `Unavailable`, `Corrupt`.
    pub async fn submission(&self, id: SubmissionId) -> Result<Option<Revision>, StoreError> {
        self.look_up(move |conn| {
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
    /// As for every call.
    pub async fn revision(&self, id: SubmissionId, number: i32) -> Result<Option<Revision>, StoreError> {
        self.look_up(move |conn| Box::pin(submissions::revision(conn, id, number)))
            .await
    }

    /// The history of a submission, newest first, of revisions below `before`; empty when there is none.
    ///
    /// # Errors
    /// As for every call.
    pub async fn revisions(
        &self,
        id: SubmissionId,
        before: Option<i32>,
        limit: usize,
    ) -> Result<Vec<Revision>, StoreError> {
        self.read(move |conn| Box::pin(submissions::history(conn, id, before, limit)))
            .await
    }

    /// Current revisions, newest first.
    ///
    /// # Errors
    /// As for every call.
    pub async fn submissions(
        &self,
        filter: SubmissionFilter,
        limit: usize,
    ) -> Result<Vec<Revision>, StoreError> {
        self.read(move |conn| Box::pin(async move { submissions::list(conn, &filter, limit).await }))
            .await
    }

    /// For each revision, when its province's total that holds it was refreshed; none while it may not hold it.
    /// For units above or outside provinces, the root's.
    ///
    /// # Errors
    /// As for every call.
    pub async fn aggregated_at(
        &self,
        revisions: Vec<(SubmissionKey, DateTime<Utc>)>,
    ) -> Result<Vec<Option<DateTime<Utc>>>, StoreError> {
        let (catalogue, turn) = (self.inner.catalogue.clone(), self.turn()?);
        // A province's total is not for its districts; when it was refreshed, is.
        let whom = Beneficiary::Service;
        self.run(Purpose::Read, whom, Some(turn), move |conn| {
            Box::pin(async move { reads::aggregated_at(conn, &catalogue, &revisions).await })
        })
        .await
    }

    /// A total, in one snapshot with its marks.
    ///
    /// # Errors
    /// As for every call; `Corrupt` when the unit is not in the scope's tree.
    pub async fn total(&self, scope: &Scope, unit: &UnitCode) -> Result<TotalRead, StoreError> {
        let (scope, unit) = (scope.clone(), unit.clone());
        self.look_up(move |conn| Box::pin(async move { reads::total(conn, &scope, &unit).await }))
            .await
    }

    /// What one indicator of a total is made of: the unit's own part first, if it reports the form, then each
    /// child's in byte order of their codes.
    ///
    /// # Errors
    /// As for every call; `Corrupt` when the unit or indicator is not in the scope.
    pub async fn contributions(
        &self,
        scope: &Scope,
        unit: &UnitCode,
        indicator: &IndicatorCode,
    ) -> Result<Vec<Contribution>, StoreError> {
        let (scope, unit, indicator) = (scope.clone(), unit.clone(), indicator.clone());
        self.look_up(move |conn| {
            Box::pin(async move { reads::contributions(conn, &scope, &unit, &indicator).await })
        })
        .await
    }

    /// How each expected unit at or below stands, in byte order of their codes.
    ///
    /// # Errors
    /// As for every call.
    pub async fn coverage(&self, scope: &Scope, unit: &UnitCode) -> Result<Vec<UnitCoverage>, StoreError> {
        let (scope, unit) = (scope.clone(), unit.clone());
        self.read(move |conn| Box::pin(async move { reads::coverage(conn, &scope, &unit).await }))
            .await
    }

    /// Recounts every total at or below a unit from the submissions, in one snapshot.
    ///
    /// # Errors
    /// As for every call.
    pub async fn verify(&self, scope: &Scope, unit: &UnitCode) -> Result<Verification, StoreError> {
        let (scope, unit, inner) = (scope.clone(), unit.clone(), self.inner.clone());
        let (turn, whom) = (self.turn()?, self.whom.clone());
        let work = async move {
            let _turn = turn;
            let (of, at) = (scope.clone(), unit.clone());
            let evidence = run(&inner.pools, Purpose::Read, &whom, LONG_DEADLINE, move |conn| {
                Box::pin(async move { verification::gather(conn, &of, &at).await })
            })
            .await?;
            // The transaction is over: counting takes a while.
            let count = move || verification::compare(&scope, &unit, &evidence);
            tokio::task::spawn_blocking(count).await.map_err(unavailable)?
        };
        self.inner.runtime.spawn(work).await.map_err(unavailable)?
    }

    /// Refreshes one total, if it is marked.
    ///
    /// # Errors
    /// As for every call; `Contention` when another refresh of it did not end in time; `Overflow`.
    pub async fn refresh(&self, key: &TotalKey) -> Result<Refreshed, StoreError> {
        let done = self.refresh_all(std::slice::from_ref(key)).await;
        done.into_iter()
            .next()
            .unwrap_or_else(|| Err(StoreError::corrupt("nothing was said of a total")))
    }

    /// Refreshes totals, which are sorted, as far as they are marked. Answers for each, in their order, what became of it,
    /// with the errors of [`Store::refresh`].
    pub async fn refresh_all(&self, keys: &[TotalKey]) -> Vec<Result<Refreshed, StoreError>> {
        let (keys, inner) = (keys.to_vec(), self.inner.clone());
        let count = keys.len();
        let work = async move {
            let done = refresh_totals(&inner.pools, &inner.catalogue, &keys).await;
            for refreshed in &done {
                inner.standing.note(refreshed);
            }
            if done.iter().flatten().any(|one| *one != Refreshed::Clean) {
                inner.news.notify_one();
            }
            done
        };
        let done = self.inner.runtime.spawn(work).await.map_err(unavailable);
        done.unwrap_or_else(|error| vec![Err(error); count])
    }

    /// Totals with marks from before `before`, those that wait longest first.
    ///
    /// # Errors
    /// As for every call.
    pub async fn stale(&self, before: DateTime<Utc>, limit: usize) -> Result<Vec<TotalKey>, StoreError> {
        self.look(move |conn| Box::pin(marks::stale(conn, before, limit)))
            .await
    }

    /// Marks every total for a refresh and answers how many; the aggregators do the rest.
    ///
    /// # Errors
    /// As for every call.
    pub async fn mark_all(&self) -> Result<usize, StoreError> {
        let catalogue = self.inner.catalogue.clone();
        self.write(move |conn| {
            Box::pin(async move {
                adoption::share_lock(conn, catalogue.digest()).await?;
                let now = clock(conn).await?;
                adoption::mark_all(conn, &catalogue, now).await
            })
        })
        .await
    }

    /// How many marks there are.
    ///
    /// # Errors
    /// As for every call.
    pub async fn pending(&self) -> Result<i64, StoreError> {
        self.look(|conn| Box::pin(marks::pending(conn))).await
    }

    /// What waits to be done.
    ///
    /// # Errors
    /// As for every call.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.look(|conn| {
            Box::pin(async move {
                let (marks, oldest_mark) = marks::backlog(conn).await?;
                let (announcements, oldest_announcement) = outbox::backlog(conn).await?;
                Ok(Backlog {
                    marks,
                    oldest_mark,
                    announcements,
                    oldest_announcement,
                    at: clock(conn).await?,
                })
            })
        })
        .await
    }

    /// What was committed to it by this process.
    pub fn commits(&self) -> &Commits {
        &self.inner.commits
    }

    /// The pools of connections to it.
    pub fn pools(&self) -> Vec<PoolState> {
        self.inner.pools.states()
    }

    /// The database's time.
    ///
    /// # Errors
    /// As for every call.
    pub async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        self.look(|conn| Box::pin(clock(conn))).await
    }

    /// The forms and periods for which anything was ever submitted.
    ///
    /// # Errors
    /// As for every call.
    pub async fn scopes(&self) -> Result<Vec<Scope>, StoreError> {
        let keys = self.look(|conn| Box::pin(submissions::keys(conn))).await?;
        let scopes: std::collections::BTreeSet<_> =
            keys.into_iter().map(|key| (key.form, key.period)).collect();
        let catalogue = &self.inner.catalogue;
        Ok(scopes
            .into_iter()
            .filter_map(|(form, period)| catalogue.scope(form.as_str(), period))
            .collect())
    }

    /// Forgets idempotency keys of more than 30 days; answers how many.
    ///
    /// # Errors
    /// As for every call.
    pub async fn forget_old_keys(&self) -> Result<usize, StoreError> {
        self.write(|conn| {
            Box::pin(async move {
                let now = clock(conn).await?;
                idempotency::forget(conn, now - KEYS_KEPT).await
            })
        })
        .await
    }

    /// For callers, of whom there may be any number.
    async fn read<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.turn()?;
        self.run(Purpose::Read, self.whom.clone(), Some(turn), work).await
    }

    /// The same, of rows that are found by their keys.
    async fn look_up<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.turn()?;
        self.run(Purpose::Lookup, self.whom.clone(), Some(turn), work)
            .await
    }

    /// For the service's own tasks, of which there are few.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(Purpose::Read, Beneficiary::Service, None, work).await
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let written = self.run(Purpose::Write, Beneficiary::Service, None, work).await;
        self.inner.standing.note(&written);
        written
    }

    /// One of the places that callers share. It is kept until the work is done, even if the caller has gone away.
    fn turn(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let turn = self.inner.callers.clone().try_acquire_owned();
        turn.map_err(|_| StoreError::Overloaded)
    }

    /// In a task of its own: a transaction whose caller goes away must still end.
    async fn run<T: Send + 'static>(
        &self,
        purpose: Purpose,
        whom: Beneficiary,
        turn: Option<OwnedSemaphorePermit>,
        work: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pools = self.inner.pools.clone();
        let task = self.inner.runtime.spawn(async move {
            let done = run(&pools, purpose, &whom, DEADLINE, work).await;
            drop(turn);
            done
        });
        task.await.map_err(unavailable)?
    }
}

async fn run<T>(
    pools: &Pools,
    purpose: Purpose,
    whom: &Beneficiary,
    deadline: Duration,
    work: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let transaction = async {
        let mut tx = pools.begin(purpose, whom).await?;
        match work(tx.conn()?).await {
            Ok(answer) => tx.commit().await.map(|()| answer),
            Err(error) => {
                tx.rollback().await.ok();
                Err(error)
            }
        }
    };
    pools.within(deadline, transaction).await
}
