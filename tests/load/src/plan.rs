//! What to measure: the command line and its defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::country::{Country, Reporters};
use crate::pace::Pace;

/// Measures tonghop on this machine, with its own servers or those of TEST_POSTGRES_URL and TEST_AMQP_URL.
///
/// Every run is also checked: everything acknowledged is stored, and every total is correct.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Arguments {
    /// What to measure [default: everything except misbehaviour and soak, in this order]
    #[arg(value_enum)]
    pub(crate) scenarios: Vec<Scenario>,
    /// Run everything once with tiny sizes, to check that it works; the times mean nothing
    #[arg(long)]
    pub(crate) short: bool,
    /// The folder for results.json, results.md and plots
    #[arg(long, default_value = "target/load")]
    pub(crate) out: PathBuf,
    /// Use the existing programs instead of building them
    #[arg(long)]
    pub(crate) built: bool,
    /// Numbers of connections for ingest [default: 1,16,64,256]
    #[arg(long, value_delimiter = ',')]
    connections: Vec<usize>,
    /// Figures per submission; 67 is all of them [default: 10,67]
    #[arg(long, value_delimiter = ',')]
    figures: Vec<usize>,
    /// Numbers of aggregators [default: 1,2,4]
    #[arg(long, value_delimiter = ',')]
    aggregators: Vec<usize>,
    /// Repetitions; the median counts [default: 5]
    #[arg(long)]
    repeat: Option<usize>,
    /// Seconds measured in each run [default: 10; 30 for visible and reads]
    #[arg(long)]
    seconds: Option<f64>,
    /// Submissions per second for visible and soak [default: half the rate of ingest at 64 connections]
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Minutes for soak
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// The units that report in ingest, aggregators and embedded
    #[arg(long, value_enum, default_value = "districts")]
    pub(crate) reporters: Reporters,
    /// The kinds of misbehaviour to measure, such as "unread answers" [default: all]
    #[arg(long, value_delimiter = ',')]
    pub(crate) kinds: Vec<String>,
    /// Serve the no-op handler, in a separate process
    #[arg(long, hide = true)]
    pub(crate) serve_no_op: Option<SocketAddr>,
}

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// The machine without tonghop: pgbench, a no-op handler, confirmed publishes
    Limits,
    /// Submissions at saturation
    Ingest,
    /// From a submission until the province's total contains it, at half the rate
    Visible,
    /// Reads of one province's totals as the store grows
    Reads,
    /// Every commune reports all figures, until the country's total is correct
    NationalMonth,
    /// Ingest with 1, 2 and 4 aggregators
    Aggregators,
    /// Ingest into one process with a SQLite file
    Embedded,
    /// Every commune reports within one second
    DeadlineBurst,
    /// The cost of a submission as the country grows
    Growth,
    /// From the start of a process until it is ready
    Start,
    /// A well-behaved client while others misbehave, for each role and kind
    Misbehaviour,
    /// Half the rate for a long time
    Soak,
}

impl Arguments {
    /// The scenarios to run.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        if !self.scenarios.is_empty() {
            return self.scenarios.clone();
        }
        let all = Scenario::value_variants().iter().copied();
        // These run only by name; a short run checks that they work.
        let by_name = [Scenario::Misbehaviour, Scenario::Soak];
        all.filter(|scenario| !by_name.contains(scenario) || self.short)
            .collect()
    }

    pub(crate) fn connections(&self) -> Vec<usize> {
        self.list(&self.connections, &[1, 16, 64, 256], &[1, 16])
    }

    pub(crate) fn figures(&self) -> Vec<usize> {
        self.list(&self.figures, &[10, 67], &[10, 67])
    }

    pub(crate) fn aggregators(&self) -> Vec<usize> {
        self.list(&self.aggregators, &[1, 2, 4], &[1, 2])
    }

    fn list(&self, asked: &[usize], usual: &[usize], short: &[usize]) -> Vec<usize> {
        let list = match (asked, self.short) {
            ([], true) => short,
            ([], false) => usual,
            (asked, _) => asked,
        };
        list.to_vec()
    }

    pub(crate) fn repeat(&self) -> usize {
        self.repeat.unwrap_or(if self.short { 1 } else { 5 }).max(1)
    }

    /// The duration of a measurement that by default takes this many seconds.
    pub(crate) fn time(&self, usual_s: f64) -> Duration {
        Duration::from_secs_f64(self.seconds.unwrap_or(if self.short { 1.0 } else { usual_s }))
    }

    /// Saturation for the default time.
    pub(crate) fn saturated(&self) -> Pace {
        let measured = self.time(10.0);
        Pace::Saturated {
            warm_up: measured / 5,
            measured,
        }
    }

    pub(crate) fn soak(&self) -> Duration {
        if self.short {
            return Duration::from_secs(2);
        }
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    /// A country, or a small part of one.
    pub(crate) fn country(&self, who: Reporters) -> Country {
        Country::new(who, self.short.then_some(2))
    }

    /// A number, or a small one for a short run.
    pub(crate) fn size(&self, usual: usize, short: usize) -> usize {
        if self.short { short } else { usual }
    }
}
