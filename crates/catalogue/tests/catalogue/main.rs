//! What a catalogue folder may hold, and what is said of one that is wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod arbitrary;
mod built_in;
mod faults;
mod folder;
mod national;
mod tolerance;
