//! Storage that fails: a full disk, a database that takes no changes, a file that is gone, locks that somebody else
//! holds, collisions. What was acknowledged is there afterwards, what could not be stored was refused in time, and the
//! service recovers by itself.
#![expect(
    clippy::print_stdout,
    reason = "the figures that a run measured belong into documents"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first surprise, and says where"
)]

mod collisions;
mod disk;
mod file;
mod held;
mod ledger;
mod read_only;
