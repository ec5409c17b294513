//! A broken or hostile client does not deprive the others of service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonghop_access::Token;
use tonghop_tests::{FORM, Options, PERIOD, TestApp, Way, broadcasts};

/// Clients that send one byte per second.
const SLOW_CLIENTS: usize = 1000;
/// The deadline by which each of their connections must be closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);
/// Concurrent clients with unknown keys.
const GUESSERS: usize = 32;
/// Concurrent clients with hostile bodies.
const HOSTILE_SENDERS: usize = 8;

fn totals() -> String {
    format!("/v1/totals?form={FORM}&period={PERIOD}&unit=VN")
}

/// Sends requests until the attack is over, and returns how long each answer took.
async fn well_behaved(app: Arc<TestApp>, over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut took = Vec::new();
    for number in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let start = Instant::now();
        let answer = if number % 2 == 0 {
            app.get(&totals()).await
        } else {
            app.post(&broadcasts("866", number)).await
        };
        assert!(answer.status < 300, "{}", answer.text);
        took.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    took.sort();
    took
}

fn tell(what: &str, took: &[Duration]) {
    let at = |share: usize| took[(took.len() - 1) * share / 100];
    println!(
        "{what}: {} answers, p50 {:?}, p99 {:?}, longest {:?}",
        took.len(),
        at(50),
        at(99),
        at(100)
    );
    assert!(took.len() > 50, "it sent too few requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_guesses_keys_is_limited_and_others_are_served() {
    let app = Arc::new(TestApp::start(Way::Embedded).await);
    let over = Arc::new(AtomicBool::new(false));
    let (unknown, limited) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let good = tokio::spawn(well_behaved(app.clone(), over.clone()));
    let guessers: Vec<_> = (0..GUESSERS)
        .map(|_| {
            let (app, over, unknown, limited) = (app.clone(), over.clone(), unknown.clone(), limited.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let key = format!("Bearer {}", Token::generate().reveal());
                    let answer = app
                        .ask(Method::GET, &totals(), &[("Authorization", &key)], None)
                        .await;
                    match answer.status {
                        401 => unknown.fetch_add(1, Ordering::Relaxed),
                        429 => limited.fetch_add(1, Ordering::Relaxed),
                        other => panic!("{other}: {}", answer.text),
                    };
                }
            })
        })
        .collect();
    let start = Instant::now();
    tokio::time::sleep(Duration::from_secs(6)).await;
    over.store(true, Ordering::Relaxed);
    for guesser in guessers {
        guesser.await.unwrap();
    }
    let seconds = start.elapsed().as_secs();
    let (unknown, limited) = (unknown.load(Ordering::Relaxed), limited.load(Ordering::Relaxed));
    println!(
        "in {seconds} s {unknown} unknown keys were looked up and {limited} were rejected without a lookup"
    );
    // Attempts at the same moment are all checked; then none for a second.
    let most = (20 + GUESSERS as u64) * (seconds + 1);
    assert!(unknown as u64 <= most, "{unknown} were looked up");
    assert!(limited > 10 * unknown, "only {limited} were limited");
    tell("meanwhile, a client with a valid key", &good.await.unwrap());
    app.settled_totals("VN").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_clients_are_closed_and_others_are_served() {
    let app = Arc::new(TestApp::start(Way::Embedded).await);
    let address = app.bases[0].trim_start_matches("http://").to_owned();
    let over = Arc::new(AtomicBool::new(false));
    let good = tokio::spawn(well_behaved(app.clone(), over.clone()));
    let request = format!(
        "POST /v1/submissions HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n",
        app.admin_key
    );
    let slow_clients: Vec<_> = (0..SLOW_CLIENTS)
        .map(|at| {
            let address = address.clone();
            // One half never completes its head, the other half never its body.
            let head = if at % 2 == 0 {
                String::from("GET /v1/")
            } else {
                request.clone()
            };
            tokio::spawn(send_slowly(address, head))
        })
        .collect();
    let mut longest = Duration::ZERO;
    for slow_client in slow_clients {
        longest = longest.max(slow_client.await.unwrap());
    }
    println!("the last of {SLOW_CLIENTS} was closed after {longest:?}");
    assert!(longest < CLOSED_WITHIN, "{longest:?}");
    over.store(true, Ordering::Relaxed);
    tell("meanwhile, a normal client", &good.await.unwrap());
    app.settled_totals("VN").await;
}

/// Bodies that are larger, deeper or have more keys than any report, each with the status that rejects it.
fn hostile_bodies() -> Vec<(String, u16)> {
    let report =
        |rest: String| format!(r#"{{"form":"{FORM}","period":"{PERIOD}","unit":"867","figures":[]{rest}}}"#);
    let keys = |number: usize| -> String { (0..number).map(|key| format!(r#","{key}":0"#)).collect() };
    vec![
        // Larger than the largest body, and as deep and with as many keys as the largest body can have.
        (report(format!(r#","note":"{}""#, "x".repeat(2 << 20))), 413),
        ("[".repeat(1 << 20), 400),
        (report(keys(100_000)), 413),
        // The largest number of keys that is still read, all unknown, and the deepest nesting, in an unknown field.
        (report(keys(80_000)), 422),
        (
            report(format!(r#","x":{}{}"#, "[".repeat(31), "]".repeat(31))),
            422,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bodies_are_rejected_and_others_are_served() {
    let options = Options {
        key_rate: 100,
        ..Options::default()
    };
    let app = Arc::new(TestApp::start_with(Way::Embedded, options).await);
    let bodies = Arc::new(hostile_bodies());
    let over = Arc::new(AtomicBool::new(false));
    let good = tokio::spawn(well_behaved(app.clone(), over.clone()));
    let senders: Vec<_> = (0..HOSTILE_SENDERS)
        .map(|_| {
            let (app, bodies, over) = (app.clone(), bodies.clone(), over.clone());
            let key = format!("Bearer {}", app.create_key(&["--role", "submitter"]));
            tokio::spawn(async move {
                let mut refused = vec![0; bodies.len()];
                while !over.load(Ordering::Relaxed) {
                    for ((body, status), refused) in bodies.iter().zip(&mut refused) {
                        let headers = [
                            ("Authorization", key.as_str()),
                            ("Content-Type", "application/json"),
                        ];
                        let path = "/v1/submissions";
                        let answer = app.ask(Method::POST, path, &headers, Some(body.clone())).await;
                        match answer.status {
                            429 | 503 => tokio::time::sleep(Duration::from_millis(100)).await,
                            other => {
                                assert_eq!(other, *status, "{}", answer.text);
                                *refused += 1;
                            }
                        }
                    }
                }
                refused
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(6)).await;
    over.store(true, Ordering::Relaxed);
    let mut refused = vec![0; bodies.len()];
    for sender in senders {
        for (sum, number) in refused.iter_mut().zip(sender.await.unwrap()) {
            *sum += number;
        }
    }
    println!("rejected per kind: {refused:?}");
    assert!(refused.iter().all(|number| *number > 0), "{refused:?}");
    tell("meanwhile, a client with valid reports", &good.await.unwrap());
    app.settled_totals("VN").await;
}

/// The connections that the clients of one address may have; see docs/configure.md.
const CONNECTIONS: usize = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_share_of_an_address_are_closed_until_silent_ones_are() {
    let app = TestApp::start(Way::Embedded).await;
    let address = app.bases[0].trim_start_matches("http://").to_owned();
    let mut silent = Vec::new();
    // The service closes the others.
    for _ in 0..CONNECTIONS + 60 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    let files = format!("/proc/{}/fd", app.apis[0].id());
    let start = Instant::now();
    let mut open = 0;
    while start.elapsed() < Duration::from_secs(1) {
        open = std::fs::read_dir(&files).unwrap().count();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The listener, the database and the log are open files, too.
    assert!(
        (CONNECTIONS..CONNECTIONS + 100).contains(&open),
        "{open} open files"
    );
    let waited = loop {
        // On a new connection, because open ones are served.
        let newcomer = tonghop_tests::http_client().build().unwrap();
        let asked = newcomer.get(format!("{}/livez", app.bases[0])).send().await;
        match asked {
            Ok(answer) => {
                assert_eq!(answer.status(), 200);
                break start.elapsed();
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        assert!(start.elapsed() < CLOSED_WITHIN);
    };
    println!("with {open} open files, a newcomer was answered after {waited:?}");
    assert!(
        (Duration::from_secs(5)..CLOSED_WITHIN).contains(&waited),
        "{waited:?}"
    );
}

/// Clients that send requests and read no answer.
const DEAF_CLIENTS: usize = 50;
/// The memory that each of them may cost, in bytes.
const PER_DEAF_CLIENT: u64 = 512 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn requests_whose_answers_are_not_read_take_little_memory() {
    // The last one has a body, which nobody reads.
    for (path, body) in [
        ("/livez", ""),
        ("/openapi.json", ""),
        ("/nowhere", ""),
        ("/readyz", "x"),
    ] {
        let app = TestApp::start(Way::Embedded).await;
        let address = app.bases[0].trim_start_matches("http://").to_owned();
        let length = format!("Content-Length: {}\r\n", body.len());
        let length = if body.is_empty() { "" } else { &length };
        let first = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{length}\r\n{body}");
        let request = format!("GET {path} HTTP/1.1\nHost: x\n\n");
        // The first answers fill caches and pools.
        for _ in 0..20 {
            app.get(path).await;
        }
        let before = memory(&app);
        let mut clients = Vec::new();
        for _ in 0..DEAF_CLIENTS {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            let requests = first.clone() + &request.repeat(20_000);
            clients.push(tokio::spawn(async move {
                // The service reads no more, and then closes the connection.
                stream.write_all(requests.as_bytes()).await.ok();
            }));
        }
        let mut most = before;
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            most = most.max(memory(&app));
        }
        let each = (most - before) / DEAF_CLIENTS as u64;
        println!("{path}: {} KiB for each client that reads nothing", each >> 10);
        assert!(each < PER_DEAF_CLIENT, "{path}: {each} bytes");
        assert_eq!(app.get("/livez").await.status, 200);
        for client in clients {
            client.abort();
        }
    }
}

/// The memory that the service uses, in bytes.
fn memory(app: &TestApp) -> u64 {
    let process = procfs::process::Process::new(app.apis[0].id() as i32);
    let memory = process.and_then(|process| process.statm()).unwrap();
    memory.resident * procfs::page_size()
}

/// RFC 9112, section 9.3.2: a server may handle pipelined requests in parallel, and must answer in their order.
#[tokio::test(flavor = "multi_thread")]
async fn requests_sent_before_their_answers_are_all_answered_in_order() {
    let app = TestApp::start(Way::Embedded).await;
    let address = app.bases[0].trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let authorization = format!("Authorization: Bearer {}\r\n", app.admin_key);
    let mut requests = String::new();
    for number in 0..300 {
        let id = format!("Host: x\r\nX-Request-Id: turn-{number}-\r\n{authorization}");
        requests += &match number % 4 {
            0 => format!("GET /openapi.json HTTP/1.1\r\n{id}\r\n"),
            1 => format!("GET /nowhere HTTP/1.1\r\n{id}\r\n"),
            2 => format!("HEAD /openapi.json HTTP/1.1\r\n{id}\r\n"),
            _ => {
                let body = broadcasts("866", number).to_string().replace(':', ":\r\n\r\n");
                let length = body.len();
                format!(
                    "POST /v1/submissions HTTP/1.1\r\n{id}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
                )
            }
        };
    }
    let last = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    requests += last;
    let (mut reading, mut writing) = stream.split();
    let mut answers = Vec::new();
    let (sent, received) = tokio::join!(
        writing.write_all(requests.as_bytes()),
        reading.read_to_end(&mut answers)
    );
    sent.unwrap();
    received.unwrap();
    let answers = String::from_utf8(answers).unwrap();
    let mut heads = answers.split("HTTP/1.1 ").skip(1);
    for number in 0..300 {
        let head = heads.next().unwrap();
        let expected = ["200", "404", "200", "201"][number % 4];
        assert!(head.starts_with(expected), "{number}: {head}");
        assert!(head.contains(&format!("turn-{number}-")), "{number}: {head}");
        assert!(!head.contains("connection: close"), "{number}: {head}");
        let (_, body) = head.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.is_empty(), number % 4 == 2, "{number}: {head}");
    }
    assert!(heads.next().unwrap().starts_with("200"));
    assert!(heads.next().is_none());
}

/// Sends the head, then one byte per second. Returns the time until the service closed the connection.
async fn send_slowly(address: String, head: String) -> Duration {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let start = Instant::now();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let closed = async {
        let mut answer = [0; 4096];
        // The answer before the end does not matter here; a reset ends the connection, too.
        while let Ok(1..) = reading.read(&mut answer).await {}
    };
    let sending = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if writing.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = closed => {}
        () = sending => {}
        () = tokio::time::sleep(2 * CLOSED_WITHIN) => {}
    }
    start.elapsed()
}
