//! Who may do what, how much each caller may ask for, and what the audit trail says of it.
//!
//! A [`Gate`] admits requests: it checks the access key, takes the request off the key's quota, and returns an
//! [`AuthorizedStore`], the only way to figures. Each of its methods checks role and unit first, and records in the audit
//! trail what must be recorded. What it does not allow is a [`Refusal`].
//!
//! This crate knows nothing of requests, responses, statuses or media types: a service, a page, a document or a stream
//! passes [`Credentials`], a [`Client`] and an [`Operation`], and renders a refusal in its own way.
//!
//! ```no_run
//! use tonghop_access::{Client, Credentials, Gate, KeyRules, Operation, RateLimits, Refusal};
//!
//! # async fn run(store: tonghop_storage::Store, text: &str) -> Result<(), Refusal> {
//! let (gate, tasks) = Gate::new(store, RateLimits::new(100), KeyRules::default());
//! // `tasks` reads keys and writes the audit trail; run them beside whatever asks the gate.
//! let operation = Operation { id: Some("list_keys".into()), writes: false };
//! let (store, _quota) = gate.admit(Credentials::parse(text), Client::default(), operation).await?;
//! let keys = store.keys(None, 50).await?;
//! # drop((tasks, keys));
//! # Ok(())
//! # }
//! ```

mod audit_context;
mod audit_log;
mod audit_writer;
mod authorized;
mod changes;
mod feed;
mod gate;
mod key_cache;
mod key_rules;
mod keys;
mod listener;
mod rate_limit;
mod refusal;
mod refused_lines;
mod sealing;
mod shares;
mod submissions;
mod token;
mod totals;
mod waiters;

pub use audit_context::{AuditContext, Client, Operation, RefusalCause};
pub use authorized::AuthorizedStore;
pub use gate::{Credentials, Gate, GateTasks};
pub use key_rules::KeyRules;
pub use keys::KeyPage;
pub use listener::{ChangePage, Listener};
pub use rate_limit::{Quota, RateLimits};
pub use refusal::{KeyRefusal, Refusal, What};
pub use refused_lines::RefusedLines;
pub use sealing::{keep_sealed, warn_without_head_file};
pub use shares::{Resource, Share, ShareUsedUp};
pub use submissions::{SubmissionPage, WantedParts};
pub use token::{InvalidToken, Token};
pub use totals::TotalRef;
