//! What is to be measured: the command line, and what it leaves open.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::country::{Country, Reporters};
use crate::pace::Pace;

/// Measures tonghop on this machine, with servers of its own or those of TEST_POSTGRES_URL and TEST_AMQP_URL.
///
/// Every run is also checked: all that was acknowledged is stored, and every total is what the reports add up to.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Arguments {
    /// What to measure [default: all but soak, in this order]
    #[arg(value_enum)]
    pub(crate) scenarios: Vec<Scenario>,
    /// Everything once, tiny, to see that it works; times mean nothing
    #[arg(long)]
    pub(crate) short: bool,
    /// Where results.json, results.md and plots go
    #[arg(long, default_value = "target/load")]
    pub(crate) out: PathBuf,
    /// Uses the programs as they are built, rather than building them first
    #[arg(long)]
    pub(crate) built: bool,
    /// Connections of ingest [default: 1,16,64,256]
    #[arg(long, value_delimiter = ',')]
    connections: Vec<usize>,
    /// Figures a submission; 67 for all that can be reported [default: 10,67]
    #[arg(long, value_delimiter = ',')]
    figures: Vec<usize>,
    /// Numbers of aggregators [default: 1,2,4]
    #[arg(long, value_delimiter = ',')]
    aggregators: Vec<usize>,
    /// Repetitions, of which the median one counts [default: 5]
    #[arg(long)]
    repeat: Option<usize>,
    /// Seconds that each run is measured [default: 10; 30 for visible and reads]
    #[arg(long)]
    seconds: Option<f64>,
    /// Submissions a second of visible and soak [default: half of what ingest reached at 64 connections]
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Minutes of soak
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Who reports in ingest, aggregators and embedded
    #[arg(long, value_enum, default_value = "districts")]
    pub(crate) reporters: Reporters,
    /// Serves the handler that does nothing, as a process of its own
    #[arg(long, hide = true)]
    pub(crate) serve_no_op: Option<SocketAddr>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// The machine without us: pgbench, a no-op handler, confirmed publishes
    Limits,
    /// Submissions at saturation
    Ingest,
    /// From a submission to the provincial total with it, at half the rate
    Visible,
    /// Reads of one province's totals while the store grows
    Reads,
    /// Every commune reports all figures, until the country's total is right
    NationalMonth,
    /// Ingest with 1, 2 and 4 aggregators
    Aggregators,
    /// Ingest into one process with a SQLite file
    Embedded,
    /// Every commune reports within one second
    DeadlineBurst,
    /// The cost of a submission while the country grows
    Growth,
    /// From the start of a process until it is ready
    Start,
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
        // Half an hour is asked for by name; a short one shows that it works.
        all.filter(|scenario| *scenario != Scenario::Soak || self.short)
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

    /// How long something is measured that usually takes so many seconds.
    pub(crate) fn time(&self, usual_s: f64) -> Duration {
        Duration::from_secs_f64(self.seconds.unwrap_or(if self.short { 1.0 } else { usual_s }))
    }

    /// Saturation for the usual time.
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

    /// Some number, or a small one.
    pub(crate) fn size(&self, usual: usize, short: usize) -> usize {
        if self.short { short } else { usual }
    }
}
