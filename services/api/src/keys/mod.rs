//! Access keys over HTTP: administrators create, list and revoke them for the units at or below their own, and everyone
//! may read their own.

pub(crate) mod body;
pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod me;
pub(crate) mod parse;
pub(crate) mod read;
pub(crate) mod revoke;
