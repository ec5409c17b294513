//! The store, which services call. Each call is one transaction that runs to its end, even if the caller disconnects.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonghop_domain::{Catalogue, KeyId};

use crate::audit::seals::LastSeal;
use crate::database::acting_as::ActingAs;
use crate::database::connection::{Conn, Purpose};
use crate::database::pool::Pools;
use crate::database::url::DatabaseUrl;
use crate::database::write_health::WriteHealth;
use crate::error::StoreError;
use crate::fair_queue::{FairQueue, Place};
use crate::group_commit::metrics::Commits;
use crate::group_commit::{GroupCommit, Recorder};
use crate::queries::{catalogue, catalogue_digest};
use crate::store::watermark::SharedWatermark;
use crate::unit_of_work::DEADLINE;

mod access_keys;
mod audit;
mod changes;
mod migrate;
mod outbox;
mod status;
mod submissions;
mod totals;
mod watermark;

/// The store; cheap to clone. Must be created on a multi-threaded tokio runtime, on which all its work runs, wherever
/// it is called from.
///
/// # Errors of every method
/// `Unavailable` if the database cannot be used, `Overloaded` if too many calls wait, `Corrupt` if a stored row is
/// unreadable. A method that writes also fails with `Contention` if it waited for a lock too long, with
/// `ConstraintViolated` if the database rejected the change, and with `CatalogueMismatch` or `NotMigrated` if the
/// database no longer fits this process.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// The subject of callers' reads.
    acting_as: ActingAs,
}

struct Inner {
    pools: Pools,
    catalogue: Arc<Catalogue>,
    news: Arc<Notify>,
    /// `None` after the store was closed.
    group_commit: Mutex<Option<GroupCommit>>,
    recorders: Mutex<JoinSet<()>>,
    write_health: Arc<WriteHealth>,
    commits: Commits,
    /// The transactions in which callers read.
    reads: FairQueue,
    /// The transactions of dry runs.
    rehearsals: FairQueue,
    runtime: Handle,
    /// The last seal of the audit trail that this process knows of.
    last_seal: std::sync::Mutex<Option<LastSeal>>,
    watermark: SharedWatermark,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens a database. A SQLite file is migrated and adopts the catalogue first; a PostgreSQL database must have been
    /// migrated.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be reached, `NotMigrated`, `CatalogueMismatch`, `CatalogueInUse`.
    pub async fn open(url: &DatabaseUrl, catalogue: Catalogue) -> Result<Self, StoreError> {
        match url {
            DatabaseUrl::Sqlite(_) => Self::migrate(url, &catalogue).await?,
            DatabaseUrl::Postgres(_) => Self::check_migrated(url).await?,
        }
        let pools = Pools::new(url)?;
        let service = &ActingAs::Service;
        let catalogue = run(&pools, Purpose::Read, service, DEADLINE, move |conn| {
            Box::pin(async move {
                catalogue_digest::check(conn, catalogue.digest()).await?;
                catalogue::with_ids(conn, &catalogue).await
            })
        })
        .await?;
        let news = Arc::new(Notify::new());
        let catalogue = Arc::new(catalogue);
        let recorder = Recorder::new(pools.clone(), catalogue.clone(), news.clone());
        let write_health = recorder.write_health().clone();
        let commits = recorder.commits().clone();
        let (reads, rehearsals) = (
            FairQueue::new(pools.caller_reads()),
            FairQueue::new(pools.rehearsals()),
        );
        let (group_commit, changes) = GroupCommit::new();
        let mut recorders = JoinSet::new();
        for _ in 0..pools.writers() {
            recorders.spawn(recorder.clone().work(changes.clone()));
        }
        let inner = Inner {
            pools,
            catalogue,
            news,
            group_commit: Mutex::new(Some(group_commit)),
            recorders: Mutex::new(recorders),
            write_health,
            commits,
            reads,
            rehearsals,
            runtime: Handle::current(),
            last_seal: std::sync::Mutex::default(),
            watermark: SharedWatermark::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
            acting_as: ActingAs::Service,
        })
    }

    /// The same store for the holder of a key: on PostgreSQL, row-level security restricts its reads to the key's
    /// units.
    #[must_use]
    pub fn on_behalf_of(&self, key: &KeyId) -> Self {
        Self {
            inner: self.inner.clone(),
            acting_as: ActingAs::Key(key.clone()),
        }
    }

    /// The catalogue, with the unit ids of the database.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.inner.catalogue
    }

    /// Notified after each commit that may have added announcements to the outbox.
    pub fn outbox_changed(&self) -> &Notify {
        &self.inner.news
    }

    /// Records the queued changes and stops. Later changes are refused with `Unavailable`.
    pub async fn close(&self) {
        drop(self.inner.group_commit.lock().await.take());
        let mut recorders = self.inner.recorders.lock().await;
        while let Some(ended) = recorders.join_next().await {
            if let Err(panic) = ended {
                tracing::error!(%panic, "recorder panicked");
            }
        }
    }

    /// Reads for a caller, in turn with other callers.
    async fn read<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_in_turn(Purpose::Read, self.acting_as.clone(), work)
            .await
    }

    /// Like [`Store::read`], for rows that are found by their keys.
    async fn lookup<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_in_turn(Purpose::Lookup, self.acting_as.clone(), work)
            .await
    }

    async fn read_in_turn<T: Send + 'static>(
        &self,
        purpose: Purpose,
        acting_as: ActingAs,
        work: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        within_deadline(async {
            let place = self.place(&self.inner.reads).await?;
            self.run(purpose, acting_as, place, work).await
        })
        .await
    }

    /// Reads for the service's own tasks, without a limit.
    async fn read_as_service<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(Purpose::Read, ActingAs::Service, None, work).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let written = self.run(Purpose::Write, ActingAs::Service, None, work).await;
        self.inner.write_health.note(&written);
        written
    }

    /// A time before which nothing can still be recorded, read within the last `age`. It holds for every snapshot that is
    /// taken afterwards.
    async fn watermark_within(&self, age: Duration) -> Result<DateTime<Utc>, StoreError> {
        let inner = &self.inner;
        if let Some(watermark) = inner.pools.own_watermark() {
            return Ok(watermark);
        }
        let read = || {
            let pools = inner.pools.clone();
            async move { pools.within(DEADLINE, pools.watermark()).await }
        };
        let earliest = Instant::now() - age;
        inner.watermark.not_before(earliest, &inner.runtime, read).await
    }

    /// A place of the caller; none is needed by the service itself. The work keeps it to its end, even if the caller
    /// disconnects.
    async fn place(&self, queue: &FairQueue) -> Result<Option<Place>, StoreError> {
        match &self.acting_as {
            ActingAs::Service => Ok(None),
            ActingAs::Key(key) => queue.take(key).await.map(Some),
        }
    }

    /// Runs a transaction in its own task, so that it ends even if the caller disconnects.
    async fn run<T: Send + 'static>(
        &self,
        purpose: Purpose,
        acting_as: ActingAs,
        place: Option<Place>,
        work: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = self.inner.clone();
        let task = self.inner.runtime.spawn(async move {
            let done = run(&inner.pools, purpose, &acting_as, DEADLINE, work).await;
            inner.write_health.note_damage(&done);
            drop(place);
            done
        });
        task.await.map_err(StoreError::unavailable)?
    }
}

/// Ends the wait of a caller, whatever it waits for. Work that has begun goes on to its own end.
async fn within_deadline<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let timed = tokio::time::timeout(DEADLINE, work).await;
    timed.unwrap_or_else(|_| Err(StoreError::unavailable("the database did not respond in time")))
}

async fn run<T>(
    pools: &Pools,
    purpose: Purpose,
    acting_as: &ActingAs,
    deadline: Duration,
    work: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let transaction = async {
        let mut tx = pools.begin(purpose, acting_as).await?;
        match work(tx.conn()?).await {
            Ok(answer) => tx.commit().await.map(|()| answer),
            Err(error) => Err(tx.abort(error).await),
        }
    };
    pools.within(deadline, transaction).await
}
