//! Storage faults: a full disk, a read-only database, a missing file, locks held by another session, conflicts.
//! Everything acknowledged is stored afterwards, everything else was rejected in time, and the service recovers by
//! itself.

mod collisions;
mod disk;
mod file;
mod held;
mod ledger;
mod read_only;
