//! The crypto provider of all programs.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// Returns the only crypto provider that the programs use.
pub(crate) fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
