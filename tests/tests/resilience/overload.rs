//! More clients than the service can serve while the database stalls: requests beyond a limit are rejected at once,
//! memory stays flat, and the service recovers as soon as the database does.
//!
//! The flood takes 15 seconds; `OVERLOAD_SECONDS=60` makes it longer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use reqwest::Method;
use tonghop_testkit::{FaultProxy, postgres_database};
use tonghop_tests::{Answer, Options, PROVINCE, Process, TestApp, Way, broadcasts};

/// Clients that send large reports: more than the budget for bodies allows.
const WRITERS: usize = 800;
/// Clients that read: more than may wait for a database connection.
const READERS: usize = 300;
/// The pause of each client after an answer, since this is no load test.
const PAUSE: Duration = Duration::from_secs(2);
/// The database stalls this long, runs this long, and stalls again.
const STALLED: Duration = Duration::from_secs(3);
const RUNNING: Duration = Duration::from_secs(1);
/// A rejection that took longer had waited in a queue, or for a session that did not respond within a second. The others
/// came at once: they take milliseconds, but test machines are slow.
const WAITED: Duration = Duration::from_millis(900);
/// The 99th percentile of rejections at once.
const REFUSED_WITHIN: Duration = Duration::from_millis(500);
/// The rejections that may have waited. The first ones of each stall do, as many as there are places in the queues.
const WAITED_PERCENT: usize = 10;
/// The deadline for any answer on a machine as busy as this.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// The service closes a connection that waits 10 seconds for the processor, and does not answer its request.
const BROKEN_PERCENT: usize = 2;
/// The limit to the growth of a process in the flood. A leak of the bodies would take several times as much.
const GROWTH_KB: u64 = 200 * 1024;
/// The deadline for recovery after the flood.
const WELL_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_on_a_stalled_postgres_is_rejected_at_once() {
    let database = postgres_database().await;
    let proxy = FaultProxy::in_front_of(database.url());
    let log = Log::new();
    let options = Options {
        database_url: Some(proxy.url_through(database.url())),
        ..log.options()
    };
    let proxy = Arc::new(proxy);
    let stalling = proxy.clone();
    let app = TestApp::start_with(Way::Servers, options).await;
    let stall = move |stalled: bool| {
        if stalled {
            stalling.stall()
        } else {
            stalling.restore()
        }
    };
    is_survived(app, &log, stall).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_on_a_locked_sqlite_file_is_rejected_at_once() {
    let log = Log::new();
    let app = TestApp::start_with(Way::Embedded, log.options()).await;
    let mut other_session =
        SqliteConnection::establish(app.database_url.strip_prefix("sqlite:").unwrap()).unwrap();
    other_session
        .batch_execute("PRAGMA busy_timeout = 10000")
        .unwrap();
    let stall = move |stalled: bool| {
        let statement = if stalled { "BEGIN IMMEDIATE" } else { "ROLLBACK" };
        other_session.batch_execute(statement).unwrap();
    };
    is_survived(app, &log, stall).await;
}

/// What the clients of the flood received.
#[derive(Debug, Default)]
struct Seen {
    answers: Mutex<Vec<(u16, Duration)>>,
    revisions: Mutex<BTreeMap<String, i64>>,
    broken: AtomicUsize,
    ends: AtomicBool,
    sent: AtomicI64,
}

async fn is_survived(app: TestApp, log: &Log, stall: impl FnMut(bool) + Send + 'static) {
    for unit in 866..878 {
        assert_eq!(app.post(&broadcasts(&unit.to_string(), 1)).await.status, 201);
    }
    app.settled_totals(PROVINCE).await;
    let (app, seen) = (Arc::new(app), Arc::new(Seen::default()));
    let seconds = std::env::var("OVERLOAD_SECONDS").map_or(15, |text| text.parse().unwrap());
    let before = memory_kb(&app);
    let stalling = tokio::task::spawn_blocking(alternate_stalls(stall, seen.clone()));
    // All clients flood one process, because each process has its own limits.
    let clients: Vec<_> = (0..WRITERS + READERS)
        .map(|at| tokio::spawn(flood(app.clone(), seen.clone(), at)))
        .collect();
    let mut samples = Vec::new();
    for _ in 0..seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        samples.push(memory_kb(&app));
    }
    seen.ends.store(true, Ordering::Relaxed);
    stalling.await.unwrap();
    let over = Instant::now();
    while app
        .post(&broadcasts("866", seen.sent.fetch_add(1, Ordering::Relaxed)))
        .await
        .status
        != 201
    {
        assert!(over.elapsed() < WELL_WITHIN, "reports are still refused");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("reports are accepted again after {:?}", over.elapsed());
    for client in clients {
        client.await.unwrap();
    }
    app.wait_until_ready().await;
    app.settled_totals_within("VN", WELL_WITHIN).await;
    println!("the totals include them after {:?}", over.elapsed());
    refusals_came_at_once(&log.refusals());
    tell(&seen);
    memory_stayed_flat(&before, &samples);
    nothing_is_lost(&app, &seen).await;
    app.assert_verified("VN").await;
}

/// Stalls the database repeatedly until the flood ends.
fn alternate_stalls(
    mut stall: impl FnMut(bool) + Send + 'static,
    seen: Arc<Seen>,
) -> impl FnOnce() + Send + 'static {
    move || {
        while !seen.ends.load(Ordering::Relaxed) {
            stall(true);
            std::thread::sleep(STALLED);
            stall(false);
            std::thread::sleep(RUNNING);
        }
    }
}

/// One client.
async fn flood(app: Arc<TestApp>, seen: Arc<Seen>, at: usize) {
    let base = app.bases[0].clone();
    let unit = (866 + at % 12).to_string();
    while !seen.ends.load(Ordering::Relaxed) {
        let start = Instant::now();
        let answer = if at < WRITERS {
            let body = large_report(&unit, seen.sent.fetch_add(1, Ordering::Relaxed));
            let headers = [("Content-Type", "application/json")];
            app.try_ask_at(&base, Method::POST, "/v1/submissions", &headers, Some(body))
                .await
        } else {
            let path = "/v1/totals?form=ngay-30-7&period=2021-07&unit=87";
            app.try_ask_at(&base, Method::GET, path, &[], None).await
        };
        match answer {
            Ok(answer) if answer.status != 408 => seen.note(&unit, &answer, start.elapsed()),
            _ => drop(seen.broken.fetch_add(1, Ordering::Relaxed)),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// 50 kB, mostly spaces: the test is about the number of bodies in memory, not about the speed of reading.
fn large_report(unit: &str, number: i64) -> String {
    format!("{}{:50000}", broadcasts(unit, number), "")
}

impl Seen {
    fn note(&self, unit: &str, answer: &Answer, took: Duration) {
        assert!(took < ANSWERED_WITHIN, "{took:?}");
        self.answers.lock().unwrap().push((answer.status, took));
        match answer.status {
            200 => {}
            201 => {
                let revision = answer.json()["revision"].as_i64().unwrap();
                let mut revisions = self.revisions.lock().unwrap();
                let last = revisions.entry(unit.to_owned()).or_default();
                *last = revision.max(*last);
            }
            // Without a place for anybody, or beyond the share of the key.
            429 | 503 => {
                assert!(answer.header("retry-after").parse::<u32>().is_ok());
                assert!(
                    answer
                        .header("content-type")
                        .starts_with("application/problem+json")
                );
            }
            other => panic!("{other} after {took:?}: {}", answer.text),
        }
    }
}

/// The service's own log of its answers: the clients of a flood wait for the processor as much as the service does.
struct Log {
    folder: tempfile::TempDir,
}

impl Log {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn options(&self) -> Options {
        let file = self.folder.path().join("log");
        let into_file = format!("TONGHOP_LOG=info exec \"$@\" 2>>'{}'", file.display());
        Options {
            under: ["sh", "-c", &into_file, "sh"].map(String::from).into(),
            ..Options::default()
        }
    }

    /// The duration of each rejection.
    fn refusals(&self) -> Vec<Duration> {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        let refused = log
            .lines()
            .filter(|line| line.contains("answered"))
            .filter(|line| line.contains(" status=503 ") || line.contains(" status=429 "));
        let took = |line: &str| {
            let ms = line
                .split(" ms=")
                .nth(1)?
                .split(' ')
                .next()?
                .parse::<f64>()
                .ok()?;
            Some(Duration::from_secs_f64(ms / 1000.0))
        };
        refused.filter_map(took).collect()
    }
}

fn refusals_came_at_once(refusals: &[Duration]) {
    let (mut at_once, waited): (Vec<Duration>, Vec<Duration>) = refusals
        .iter()
        .copied()
        .partition(|took: &Duration| *took < WAITED);
    at_once.sort();
    assert!(
        at_once.len() > 100,
        "only {} were rejected at once: this was no flood",
        at_once.len()
    );
    let percentile = |share: usize| at_once[(at_once.len() - 1) * share / 100];
    println!(
        "{} refused at once, {} after waiting",
        at_once.len(),
        waited.len()
    );
    println!(
        "p99 of rejections at once: {:?}; p50 {:?}",
        percentile(99),
        percentile(50)
    );
    assert!(
        percentile(99) < REFUSED_WITHIN,
        "p99 of refusals: {:?}",
        percentile(99)
    );
    assert!(
        waited.len() * 100 <= refusals.len() * WAITED_PERCENT,
        "{} of {} refusals came late",
        waited.len(),
        refusals.len()
    );
}

/// What the clients received.
fn tell(seen: &Seen) {
    let mut answers = seen.answers.lock().unwrap().clone();
    answers.sort_by_key(|(_, took)| *took);
    let (all, broken) = (answers.len(), seen.broken.load(Ordering::Relaxed));
    let taken = answers.iter().filter(|(status, _)| *status < 300).count();
    let took = |share: usize| answers[(all - 1) * share / 100].1;
    println!("to the clients: {taken} of {all} served, {broken} connections broken");
    println!("to the clients: p50 {:?}, longest {:?}", took(50), took(100));
    assert!(
        broken * 100 <= all * BROKEN_PERCENT,
        "{broken} connections were broken"
    );
}

fn memory_stayed_flat(before: &[u64], samples: &[Vec<u64>]) {
    for (process, before) in before.iter().enumerate() {
        let course: Vec<u64> = samples.iter().map(|sample| sample[process] / 1024).collect();
        println!(
            "process {process}: {} MiB before, then {course:?} MiB",
            before / 1024
        );
        let most = samples.iter().map(|sample| sample[process]).max().unwrap();
        assert!(
            most < before + GROWTH_KB,
            "process {process} grew by {} kB",
            most - before
        );
    }
}

/// The resident memory of each process.
fn memory_kb(app: &TestApp) -> Vec<u64> {
    let of = |process: &Process| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    app.apis.iter().chain(&app.aggregators).map(of).collect()
}

async fn nothing_is_lost(app: &TestApp, seen: &Seen) {
    let list = app.get("/v1/submissions?limit=50").await.json();
    let acknowledged = seen.revisions.lock().unwrap().clone();
    assert!(!acknowledged.is_empty());
    for head in list["submissions"].as_array().unwrap() {
        let latest = acknowledged
            .get(head["unit"].as_str().unwrap())
            .copied()
            .unwrap_or_default();
        assert!(
            head["revision"].as_i64().unwrap() >= latest,
            "revision {latest} is lost: {}",
            head["unit"]
        );
    }
}
