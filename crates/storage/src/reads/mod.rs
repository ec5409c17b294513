//! Reads of totals, each in one snapshot.

pub(crate) mod totals;
pub(crate) mod verification;
