//! Pools, connections and transactions on either database.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed;
use diesel::SqliteConnection;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, SimpleAsyncConnection};
use futures_util::FutureExt;

use crate::database::acting_as::ActingAs;
use crate::database::postgres::{PgManager, PooledPgConnection};
use crate::database::sqlite_file::DatabaseFile;
use crate::database::sqlite_settings::SQLITE_SETTINGS;
use crate::database::url::DatabaseUrl;
use crate::error::StoreError;

pub(crate) type Lite = SyncConnectionWrapper<SqliteConnection>;

/// SQLite's message if another connection writes.
const SQLITE_BUSY: &str = "database is locked";
/// The most time to begin a transaction, which is easy: a connection that needs longer is taken for dead.
const SILENCE: Duration = Duration::from_secs(1);
/// The most time that a caller waits for a connection.
const POOL_WAIT: Duration = Duration::from_secs(2);
/// The same for the one connection that writes to a SQLite file.
const WRITER_WAIT: Duration = Duration::from_secs(3);
/// The connections of a process to PostgreSQL.
const POSTGRES_CONNECTIONS: usize = 16;
/// The connections of a process that read a SQLite file, beside the one that writes.
const SQLITE_READERS: usize = 4;

/// The settings of each PostgreSQL connection: a hanging session must not block others with its locks, a statement ends
/// before the deadline of its transaction, and the server notices dead clients. A cached plan may be older than most
/// rows, so it must never scan a whole table where an index can be used.
const POSTGRES_SETTINGS: &str = "SET lock_timeout = 1700; SET statement_timeout = 4000; \
    SET idle_in_transaction_session_timeout = 2000; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; \
    SET synchronous_commit = on; SET enable_seqscan = off; SET TIME ZONE 'UTC'";
/// For statements that find rows by their keys: planning for the actual parameters would take longer than the
/// statement.
const KEPT_PLANS: &str = "SET LOCAL plan_cache_mode = force_generic_plan";
const HURRIED_LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = 500; ";
/// A connection to either database. Queries are written once with [`on!`].
#[expect(
    clippy::large_enum_variant,
    reason = "there are few, each lives for one transaction"
)]
pub(crate) enum Conn {
    Pg(PooledPgConnection),
    Lite(Object<Lite>),
}

impl Conn {
    fn begin_statement(&self, purpose: Purpose, acting_as: &ActingAs) -> String {
        let subject = acting_as.statement();
        match (self, purpose) {
            (Self::Pg(_), Purpose::Read) => {
                format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {subject}")
            }
            (Self::Pg(_), Purpose::Lookup) => {
                format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {KEPT_PLANS}; {subject}")
            }
            (Self::Pg(_), Purpose::Write) => format!("BEGIN ISOLATION LEVEL READ COMMITTED; {subject}"),
            (Self::Pg(_), Purpose::UnitOfWork { hurry }) => {
                let timeout = if hurry { HURRIED_LOCK_TIMEOUT } else { "" };
                format!("BEGIN ISOLATION LEVEL READ COMMITTED; {KEPT_PLANS}; {timeout}{subject}")
            }
            (Self::Lite(_), Purpose::Read | Purpose::Lookup) => "BEGIN".to_owned(),
            (Self::Lite(_), Purpose::Write | Purpose::UnitOfWork { .. }) => "BEGIN IMMEDIATE".to_owned(),
        }
    }

    /// Forgets the errors of earlier transactions.
    fn forget_errors(&self) {
        if let Self::Pg(object) = self {
            object.0.last_error().take();
        }
    }

    /// Classifies an error of a statement in this transaction. Errors without a kind in diesel arrive as `Unavailable`;
    /// PostgreSQL's SQLSTATE is more precise. SQLite is compiled in, so its message for a conflict is a constant.
    fn classify(&self, error: StoreError) -> StoreError {
        match (self, error) {
            (Self::Pg(object), StoreError::Unavailable(message)) => match object.0.last_error().take() {
                Some(code) => StoreError::of_sqlstate(code, message),
                None => StoreError::Unavailable(message),
            },
            (Self::Lite(_), StoreError::Unavailable(message)) if message == SQLITE_BUSY => {
                StoreError::Contention(message)
            }
            (_, error) => error,
        }
    }
}

/// Evaluates one expression with a connection to either database.
macro_rules! on {
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::database::pool::Conn::Pg(object) => {
                let $c: &mut diesel_async::AsyncPgConnection = &mut *object;
                $body
            }
            $crate::database::pool::Conn::Lite(object) => {
                let $c: &mut $crate::database::pool::Lite = &mut *object;
                $body
            }
        }
    };
}

pub(crate) use on;

/// The connection pools of a process.
#[derive(Clone)]
pub(crate) enum Pools {
    Pg(managed::Pool<PgManager>),
    Lite {
        writer: Pool<Lite>,
        readers: Pool<Lite>,
        file: Arc<DatabaseFile>,
    },
}

/// The state of a connection pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolState {
    /// The name of the pool.
    pub name: &'static str,
    /// The connections with an open transaction.
    pub in_use: usize,
    /// The idle connections.
    pub idle: usize,
    /// The connections that can still be opened.
    pub free: usize,
    /// The transactions that wait for a connection.
    pub waiting: usize,
}

/// The purpose of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Reads, in one snapshot.
    Read,
    /// Reads of rows by their keys, with cached plans, since planning takes longer than finding the rows.
    Lookup,
    /// Writes, READ COMMITTED with row locks; on SQLite as the only writer.
    Write,
    /// Recording and refreshing, with cached plans. In a hurry, it waits at most half a second for a lock; on SQLite
    /// the only lock was taken before.
    UnitOfWork { hurry: bool },
}

impl Pools {
    pub(crate) fn new(url: &DatabaseUrl) -> Result<Self, StoreError> {
        match url {
            DatabaseUrl::Postgres(url) => {
                let manager = PgManager {
                    url: url.clone(),
                    settings: POSTGRES_SETTINGS,
                };
                let pool = managed::Pool::builder(manager)
                    .max_size(POSTGRES_CONNECTIONS)
                    .build();
                Ok(Self::Pg(pool.map_err(StoreError::unavailable)?))
            }
            DatabaseUrl::Sqlite(path) => {
                let file = DatabaseFile::open(path)?;
                let pool = |size| {
                    let manager = AsyncDieselConnectionManager::new_with_config(file.url(), sqlite_config());
                    Pool::builder(manager)
                        .max_size(size)
                        .build()
                        .map_err(StoreError::unavailable)
                };
                Ok(Self::Lite {
                    writer: pool(1)?,
                    readers: pool(SQLITE_READERS)?,
                    file: Arc::new(file),
                })
            }
        }
    }

    /// The states of the pools.
    pub(crate) fn states(&self) -> Vec<PoolState> {
        macro_rules! state {
            ($name:literal, $pool:expr) => {{
                let status = $pool.status();
                PoolState {
                    name: $name,
                    in_use: status.size.saturating_sub(status.available),
                    idle: status.available,
                    free: status.max_size.saturating_sub(status.size),
                    waiting: status.waiting,
                }
            }};
        }
        match self {
            Self::Pg(pool) => vec![state!("postgres", pool)],
            Self::Lite { writer, readers, .. } => {
                vec![state!("sqlite_writer", writer), state!("sqlite_readers", readers)]
            }
        }
    }

    /// The number of transactions that record at the same time: one on SQLite, which has one writer; on PostgreSQL a
    /// second one works while the first commits. With more, each would contain fewer changes, and a transaction costs
    /// more than a change.
    pub(crate) fn writers(&self) -> usize {
        match self {
            Self::Pg(_) => 2,
            Self::Lite { .. } => 1,
        }
    }

    /// Runs a transaction and abandons it after the deadline. The cause may be a dead connection, as when a network
    /// device drops its state; then other idle connections of that age are dead as well.
    pub(crate) async fn within<T>(
        &self,
        deadline: Duration,
        transaction: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let timed = tokio::time::timeout(deadline, transaction).await;
        timed.unwrap_or_else(|_| {
            self.forget_idle();
            Err(StoreError::unavailable("the database did not respond in time"))
        })
    }

    /// Drops connections to a server that were idle for longer than `SILENCE`, since each dead one would cost its next
    /// user that long.
    fn forget_idle(&self) {
        if let Self::Pg(pool) = self {
            pool.retain(|_, metrics| metrics.last_used() < SILENCE);
        }
    }

    /// Begins a transaction. Drops connections that died while they were idle.
    pub(crate) async fn begin(&self, purpose: Purpose, acting_as: &ActingAs) -> Result<Tx, StoreError> {
        let file = match self {
            Self::Lite { file, .. } => Some(file.clone()),
            Self::Pg(_) => None,
        };
        file.as_ref().map_or(Ok(()), |file| file.check())?;
        let mut tries = POSTGRES_CONNECTIONS;
        loop {
            let mut conn = self.get(purpose).await?;
            let begin = conn.begin_statement(purpose, acting_as);
            conn.forget_errors();
            let beginning = async { on!(&mut conn, c => c.batch_execute(&begin).await) };
            let begun = match self {
                Self::Pg(_) => tokio::time::timeout(SILENCE, beginning).await,
                // A file is never silent: the writer waits for its turn.
                Self::Lite { .. } => Ok(beginning.await),
            };
            let tx = Tx {
                conn: Some(conn),
                file: file.clone(),
            };
            let failed = match begun {
                Ok(Ok(())) => return Ok(tx),
                // A SQLite connection does not die: another one writes, and did not finish in time.
                Ok(Err(error)) if matches!(self, Self::Lite { .. }) => {
                    return Err(tx.abort(error.into()).await);
                }
                Ok(Err(error)) => error.into(),
                Err(silent) => {
                    self.forget_idle();
                    StoreError::unavailable(silent)
                }
            };
            if tries == 0 {
                return Err(failed);
            }
            tries -= 1;
        }
    }

    async fn get(&self, purpose: Purpose) -> Result<Conn, StoreError> {
        let got = async {
            match (self, purpose) {
                (Self::Pg(pool), _) => pool
                    .get()
                    .await
                    .map(PooledPgConnection)
                    .map(Conn::Pg)
                    .map_err(StoreError::unavailable),
                (Self::Lite { writer, .. }, Purpose::Write | Purpose::UnitOfWork { .. }) => writer
                    .get()
                    .await
                    .map(Conn::Lite)
                    .map_err(StoreError::unavailable),
                (Self::Lite { readers, .. }, Purpose::Read | Purpose::Lookup) => readers
                    .get()
                    .await
                    .map(Conn::Lite)
                    .map_err(StoreError::unavailable),
            }
        };
        let none_free = "no connection became available in time";
        let (wait, in_vain) = match (self, purpose) {
            // The one writer is busy, and nothing was begun.
            (Self::Lite { .. }, Purpose::Write | Purpose::UnitOfWork { .. }) => {
                (WRITER_WAIT, StoreError::Contention(none_free.into()))
            }
            _ => (POOL_WAIT, StoreError::unavailable(none_free)),
        };
        let timed = tokio::time::timeout(wait, got).await;
        timed.map_err(|_| in_vain)?
    }
}

fn sqlite_config() -> ManagerConfig<Lite> {
    let mut config = ManagerConfig::default();
    config.custom_setup = Box::new(|path| establish_sqlite(path.to_owned()).boxed());
    config.recycling_method = RecyclingMethod::Fast;
    config
}

async fn establish_sqlite(path: String) -> diesel::ConnectionResult<Lite> {
    let mut conn = Lite::establish(&path).await?;
    conn.batch_execute(SQLITE_SETTINGS)
        .await
        .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// An open transaction. If dropped without `commit` or `rollback`, its connection is closed.
pub(crate) struct Tx {
    conn: Option<Conn>,
    file: Option<Arc<DatabaseFile>>,
}

impl Tx {
    pub(crate) fn conn(&mut self) -> Result<&mut Conn, StoreError> {
        self.conn
            .as_mut()
            .ok_or_else(|| StoreError::unavailable("the transaction has ended"))
    }

    /// Commits. Fails if the SQLite file was moved or deleted in the meantime, since then nothing is stored.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let file = self.file.clone();
        self.end("COMMIT").await?;
        file.map_or(Ok(()), |file| file.check())
    }

    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        self.end("ROLLBACK").await
    }

    /// Rolls back after an error, and returns the classified error.
    pub(crate) async fn abort(self, error: StoreError) -> StoreError {
        let error = match &self.conn {
            Some(conn) => conn.classify(error),
            None => error,
        };
        // If this fails as well, the connection is closed, which rolls back.
        self.rollback().await.ok();
        error
    }

    async fn end(mut self, statement: &str) -> Result<(), StoreError> {
        let conn = self.conn()?;
        if let Err(error) = on!(conn, c => c.batch_execute(statement).await) {
            return Err(conn.classify(error.into()));
        }
        // Only now can the connection return to the pool.
        drop(self.conn.take());
        Ok(())
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        match self.conn.take() {
            Some(Conn::Pg(object)) => drop(managed::Object::take(object.0)),
            Some(Conn::Lite(object)) => drop(Object::take(object)),
            None => {}
        }
    }
}
