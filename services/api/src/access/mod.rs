//! Who may do what, what each caller may ask for, and what the audit trail says of it.

pub(crate) mod audit_context;
pub(crate) mod audit_log;
pub(crate) mod audit_writer;
pub(crate) mod authorized;
pub(crate) mod key_cache;
pub(crate) mod rate_limit;
pub(crate) mod sealing;
