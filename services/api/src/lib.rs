//! The HTTP service: records submissions and returns the totals to which they add up.
//!
//! A handler parses, calls the store once, and replies. Errors are problems (RFC 9457) in the caller's language, and one
//! table maps each error to a problem. The OpenAPI document is generated from the routes that are served, so none can be
//! missing from it. This crate knows nothing of SQL or messages, and reaches figures only through `tonghop-access`.
//!
//! ```no_run
//! # async fn run(store: tonghop_storage::Store) -> Result<(), Box<dyn std::error::Error>> {
//! let address: tonghop_process::ListenAddress = "localhost:8080".parse()?;
//! let gate = tonghop_access::Gate::new(
//!     store.clone(),
//!     tonghop_access::RateLimits::new(100),
//!     tonghop_access::KeyRules::default(),
//! );
//! let stop = tokio_util::sync::CancellationToken::new();
//! let settings = tonghop_api::Settings {
//!     metrics: tonghop_metrics::Metrics::new(&store, Vec::new()),
//!     server: tonghop_api::ServerConfig::default(),
//! };
//! tonghop_api::serve(address.bind()?, gate, settings, stop).await?;
//! # Ok(())
//! # }
//! ```

mod catalogue;
mod changes;
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

pub use server::options::{InvalidServerOptions, ServerConfig, ServerOptions};
pub use server::router::{openapi, openapi_json};
pub use server::{Settings, StartError, serve};
