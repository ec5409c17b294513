//! Reading catalogue folders, and the errors of invalid ones.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod arbitrary;
mod built_in;
mod errors;
mod folder;
mod national;
mod tolerance;
