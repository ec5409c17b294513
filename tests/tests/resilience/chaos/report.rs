//! The measurements of a run, as a table.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::faults::{Episode, Kind};

#[derive(Default)]
pub(crate) struct Report {
    counts: BTreeMap<Kind, usize>,
    alone: BTreeMap<Kind, Vec<Duration>>,
    together: Vec<Duration>,
}

/// The other figures of a run.
pub(crate) struct Summary {
    pub(crate) seed: u64,
    pub(crate) duration: Duration,
    pub(crate) acknowledged: usize,
    pub(crate) retries: u64,
}

impl Report {
    pub(crate) fn add(&mut self, episode: &Episode, recovery: Duration) {
        *self.counts.entry(episode.first.kind).or_default() += 1;
        match &episode.second {
            None => self.alone.entry(episode.first.kind).or_default().push(recovery),
            Some((_, second)) => {
                *self.counts.entry(second.kind).or_default() += 1;
                self.together.push(recovery);
            }
        }
    }

    /// The table in Markdown.
    pub(crate) fn table(&self, summary: &Summary) -> String {
        let faults: usize = self.counts.values().sum();
        let mut text = format!(
            "Seed {}: {faults} faults in {} s, {} submissions acknowledged after {} retries. None lost, none doubled, \
             totals right.\n\n\
             Recovery: from the end of the fault until every api process takes a report and serves the province's \
             total with it.\n\n\
             | fault | count | measured alone | median ms | worst ms |\n| --- | ---: | ---: | ---: | ---: |\n",
            summary.seed,
            summary.duration.as_secs(),
            summary.acknowledged,
            summary.retries,
        );
        let none = Vec::new();
        for (kind, count) in &self.counts {
            let alone = self.alone.get(kind).unwrap_or(&none);
            line(&mut text, &kind.to_string(), *count, alone);
        }
        let pairs = self.together.len();
        line(&mut text, "two that overlap", pairs, &self.together);
        text
    }
}

fn line(text: &mut String, name: &str, count: usize, recoveries: &[Duration]) {
    let mut sorted_ms: Vec<u128> = recoveries.iter().map(Duration::as_millis).collect();
    sorted_ms.sort_unstable();
    let cell = |at: Option<&u128>| at.map_or_else(|| "–".to_owned(), ToString::to_string);
    let (median, worst) = (cell(sorted_ms.get(sorted_ms.len() / 2)), cell(sorted_ms.last()));
    let measured = sorted_ms.len();
    writeln!(text, "| {name} | {count} | {measured} | {median} | {worst} |").expect("text can be written");
}
