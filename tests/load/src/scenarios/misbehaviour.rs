//! What a well-behaved client sees while one other caller misbehaves, for each role and each kind of misbehaviour.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tonghop_testkit::{TestDatabase, postgres_database_at};
use tonghop_tests::{Authority, FORM, Options, PERIOD, TestApp, Way, broadcasts};

use crate::client::{Ask, Target, Wanted, drive};
use crate::ground::{Ground, bytes_of};
use crate::pace::Pace;
use crate::plan::Arguments;
use crate::results::{Results, Row};
use crate::scenarios::tell;
use crate::tunnel::Tunnel;

/// The unit of the well-behaved client, and that of the other.
const UNIT: &str = "867";
const OTHER_UNIT: &str = "866";
/// The address of the other client.
const RUDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The most memory that a process may use, in bytes.
const MAX_MEMORY: u64 = 256 << 20;
/// The most by which the database may grow, in bytes per second.
const MAX_GROWTH: f64 = 100.0 * 1024.0;

/// The roles of the caller who misbehaves; none is a caller without a key.
const ROLES: [Option<&str>; 4] = [None, Some("reader"), Some("submitter"), Some("admin")];

/// A kind of misbehaviour: its name, its connections, and what each of them does.
type Kind = (&'static str, usize, Conduct);

/// What a connection does.
#[derive(Clone, Copy)]
enum Conduct {
    /// Connects and says nothing.
    Idle,
    /// Sends the head of a request, and a byte of its body per second.
    Trickle(&'static str),
    /// Sends requests and never reads.
    Deaf(&'static str),
    /// Sends a batch of lines that are rejected, and reads the results.
    Lines,
    /// Sends a request again and again, each on its own connection.
    Repeat(&'static str, &'static str),
}

const SUBMIT: &str = "POST /v1/submissions";
const BATCH: &str = "POST /v1/submissions/batch";

/// The well-behaved client alone, for comparison, with which each way of running begins.
const NOBODY: Kind = ("nobody", 0, Conduct::Idle);

const KINDS: [Kind; 10] = [
    ("idle connections", 2_500, Conduct::Idle),
    ("slow bodies", 100, Conduct::Trickle(SUBMIT)),
    ("unread answers", 500, Conduct::Deaf("GET /openapi.json")),
    ("silent batches", 40, Conduct::Trickle(BATCH)),
    ("rejected lines", 4, Conduct::Lines),
    (
        "dry runs",
        16,
        Conduct::Repeat("POST /v1/submissions?dry_run=true", ""),
    ),
    (
        "large pages",
        8,
        Conduct::Repeat("GET /v1/submissions?limit=200", ""),
    ),
    ("key lists", 8, Conduct::Repeat("GET /v1/keys?limit=200", "")),
    ("waiters", 200, Conduct::Repeat(SUBMIT, "Prefer: wait=10\r\n")),
    (
        "verifications",
        8,
        Conduct::Repeat("GET /v1/verification?form=ngay-30-7&period=2021-07&unit=866", ""),
    ),
];

/// The kinds to measure, with their numbers in the results; the first is nobody.
///
/// # Panics
/// For a name that is not among the kinds, before anything is measured.
fn kinds(plan: &Arguments) -> impl Iterator<Item = (u8, Kind)> + Clone + use<> {
    let asked = plan.kinds.clone();
    for name in &asked {
        let known = KINDS.map(|(name, ..)| name);
        assert!(known.contains(&name.as_str()), "{name:?} is not one of {known:?}");
    }
    let wanted = (1_u8..)
        .zip(KINDS)
        .filter(move |(_, kind)| asked.is_empty() || asked.iter().any(|name| name == kind.0))
        .take(plan.size(KINDS.len(), 3));
    std::iter::once((0, NOBODY)).chain(wanted)
}

pub(super) async fn run(ground: &Ground, plan: &Arguments, results: &mut Results) {
    let kinds = kinds(plan);
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (way, encrypted) in [
        (Way::Embedded, false),
        (Way::Servers, false),
        (Way::Embedded, true),
    ] {
        let mut options = Options {
            key_rate: 100,
            ..Options::default()
        };
        if encrypted {
            options.settings = authority.sign(&["127.0.0.1"]).write(folder.path());
        }
        let mut _database: Option<TestDatabase> = None;
        if way == Way::Servers {
            let database = postgres_database_at(&ground.postgres_url).await;
            options.database_url = Some(database.url().to_owned());
            options.amqp_url = Some(ground.amqp_url.clone());
            options.processes = (1, 1);
            _database = Some(database);
        }
        let app = TestApp::start_with(way, options).await;
        fill(&app).await;
        let service = app.bases[0]
            .rsplit('/')
            .next()
            .and_then(|address| address.parse().ok());
        let service: SocketAddr = service.expect("an address");
        let trust = encrypted.then(|| authority.trust());
        let mut tunnels = Vec::new();
        if let Some(trust) = &trust {
            tunnels.push(Tunnel::open(Ipv4Addr::LOCALHOST, service, trust).await);
            tunnels.push(Tunnel::open(RUDE, service, trust).await);
        }
        let address = |client: usize| tunnels.get(client).map_or(service, |tunnel| tunnel.address);
        let addresses = [address(0), address(1)];
        let good = app.create_key(&["--role", "submitter", "--unit", UNIT]);
        for (of_role, role) in (0_u8..).zip(ROLES).take(plan.size(ROLES.len(), 2)) {
            let key = role.map(|role| app.create_key(&["--role", role, "--unit", OTHER_UNIT]));
            for (of_kind, kind) in kinds.clone().skip(usize::from(of_role > 0)) {
                let case = [
                    ("embedded", f64::from(u8::from(way == Way::Embedded))),
                    ("tls", f64::from(u8::from(encrypted))),
                    ("role", f64::from(of_role)),
                    ("kind", f64::from(of_kind)),
                ];
                let row = meanwhile(&app, addresses, [Some(&good), key.as_deref()], kind, &case, plan).await;
                println!(
                    "{way:?}{}, {}, {}:",
                    if encrypted { " with TLS" } else { "" },
                    role.unwrap_or("no key"),
                    kind.0
                );
                tell(&row);
                println!("  {}", row.notes.join("; "));
                results.rows.push(row);
            }
        }
    }
}

/// Some large reports of the unit whose pages are read.
async fn fill(app: &TestApp) {
    for number in 1..=60 {
        let mut report = broadcasts(OTHER_UNIT, number);
        report["note"] = "ệ".repeat(10_000).into();
        assert_eq!(app.post(&report).await.status, 201);
    }
    app.settled_totals("VN").await;
}

/// Measures what the well-behaved client sees. The addresses and the keys are its own and those of the other.
async fn meanwhile(
    app: &TestApp,
    addresses: [SocketAddr; 2],
    [good, key]: [Option<&str>; 2],
    (name, connections, conduct): Kind,
    case: &[(&'static str, f64)],
    plan: &Arguments,
) -> Row {
    let target = Target {
        address: addresses[0],
        token: good.unwrap_or_default().to_owned(),
    };
    let before = bytes_of(app).await;
    let connections = plan.size(connections, connections.div_ceil(20));
    let rude = Rude::begin(addresses[1], key, conduct, connections, app.apis[0].id());
    sleep(Duration::from_secs(1)).await;
    let time = plan.time(5.0);
    let path = format!("/v1/totals?form={FORM}&period={PERIOD}&unit={UNIT}");
    let reads = drive(&target, 4, Pace::open(40.0, time), Wanted::OK, move |_| {
        Ask::get(&path)
    });
    let offset = (case[2].1 * 10.0 + case[3].1) as i64 * 1_000;
    let writes = drive(&target, 4, Pace::open(10.0, time), Wanted::CREATED, move |turn| {
        Ask::report(broadcasts(UNIT, offset + turn as i64 + 1).to_string())
    });
    let (mut tally, written) = tokio::join!(reads, writes);
    tally
        .latency
        .add(&written.latency)
        .expect("histograms of one kind");
    let memory = rude.end();
    let seconds = tally.time.as_secs_f64() + 1.0;
    let growth = bytes_of(app).await.saturating_sub(before) as f64 / seconds;
    let mut row = Row::new("misbehaviour", case, &tally);
    row.notes.push(format!(
        "{name}: at most {} MiB of memory, {:.0} KiB/s of growth",
        memory >> 20,
        growth / 1024.0
    ));
    if row.latency.p99_ms > 250.0 || memory > MAX_MEMORY || growth > MAX_GROWTH {
        row.notes.push("MISSED".to_owned());
    }
    // Whatever is still being given up ends before the next kind begins.
    sleep(Duration::from_secs(2)).await;
    row
}

/// Connections that misbehave, on a thread of their own: the well-behaved client must not wait for them.
struct Rude {
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<u64>,
}

impl Rude {
    fn begin(address: SocketAddr, key: Option<&str>, conduct: Conduct, connections: usize, pid: u32) -> Self {
        let authorization = key.map_or(String::new(), |key| format!("Authorization: Bearer {key}\r\n"));
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async {
                let mut all = JoinSet::new();
                for number in 0..connections {
                    let authorization = authorization.clone();
                    all.spawn(async move {
                        loop {
                            // A connection that the service closes is opened again.
                            misbehave(address, &authorization, conduct, number).await.ok();
                            sleep(Duration::from_millis(50)).await;
                        }
                    });
                }
                tokio::select! {
                    most = most_memory(pid, stopped) => most,
                    Some(_) = all.join_next() => 0,
                }
            })
        });
        Self { stop, thread }
    }

    /// Ends them. Returns the most memory that the service used meanwhile, in bytes.
    fn end(self) -> u64 {
        self.stop.send(()).ok();
        self.thread.join().expect("the thread ends")
    }
}

/// The most memory that a process uses until the end.
async fn most_memory(pid: u32, mut stopped: oneshot::Receiver<()>) -> u64 {
    let mut most = 0;
    loop {
        let process = procfs::process::Process::new(pid as i32).and_then(|process| process.statm());
        let pages = process.map_or(0, |memory| memory.resident);
        most = most.max(pages * procfs::page_size());
        tokio::select! {
            _ = &mut stopped => return most,
            () = sleep(Duration::from_millis(200)) => {}
        }
    }
}

async fn misbehave(
    address: SocketAddr,
    authorization: &str,
    conduct: Conduct,
    number: usize,
) -> std::io::Result<()> {
    // From another address, since each has its share of connections.
    let socket = TcpSocket::new_v4()?;
    socket.bind((RUDE, 0).into())?;
    let mut stream = socket.connect(address).await?;
    let head = |request: &str, more: &str| format!("{request} HTTP/1.1\r\nHost: x\r\n{authorization}{more}");
    let report = broadcasts(OTHER_UNIT, number as i64).to_string();
    let mut answer = vec![0; 64 << 10];
    match conduct {
        Conduct::Idle => while stream.read(&mut answer).await? > 0 {},
        Conduct::Trickle(request) => {
            let media_type = if request == BATCH { "x-ndjson" } else { "json" };
            let more = format!("Content-Type: application/{media_type}\r\nContent-Length: 1000000\r\n\r\n");
            stream.write_all(head(request, &more).as_bytes()).await?;
            loop {
                stream.write_all(b" ").await?;
                sleep(Duration::from_secs(1)).await;
            }
        }
        Conduct::Deaf(request) => loop {
            stream.write_all(head(request, "\r\n").as_bytes()).await?;
        },
        Conduct::Lines => {
            let more = "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head(BATCH, more).as_bytes()).await?;
            let (mut reading, mut writing) = stream.split();
            let lines = "0\n".repeat(10_000);
            let chunk = format!("{:x}\r\n{lines}\r\n", lines.len());
            let sending = async {
                loop {
                    writing.write_all(chunk.as_bytes()).await?;
                }
            };
            let taking = async {
                while reading.read(&mut answer).await? > 0 {}
                Ok(())
            };
            tokio::select! { sent = sending => return sent, taken = taking => return taken }
        }
        Conduct::Repeat(request, more) => {
            let body = if request.starts_with("POST") {
                report.as_str()
            } else {
                ""
            };
            let more = format!(
                "{more}Connection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(head(request, &more).as_bytes()).await?;
            while stream.read(&mut answer).await? > 0 {}
        }
    }
    Ok(())
}
