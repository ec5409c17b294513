//! The rules before a total: what a catalogue may hold, what a report may say, what becomes of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

#[path = "../builder/mod.rs"]
mod builder;

mod catalogue;
mod check;
mod decide;
mod period;
mod tree;
