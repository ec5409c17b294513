//! The pools of connections to either database.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed;
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncConnection, SimpleAsyncConnection};
use futures_util::FutureExt;

use crate::database::acting_as::ActingAs;
use crate::database::announcement::Announced;
use crate::database::connection::{Conn, Lite, Purpose, on};
use crate::database::postgres::{PgManager, PooledPgConnection};
use crate::database::sqlite_file::DatabaseFile;
use crate::database::sqlite_settings::SQLITE_SETTINGS;
use crate::database::transaction::Tx;
use crate::database::url::DatabaseUrl;
use crate::error::StoreError;

/// The most time to begin a transaction, which is easy: a connection that needs longer is taken for dead.
const SILENCE: Duration = Duration::from_secs(1);
/// The most time that a transaction waits for a connection: longer than a database needs to come back after a failover or
/// a stall of its disk, so that those who wait are served then, and shorter than the deadline of a transaction.
const POOL_WAIT: Duration = Duration::from_secs(4);
/// The same for the one connection that writes to a SQLite file.
const WRITER_WAIT: Duration = Duration::from_secs(3);
/// The connections of a process to PostgreSQL.
const POSTGRES_CONNECTIONS: usize = 16;
/// Those of them that callers' reads leave to recording, refreshing, and the service's own tasks.
const POSTGRES_SERVICE_CONNECTIONS: usize = 6;
/// The connections of a process that read a SQLite file, beside the one that writes.
const SQLITE_READERS: usize = 4;

/// The settings of each PostgreSQL connection: a hanging session must not block others with its locks, a statement ends
/// before the deadline of its transaction, and the server notices dead clients. A cached plan may be older than most
/// rows, so it must never scan a whole table where an index can be used.
const POSTGRES_SETTINGS: &str = "SET lock_timeout = 1700; SET statement_timeout = 4000; \
    SET idle_in_transaction_session_timeout = 2000; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; \
    SET synchronous_commit = on; SET enable_seqscan = off; SET TIME ZONE 'UTC'";
/// The connection pools of a process.
#[derive(Clone)]
pub(crate) enum Pools {
    Pg(managed::Pool<PgManager>),
    Lite {
        writer: Pool<Lite>,
        readers: Pool<Lite>,
        file: Arc<DatabaseFile>,
        announced: Announced,
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
                    announced: Announced::default(),
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

    /// The number of transactions in which callers read at the same time. It leaves connections for the service itself.
    pub(crate) fn caller_reads(&self) -> usize {
        match self {
            Self::Pg(_) => POSTGRES_CONNECTIONS - POSTGRES_SERVICE_CONNECTIONS,
            Self::Lite { .. } => SQLITE_READERS - 1,
        }
    }

    /// The number of dry runs at the same time. On SQLite each takes the turn of a change.
    pub(crate) fn rehearsals(&self) -> usize {
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
            let announced = match &begun {
                Ok(Ok(())) => self.announce(purpose),
                _ => None,
            };
            let tx = Tx::new(conn, file.clone(), announced);
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

    /// Announces a transaction that has begun on a SQLite file, if it records or refreshes. As the only writer, it begins
    /// when the one before has ended, however that one was left.
    fn announce(&self, purpose: Purpose) -> Option<Announced> {
        let Self::Lite { announced, .. } = self else {
            return None;
        };
        match purpose {
            Purpose::Read | Purpose::Lookup => None,
            Purpose::Write => {
                announced.end();
                None
            }
            Purpose::Refresh { .. } | Purpose::Record { .. } => {
                announced.begin();
                Some(announced.clone())
            }
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
                (
                    Self::Lite { writer, .. },
                    Purpose::Write | Purpose::Refresh { .. } | Purpose::Record { .. },
                ) => writer
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
            (Self::Lite { .. }, Purpose::Write | Purpose::Refresh { .. } | Purpose::Record { .. }) => {
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
