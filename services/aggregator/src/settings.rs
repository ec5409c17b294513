//! Settings of the worker.

use std::time::Duration;

/// Settings of the worker.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The time between two sweeps.
    pub sweep_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sweep_interval: Duration::from_secs(1),
        }
    }
}
