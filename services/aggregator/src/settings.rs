//! The settings of the worker.

use std::time::Duration;

use clap::Args;

/// The options of every program that aggregates.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Settings of the aggregator")]
pub struct AggregatorOptions {
    /// Milliseconds between two sweeps for totals whose announcements were lost
    #[arg(long, env = "TONGHOP_SWEEP_INTERVAL_MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    sweep_interval_ms: u64,
}

impl AggregatorOptions {
    /// Returns the settings of the worker.
    pub fn settings(self) -> Settings {
        Settings {
            sweep_interval: Duration::from_millis(self.sweep_interval_ms),
        }
    }
}

/// The settings of the worker.
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
