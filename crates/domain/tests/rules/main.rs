//! The rules that apply before a total is computed: catalogues, trees, periods, submissions and changes.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "../builder/mod.rs"]
mod builder;

mod catalogue;
mod check;
mod clock;
mod decide;
mod period;
mod tree;
