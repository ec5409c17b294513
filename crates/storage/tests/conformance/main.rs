//! Promises of the store, tested on PostgreSQL and on SQLite.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[macro_use]
mod support;

mod adoption;
mod adoption_moves;
mod audit;
mod audit_verification;
mod away;
mod changes;
mod corrupt;
mod group_commit;
mod hammer;
mod idempotency;
mod listing;
mod locks;
mod opening;
mod outbox;
mod proofs;
mod reading;
mod recording;
mod refreshing;
mod roles;
mod row_security;
mod verification;
mod watermark;
