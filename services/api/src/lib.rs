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

mod access;
mod catalogue;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod keys;
mod middleware;
mod openapi;
mod problem;
mod request;
mod server;
mod service;
mod submissions;
mod totals;

pub use access::rate_limit::Limits;
pub use access::sealing::{keep_sealed, warn_without_file};
pub use server::options::{Front, FrontOptions, InvalidFront};
pub use server::router::{openapi, openapi_json};
pub use server::{Settings, StartError, bind, serve};
