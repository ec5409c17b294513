//! What the HTTP API promises, by endpoint.

mod authorization;
mod cors;
mod keys;
mod openapi;
mod problems;
mod requests;
mod submissions;
mod verification;
