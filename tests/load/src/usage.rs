//! Processor time and memory of processes, as Linux counts them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;
use std::time::Duration;

use procfs::net::TcpState;
use procfs::process::{FDTarget, Process, all_processes};
use serde::Serialize;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::sleep;

/// How often the memory of servers is sampled.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// The name of this process in the results.
pub(crate) const CLIENT: &str = "load client";

/// A process, or a server with all its processes.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) pid: i32,
    /// Whether its child processes are included.
    pub(crate) with_children: bool,
}

/// The resources that a process used in a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Usage {
    pub(crate) process: String,
    /// User and system time.
    pub(crate) cpu_s: f64,
    /// For a process, its peak resident memory. For a server, the maximum of private and shared memory of its processes,
    /// sampled every second.
    pub(crate) peak_mib: f64,
}

/// Measures from its start until it is stopped.
pub(crate) struct Meter {
    watched: Vec<Watched>,
    before: Vec<f64>,
    peaks: Rc<RefCell<Vec<u64>>>,
    sampler: AbortHandle,
}

impl Meter {
    pub(crate) fn start(watched: Vec<Watched>) -> Self {
        let peaks = Rc::new(RefCell::new(vec![0; watched.len()]));
        let (sampled, of) = (peaks.clone(), watched.clone());
        let sampling = spawn_local(async move {
            loop {
                sample(&of, &sampled);
                sleep(SAMPLE_INTERVAL).await;
            }
        });
        Self {
            before: watched.iter().map(cpu_s).collect(),
            watched,
            peaks,
            sampler: sampling.abort_handle(),
        }
    }

    /// The peaks so far, by the name of the process.
    pub(crate) fn peaks_mib(&self) -> impl Fn() -> BTreeMap<String, f64> + use<> {
        let (watched, peaks) = (self.watched.clone(), self.peaks.clone());
        move || {
            sample(&watched, &peaks);
            let peaks = peaks.borrow();
            let named = watched.iter().zip(peaks.iter());
            named
                .map(|(watched, peak)| (watched.name.clone(), mib(*peak)))
                .collect()
        }
    }

    pub(crate) fn stop(self) -> Vec<Usage> {
        self.sampler.abort();
        sample(&self.watched, &self.peaks);
        let peaks = self.peaks.borrow();
        let usage = |((watched, before), peak): ((&Watched, &f64), &u64)| Usage {
            process: watched.name.clone(),
            cpu_s: cpu_s(watched) - before,
            peak_mib: mib(*peak),
        };
        self.watched
            .iter()
            .zip(&self.before)
            .zip(peaks.iter())
            .map(usage)
            .collect()
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

fn sample(watched: &[Watched], peaks: &RefCell<Vec<u64>>) {
    for (watched, peak) in watched.iter().zip(peaks.borrow_mut().iter_mut()) {
        *peak = memory(watched).max(*peak);
    }
}

/// Processor time of a process and, if included, of all its child processes, also those that have ended.
fn cpu_s(watched: &Watched) -> f64 {
    let ticks = |process: &Process| {
        let stat = process.stat().ok()?;
        let ended = if watched.with_children {
            stat.cutime + stat.cstime
        } else {
            0
        };
        Some(stat.utime + stat.stime + ended.unsigned_abs())
    };
    // A process that ends meanwhile is counted by its parent.
    let ticks: u64 = processes(watched).iter().filter_map(ticks).sum();
    ticks as f64 / procfs::ticks_per_second() as f64
}

fn memory(watched: &Watched) -> u64 {
    const KIB: u64 = 1024;
    let statuses = processes(watched)
        .into_iter()
        .filter_map(|process| process.status().ok());
    if !watched.with_children {
        return statuses.filter_map(|status| status.vmhwm).sum::<u64>() * KIB;
    }
    let (mut own, mut shared) = (0, 0);
    for status in statuses {
        own += status.rssanon.unwrap_or_default();
        shared = status.rssshmem.unwrap_or_default().max(shared);
    }
    (own + shared) * KIB
}

fn processes(watched: &Watched) -> Vec<Process> {
    let root = Process::new(watched.pid);
    if !watched.with_children {
        return root.into_iter().collect();
    }
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for process in all_processes().expect("there is a /proc").flatten() {
        if let Ok(stat) = process.stat() {
            children.entry(stat.ppid).or_default().push(process);
        }
    }
    let mut found: Vec<Process> = root.into_iter().collect();
    let mut at = 0;
    while let Some(pid) = found.get(at).map(Process::pid) {
        found.extend(children.remove(&pid).into_iter().flatten());
        at += 1;
    }
    found
}

/// The process that listens on a local port; none if it belongs to another user or machine.
pub(crate) fn listening_on(port: u16) -> Option<i32> {
    let sockets = procfs::net::tcp()
        .into_iter()
        .chain(procfs::net::tcp6())
        .flatten();
    let inodes: HashSet<u64> = sockets
        .filter(|socket| socket.state == TcpState::Listen && socket.local_address.port() == port)
        .map(|socket| socket.inode)
        .collect();
    let listens = |process: &Process| {
        let files = process.fd().into_iter().flatten().flatten();
        files
            .into_iter()
            .any(|file| matches!(file.target, FDTarget::Socket(inode) if inodes.contains(&inode)))
    };
    // Children inherit the listening socket, so the oldest process counts.
    let holders: BTreeSet<(u64, i32)> = all_processes()
        .ok()?
        .flatten()
        .filter(listens)
        .filter_map(|process| Some((process.stat().ok()?.starttime, process.pid())))
        .collect();
    holders.first().map(|(_, pid)| *pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_is_found_and_what_it_takes_is_counted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let this = i32::try_from(std::process::id()).unwrap();
        assert_eq!(listening_on(listener.local_addr().unwrap().port()), Some(this));
        let watched = Watched {
            name: "this".into(),
            pid: this,
            with_children: true,
        };
        let (cpu_before, memory_before) = (cpu_s(&watched), memory(&watched));
        let child = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 500000 ]; do i=$((i+1)); done"])
            .status();
        assert!(child.unwrap().success());
        // This process itself does not use that much.
        assert!(cpu_s(&watched) > cpu_before + 0.1, "an ended child's time counts");
        let taken = vec![1_u8; 16 << 20];
        assert!(memory(&watched) > memory_before + taken.len() as u64 / 2);
    }
}
