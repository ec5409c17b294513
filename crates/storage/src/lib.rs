//! Stores submissions, totals and marks in SQLite or PostgreSQL.
//!
//! The only crate that names diesel. Each query is written once and compiled for both databases. SQL stores and finds,
//! but never adds: totals come from `tonghop_domain::Total::roll_up`. This crate knows nothing of HTTP or RabbitMQ.

mod audit;
mod codec;
mod database;
mod error;
mod fair_queue;
mod group_commit;
mod model;
mod queries;
mod reads;
mod store;
mod unit_of_work;

pub use audit::entries::AuditPlace;
pub use audit::fault::AuditFault;
pub use audit::head_file::SealFile;
pub use audit::verification::AuditVerification;
pub use database::backup::copy_sqlite;
pub use database::pool::PoolState;
pub use database::roles::{AGGREGATOR_ROLE, API_ROLE};
pub use database::service_lock::ServiceLock;
pub use database::url::{DatabaseUrl, InvalidAuthority, InvalidDatabaseUrl, PostgresUrl};
pub use error::StoreError;
pub use group_commit::metrics::Commits;
pub use group_commit::{Changes, GroupCommit, Recorder};
pub use model::{
    Backlog, Changed, Contribution, Difference, FeedChange, FeedPage, Freshness, Idempotency, Outcome, Page,
    Refreshed, ReportTimes, SubmissionFilter, SubmissionOrder, TotalRead, UnitCompleteness, Verification,
    Write,
};
pub use queries::access_keys::{KeyPosition, NewKey};
pub use queries::proofs::LaggingHead;
pub use store::Store;
pub use unit_of_work::record::record;
pub use unit_of_work::refresh::{MAX_TOGETHER, groups, refresh, refresh_totals};
pub use unit_of_work::{
    Answer, Clock, FiledReport, MarksRead, NewRevision, RecordWrites, RefreshWrites, StoredTotal,
    Transaction, Transactions, UnitOfWork, Used,
};
