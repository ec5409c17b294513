//! The HTTP service: takes submissions and answers what they add up to.
//!
//! A handler parses, calls the store once, and replies. What is wrong with a request is a problem (RFC 9457) in the
//! caller's language, and one table says which. The OpenAPI document is made from the routes that are served, so that
//! none can be missing in it. This crate knows nothing of SQL, and of messages only that an outbox is relayed.
//!
//! ```no_run
//! # async fn run(store: tonghop_storage::Store) -> Result<(), tonghop_api::StartError> {
//! let listener = tonghop_api::bind(([127, 0, 0, 1], 8080).into())?;
//! let stop = tokio_util::sync::CancellationToken::new();
//! let settings = tonghop_api::Settings {
//!     limits: tonghop_api::Limits::new(100),
//!     metrics: tonghop_metrics::Metrics::new(&store, Vec::new()),
//!     front: tonghop_api::Front::default(),
//! };
//! tonghop_api::serve(listener, store, settings, stop).await
//! # }
//! ```

mod about;
mod access;
mod access_keys;
mod answer;
mod batch;
mod body;
mod bounds;
mod catalogue;
mod code;
mod context;
mod contributions;
mod coverage;
mod cursor;
mod document;
mod fault;
mod figure;
mod forms;
mod front;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod header;
mod health;
mod history;
mod json;
mod keys;
mod limits;
mod lines;
mod metrics;
mod nulls;
mod origins;
mod pages;
mod payload;
mod problem;
mod query;
mod routes;
mod serve;
mod submission;
mod submissions;
mod totals;
mod totals_csv;
mod trace;
mod trail;
mod verification;
mod wait;
mod words;
mod write;

pub use front::{Front, FrontOptions, InvalidFront};
pub use limits::Limits;
pub use routes::{openapi, openapi_json};
pub use serve::{Settings, StartError, bind, serve};
pub use trail::{keep_sealed, warn_without_file};
