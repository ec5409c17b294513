//! A connection to either database, and how a transaction begins on it.

use diesel::SqliteConnection;
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;

use crate::database::acting_as::ActingAs;
use crate::database::announcement::ANNOUNCEMENT;
use crate::database::postgres::PooledPgConnection;
use crate::error::StoreError;

pub(crate) type Lite = SyncConnectionWrapper<SqliteConnection>;

/// SQLite's message if another connection writes.
const SQLITE_BUSY: &str = "database is locked";
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
    /// The statement that begins a transaction for a purpose.
    pub(crate) fn begin_statement(&self, purpose: Purpose, acting_as: &ActingAs) -> String {
        let subject = acting_as.statement();
        match (self, purpose) {
            (Self::Pg(_), Purpose::Read) => {
                format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {subject}")
            }
            (Self::Pg(_), Purpose::Lookup) => {
                format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {KEPT_PLANS}; {subject}")
            }
            (Self::Pg(_), Purpose::Write) => format!("BEGIN ISOLATION LEVEL READ COMMITTED; {subject}"),
            (Self::Pg(_), Purpose::Refresh { hurry }) => {
                let timeout = if hurry { HURRIED_LOCK_TIMEOUT } else { "" };
                format!("BEGIN ISOLATION LEVEL READ COMMITTED; {KEPT_PLANS}; {timeout}{subject}")
            }
            (Self::Pg(_), Purpose::Record { hurry }) => {
                let timeout = if hurry { HURRIED_LOCK_TIMEOUT } else { "" };
                format!(
                    "BEGIN ISOLATION LEVEL READ COMMITTED; {KEPT_PLANS}; {timeout}{subject}; {ANNOUNCEMENT}"
                )
            }
            (Self::Lite(_), Purpose::Read | Purpose::Lookup) => "BEGIN".to_owned(),
            (Self::Lite(_), Purpose::Write | Purpose::Refresh { .. } | Purpose::Record { .. }) => {
                "BEGIN IMMEDIATE".to_owned()
            }
        }
    }

    /// Forgets the errors of earlier transactions.
    pub(crate) fn forget_errors(&self) {
        if let Self::Pg(object) = self {
            object.0.last_error().take();
        }
    }

    /// Classifies an error of a statement in this transaction. Errors without a kind in diesel arrive as `Unavailable`;
    /// PostgreSQL's SQLSTATE is more precise. SQLite is compiled in, so its message for a conflict is a constant.
    pub(crate) fn classify(&self, error: StoreError) -> StoreError {
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

/// The purpose of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Reads, in one snapshot.
    Read,
    /// Reads of rows by their keys, with cached plans, since planning takes longer than finding the rows.
    Lookup,
    /// Writes, READ COMMITTED with row locks; on SQLite as the only writer.
    Write,
    /// Refreshing, with cached plans. In a hurry, it waits at most half a second for a lock; on SQLite the only lock was
    /// taken before.
    Refresh { hurry: bool },
    /// The same for recording, which is announced for the watermark from the beginning.
    Record { hurry: bool },
}

/// Evaluates one expression with a connection to either database.
macro_rules! on {
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::database::connection::Conn::Pg(object) => {
                let $c: &mut diesel_async::AsyncPgConnection = &mut *object;
                $body
            }
            $crate::database::connection::Conn::Lite(object) => {
                let $c: &mut $crate::database::connection::Lite = &mut *object;
                $body
            }
        }
    };
}

pub(crate) use on;
