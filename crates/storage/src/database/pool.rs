//! Connections and transactions on either database.

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

/// What SQLite says when another connection writes.
const SQLITE_BUSY: &str = "database is locked";
/// Nothing is easier than to begin a transaction: a connection on which this takes longer has fallen silent.
const SILENCE: Duration = Duration::from_secs(1);
/// How long a caller waits for a connection.
const POOL_WAIT: Duration = Duration::from_secs(2);
/// The same for the one that writes to a SQLite file, where all take turns.
const WRITER_WAIT: Duration = Duration::from_secs(3);
/// Connections of a process to PostgreSQL.
const POSTGRES_CONNECTIONS: usize = 16;
/// Reading connections to a SQLite file, beside the one that writes.
const SQLITE_READERS: usize = 4;

/// Set on each PostgreSQL connection: a lock holder that hangs must not hang the others, a statement ends before the
/// deadline of its transaction, and the server notices a client that is gone without a word. A plan that is kept may be older
/// than most of the rows: it is never one that reads a whole table where an index leads to them.
const POSTGRES_SETTINGS: &str = "SET lock_timeout = 1700; SET statement_timeout = 4000; \
    SET idle_in_transaction_session_timeout = 2000; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; \
    SET synchronous_commit = on; SET enable_seqscan = off; SET TIME ZONE 'UTC'";
/// Statements that find rows by their keys: made anew for the very numbers in hand, a plan takes longer than what it is for.
const KEPT_PLANS: &str = "SET LOCAL plan_cache_mode = force_generic_plan";
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
    /// Forgets the errors of earlier transactions.
    fn forget_errors(&self) {
        if let Self::Pg(object) = self {
            object.0.last_error().take();
        }
    }

    /// What an error of a statement in this transaction means. Most that diesel has no kind for are taken for
    /// `Unavailable`; PostgreSQL's SQLSTATE knows better. SQLite's library, which is compiled in, has one text for a
    /// collision.
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

/// Runs one expression on whichever database the connection leads to.
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

/// The pools of a process.
#[derive(Clone)]
pub(crate) enum Pools {
    Pg(managed::Pool<PgManager>),
    Lite {
        writer: Pool<Lite>,
        readers: Pool<Lite>,
        file: Arc<DatabaseFile>,
    },
}

/// What a pool of connections has in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolState {
    /// Which pool it is.
    pub name: &'static str,
    /// Connections in which a transaction is open.
    pub in_use: usize,
    /// Those that are open for the next one.
    pub idle: usize,
    /// How many more may be made.
    pub free: usize,
    /// Transactions that wait for a connection.
    pub waiting: usize,
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// One snapshot, nothing written.
    Read,
    /// The same, for what finds rows by their keys, again and again: what it plans, it plans once. Planning takes longer than
    /// finding them.
    Lookup,
    /// READ COMMITTED with row locks; on SQLite the only writer.
    Write,
    /// The same, for what records and refreshes, again and again: what it plans, it plans once. In a hurry, it waits for no
    /// lock longer than half a second; SQLite has waited for its only one by then.
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

    /// What each of them has in hand.
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

    /// How many transactions may record at a time: one on SQLite, which has one writer; on PostgreSQL one while another
    /// is being committed. More of them would take fewer changes each, and a transaction costs more than a change.
    pub(crate) fn writers(&self) -> usize {
        match self {
            Self::Pg(_) => 2,
            Self::Lite { .. } => 1,
        }
    }

    /// Runs a transaction, and gives it up after so long. It may have met a connection that fell silent, as when a
    /// network forgets its connections, and then the others of that age have fallen silent, too.
    pub(crate) async fn within<T>(
        &self,
        deadline: Duration,
        transaction: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let timed = tokio::time::timeout(deadline, transaction).await;
        timed.unwrap_or_else(|_| {
            self.forget_idle();
            Err(StoreError::unavailable("the database did not answer in time"))
        })
    }

    /// Drops the connections to a server that have not worked for as long as a silence lasts: one by one, each would
    /// cost its next user that long.
    fn forget_idle(&self) {
        if let Self::Pg(pool) = self {
            pool.retain(|_, metrics| metrics.last_used() < SILENCE);
        }
    }

    /// Begins a transaction. Connections that died while they were idle are dropped on the way.
    pub(crate) async fn begin(&self, purpose: Purpose, acting_as: &ActingAs) -> Result<Tx, StoreError> {
        let file = match self {
            Self::Lite { file, .. } => Some(file.clone()),
            Self::Pg(_) => None,
        };
        file.as_ref().map_or(Ok(()), |file| file.check())?;
        let mut tries = POSTGRES_CONNECTIONS;
        loop {
            let mut conn = self.get(purpose).await?;
            let begin = match (&conn, purpose) {
                (Conn::Pg(_), Purpose::Read) => {
                    format!(
                        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}",
                        acting_as.statement()
                    )
                }
                (Conn::Pg(_), Purpose::Lookup) => format!(
                    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {KEPT_PLANS}; {}",
                    acting_as.statement()
                ),
                (Conn::Pg(_), Purpose::Write) => {
                    format!("BEGIN ISOLATION LEVEL READ COMMITTED; {}", acting_as.statement())
                }
                (Conn::Pg(_), Purpose::UnitOfWork { hurry }) => format!(
                    "BEGIN ISOLATION LEVEL READ COMMITTED; {KEPT_PLANS}; {}{}",
                    if hurry {
                        "SET LOCAL lock_timeout = 500; "
                    } else {
                        ""
                    },
                    acting_as.statement()
                ),
                (Conn::Lite(_), Purpose::Read | Purpose::Lookup) => "BEGIN".to_owned(),
                (Conn::Lite(_), Purpose::Write | Purpose::UnitOfWork { .. }) => "BEGIN IMMEDIATE".to_owned(),
            };
            conn.forget_errors();
            let beginning = async { on!(&mut conn, c => c.batch_execute(&begin).await) };
            let begun = match self {
                Self::Pg(_) => tokio::time::timeout(SILENCE, beginning).await,
                // A file is never silent: a writer waits for his turn.
                Self::Lite { .. } => Ok(beginning.await),
            };
            let tx = Tx {
                conn: Some(conn),
                file: file.clone(),
            };
            let failed = match begun {
                Ok(Ok(())) => return Ok(tx),
                // A SQLite connection does not die: somebody else writes, and was waited for long enough.
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
        let none_free = "no connection became free";
        let (wait, in_vain) = match (self, purpose) {
            // The one writer is busy with others, and nothing was begun.
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

/// An open transaction. Dropped without `commit` or `rollback`, it takes its connection with it.
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

    /// Commits. What went into a file that was moved or deleted meanwhile is not stored.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let file = self.file.clone();
        self.end("COMMIT").await?;
        file.map_or(Ok(()), |file| file.check())
    }

    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        self.end("ROLLBACK").await
    }

    /// Rolls back after an error, and returns what the error means.
    pub(crate) async fn abort(self, error: StoreError) -> StoreError {
        let error = match &self.conn {
            Some(conn) => conn.classify(error),
            None => error,
        };
        // When this fails too, the connection is dropped, and the database rolls back by itself.
        self.rollback().await.ok();
        error
    }

    async fn end(mut self, statement: &str) -> Result<(), StoreError> {
        let conn = self.conn()?;
        if let Err(error) = on!(conn, c => c.batch_execute(statement).await) {
            return Err(conn.classify(error.into()));
        }
        // Only now may the connection go back to the pool.
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
