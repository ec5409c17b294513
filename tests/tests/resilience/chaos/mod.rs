//! Real faults on real servers: a seed decides which processes, brokers and databases are killed, stopped or cut off
//! while clients report and correct. In the end every acknowledged figure must be stored once and be part of every
//! total.
//!
//! `CHAOS_FAULTS=200` sets the number of faults, 20 by default; `CHAOS_SEED=17` chooses them; `CHAOS_ONLY=half-open`
//! selects kinds by their name; `CHAOS_REPORT=FILE` writes the table of recovery times into a file; `CHAOS_LOG=warn`
//! sets the log level of the processes.

mod clients;
mod faults;
mod injector;
mod oracle;
mod report;
mod site;

use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::time::sleep;

use clients::{CLIENTS, Traffic, client};
use faults::{Episode, schedule};
use injector::Injector;
use report::{Report, Summary};
use site::Site;

/// The number of faults by default.
const FAULTS: usize = 20;

/// Prints the seed when the test fails.
struct Named(u64, usize);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("CHAOS_SEED={} CHAOS_FAULTS={} fails", self.0, self.1);
        }
    }
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    let value = text.parse().ok();
    assert!(value.is_some(), "{name}={text} is no number");
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_loses_or_duplicates_a_figure() {
    let count = setting("CHAOS_FAULTS").unwrap_or(FAULTS);
    let seed = setting("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let _named = Named(seed, count);
    let only = std::env::var("CHAOS_ONLY").unwrap_or_default();
    let episodes = schedule(seed, count, &only);
    let site = Site::start().await;
    let traffic = Traffic::new(site.apis(), site.create_key(), seed);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(client(traffic.clone(), number)))
        .collect();
    let start = Instant::now();
    eprintln!("CHAOS_SEED={seed} CHAOS_FAULTS={count}");
    let injector = Injector {
        site: &site,
        traffic: &traffic,
    };
    let mut report = Report::default();
    for (number, episode) in episodes.iter().enumerate() {
        sleep(episode.calm).await;
        tell(start, number, episode);
        let ended = injector.strike(episode).await;
        let recovery = injector.recover(ended, number).await;
        eprintln!("{:>29} ms until recovery", recovery.as_millis());
        report.add(episode, recovery);
        oracle::assert_right_in_silence(&traffic, number % 2).await;
        site.assert_all_run();
        assert!(
            clients.iter().all(|client| !client.is_finished()),
            "a client failed"
        );
    }
    traffic.end();
    for client in clients {
        client.await.expect("no client received a wrong answer");
    }
    let calm = Instant::now();
    oracle::drain(&site, &traffic).await;
    eprintln!("drained after {:.1} s", calm.elapsed().as_secs_f32());
    oracle::assert_everything_acknowledged_is_stored(&site, &traffic).await;
    let summary = Summary {
        seed,
        duration: start.elapsed(),
        acknowledged: traffic.ledger().acknowledged.len(),
        retries: traffic.retries.load(Ordering::Relaxed),
    };
    let table = report.table(&summary);
    eprintln!("\n{table}");
    if let Ok(path) = std::env::var("CHAOS_REPORT") {
        std::fs::write(path, table).expect("CHAOS_REPORT can be written");
    }
}

/// Prints which fault begins, to explain a failing run.
fn tell(start: Instant, number: usize, episode: &Episode) {
    let describe = |fault: &faults::Fault| format!("{} ({:?}, {:?})", fault.kind, fault.reach, fault.lasts);
    let second = episode.second.map_or_else(String::new, |(wait, fault)| {
        format!(", after {wait:?} {}", describe(&fault))
    });
    let seconds = start.elapsed().as_secs_f32();
    eprintln!("{seconds:7.1} s {number:4}: {}{second}", describe(&episode.first));
}
