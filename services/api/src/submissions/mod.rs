//! Submissions over HTTP: create, correct, withdraw, list and read them.

pub(crate) mod batch;
pub(crate) mod batch_body;
pub(crate) mod body;
pub(crate) mod create;
pub(crate) mod figure;
pub(crate) mod list;
pub(crate) mod parse;
pub(crate) mod per_key_order;
pub(crate) mod read;
pub(crate) mod record;
pub(crate) mod revisions;
pub(crate) mod spool;
pub(crate) mod withdraw;
pub(crate) mod write_headers;
