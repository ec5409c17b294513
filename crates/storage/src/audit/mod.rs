//! The audit trail: its entries, the hash chain that seals them, and the verification of both.

pub(crate) mod contents;
pub(crate) mod entries;
pub(crate) mod fault;
pub(crate) mod head_file;
#[cfg(test)]
mod histories;
pub(crate) mod seals;
pub(crate) mod verification;
