//! The audit trail: its entries, the hash chain that seals them, and the verification of both.

pub(crate) mod entries;
pub(crate) mod head_file;
pub(crate) mod seals;
pub(crate) mod verification;
