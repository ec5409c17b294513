//! What the HTTP API promises, by endpoint.
//!
//! Most tests run the service inside their own process and take a fraction of a second. Tests whose names end in
//! `embedded` or `servers` run the real programs.

mod authorization;
mod batch;
mod catalogue;
mod changes;
mod completeness;
mod compression;
mod connections;
mod contributions;
mod cors;
mod document;
mod fields;
mod guide;
mod headers;
mod keys;
mod openapi;
mod paging;
mod problems;
mod rate_limits;
mod requests;
mod shares;
mod submission_lists;
mod submissions;
mod totals;
mod verification;
