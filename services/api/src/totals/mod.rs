//! Totals over HTTP: what the reports add up to, of whom, and whether that is right.

pub(crate) mod body;
pub(crate) mod completeness;
pub(crate) mod contributions;
pub(crate) mod csv;
pub(crate) mod read;
pub(crate) mod verification;
