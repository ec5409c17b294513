//! Reads requests: bodies, query parameters, headers and paths. Nothing here knows what they are for.

pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod client_address;
pub(crate) mod deadline;
pub(crate) mod fields;
#[cfg(test)]
mod header_tests;
pub(crate) mod headers;
pub(crate) mod idempotency;
pub(crate) mod json;
pub(crate) mod json_number;
pub(crate) mod json_reader;
pub(crate) mod media_type;
pub(crate) mod names;
pub(crate) mod ndjson;
pub(crate) mod paging;
pub(crate) mod parameters;
pub(crate) mod path;
pub(crate) mod preconditions;
pub(crate) mod prefer;
pub(crate) mod quality;
pub(crate) mod query;
pub(crate) mod request_id;
pub(crate) mod spelling;
pub(crate) mod tagged;
pub(crate) mod total_ref;
