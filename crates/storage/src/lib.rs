//! Keeps submissions, totals and marks in SQLite or PostgreSQL.
//!
//! The only place that names diesel. Each query is written once and compiled for both databases. SQL stores and
//! finds; it never adds: totals come from `tonghop_domain::Total::roll_up`. This crate knows nothing of HTTP or
//! RabbitMQ.

mod access_keys;
mod adoption;
mod audit;
mod audit_verification;
mod backup;
mod books;
mod codec;
mod columns;
mod commits;
mod conn;
mod error;
mod file;
mod held;
mod id;
mod idempotency;
mod journal;
mod lock;
mod marks;
mod migrations;
mod model;
mod outbox;
mod probe;
mod reads;
mod record;
mod refresh;
mod row_security;
mod schema;
mod seal_file;
mod seals;
mod standing;
mod store;
mod submissions;
mod totals;
mod url;
mod verification;
mod writes;

pub use access_keys::NewKey;
pub use audit::AuditPlace;
pub use audit_verification::{AuditFault, AuditVerification};
pub use backup::copy_sqlite;
pub use books::{
    Answer, Books, FiledReport, Ledger, MarksRead, Recording, Refreshing, StoredTotal, Transaction, Used,
};
pub use commits::Commits;
pub use conn::PoolState;
pub use error::StoreError;
pub use journal::{Changes, Journal, Recorder};
pub use lock::ServiceLock;
pub use model::{
    Backlog, Contribution, Difference, Freshness, Idempotency, Outcome, Refreshed, ReportTimes,
    SubmissionFilter, TotalRead, UnitCoverage, Verification, Write,
};
pub use record::record;
pub use refresh::{MAX_TOGETHER, groups, refresh, refresh_totals};
pub use row_security::{AGGREGATOR_ROLE, API_ROLE};
pub use seal_file::SealFile;
pub use store::Store;
pub use url::{DatabaseUrl, InvalidAuthority, InvalidDatabaseUrl, PostgresUrl};
