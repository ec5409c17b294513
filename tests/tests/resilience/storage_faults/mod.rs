//! Storage that fails: a full disk, a database that takes no changes, a file that is gone, locks that somebody else
//! holds, collisions. What was acknowledged is there afterwards, what could not be stored was refused in time, and the
//! service recovers by itself.

mod collisions;
mod disk;
mod file;
mod held;
mod ledger;
mod read_only;
