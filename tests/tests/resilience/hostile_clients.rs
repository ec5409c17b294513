//! A broken or hostile client does not take the place of the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonghop_access::Token;
use tonghop_tests::{FORM, Options, PERIOD, TestApp, Way, broadcasts};

/// Clients that send a byte a second.
const DRIBBLERS: usize = 1000;
/// By when each of them must be gone.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);
/// How many at a time show keys that nobody knows.
const STRANGERS: usize = 32;
/// How many at a time send bodies that no report has.
const HOSTILE_SENDERS: usize = 8;

fn totals() -> String {
    format!("/v1/totals?form={FORM}&period={PERIOD}&unit=VN")
}

/// Asks again and again until it is over, and answers how long each answer took.
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
    assert!(took.len() > 50, "it hardly asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_tries_keys_that_nobody_knows_is_slowed_down_and_the_others_are_served() {
    let app = Arc::new(TestApp::start(Way::Embedded).await);
    let over = Arc::new(AtomicBool::new(false));
    let (unknown, limited) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let good = tokio::spawn(well_behaved(app.clone(), over.clone()));
    let strangers: Vec<_> = (0..STRANGERS)
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
    for stranger in strangers {
        stranger.await.unwrap();
    }
    let seconds = start.elapsed().as_secs();
    let (unknown, limited) = (unknown.load(Ordering::Relaxed), limited.load(Ordering::Relaxed));
    println!("in {seconds} s {unknown} keys were looked for and {limited} were not");
    // Of those that come at the same moment, all are let in; then none for a second.
    let most = (20 + STRANGERS as u64) * (seconds + 1);
    assert!(unknown as u64 <= most, "{unknown} were looked for");
    assert!(limited > 10 * unknown, "only {limited} were limited");
    tell("meanwhile, a client with a good key", &good.await.unwrap());
    app.settled_totals("VN").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_that_dribble_are_closed_and_the_others_are_served() {
    let app = Arc::new(TestApp::start(Way::Embedded).await);
    let address = app.bases[0].trim_start_matches("http://").to_owned();
    let over = Arc::new(AtomicBool::new(false));
    let good = tokio::spawn(well_behaved(app.clone(), over.clone()));
    let request = format!(
        "POST /v1/submissions HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n",
        app.admin_key
    );
    let dribblers: Vec<_> = (0..DRIBBLERS)
        .map(|at| {
            let address = address.clone();
            // One half never ends its head, the other never its body.
            let head = if at % 2 == 0 {
                String::from("GET /v1/")
            } else {
                request.clone()
            };
            tokio::spawn(dribble(address, head))
        })
        .collect();
    let mut longest = Duration::ZERO;
    for dribbler in dribblers {
        longest = longest.max(dribbler.await.unwrap());
    }
    println!("the last of {DRIBBLERS} was closed after {longest:?}");
    assert!(longest < CLOSED_WITHIN, "{longest:?}");
    over.store(true, Ordering::Relaxed);
    tell("meanwhile, a client that does not dribble", &good.await.unwrap());
    app.settled_totals("VN").await;
}

/// Bodies that are larger, deeper or of more keys than any report, each with how it is refused.
fn hostile_bodies() -> Vec<(String, u16)> {
    let report =
        |rest: String| format!(r#"{{"form":"{FORM}","period":"{PERIOD}","unit":"867","figures":[]{rest}}}"#);
    let keys = |number: usize| -> String { (0..number).map(|key| format!(r#","{key}":0"#)).collect() };
    vec![
        // Past the largest body, and as deep and as many-keyed as the largest body can be.
        (report(format!(r#","note":"{}""#, "x".repeat(2 << 20))), 413),
        ("[".repeat(1 << 20), 400),
        (report(keys(100_000)), 413),
        // The most keys that are read whole, each unknown, and the deepest nesting, in a field that nobody knows.
        (report(keys(80_000)), 422),
        (
            report(format!(r#","x":{}{}"#, "[".repeat(31), "]".repeat(31))),
            422,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_large_too_deep_or_of_too_many_keys_are_refused_and_the_others_are_served() {
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
    println!("refused of each kind: {refused:?}");
    assert!(refused.iter().all(|number| *number > 0), "{refused:?}");
    tell("meanwhile, a client with sound reports", &good.await.unwrap());
    app.settled_totals("VN").await;
}

/// How many connections a process takes; see docs/configure.md.
const CONNECTIONS: usize = 4_000;

#[tokio::test(flavor = "multi_thread")]
async fn connections_past_the_bound_wait_outside_until_silent_ones_are_closed() {
    let app = TestApp::start(Way::Embedded).await;
    let address = app.bases[0].trim_start_matches("http://").to_owned();
    let mut silent = Vec::new();
    // What waits outside waits in the system, which lets about a hundred in a row.
    for _ in 0..CONNECTIONS + 60 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    let files = format!("/proc/{}/fd", app.apis[0].id());
    let start = Instant::now();
    let mut open = 0;
    while start.elapsed() < Duration::from_secs(1) {
        open = open.max(std::fs::read_dir(&files).unwrap().count());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Its listener, database and log are files, too.
    assert!(
        (CONNECTIONS..CONNECTIONS + 100).contains(&open),
        "{open} open files"
    );
    // On a connection of its own: those that are open are served.
    let newcomer = tonghop_tests::http_client().build().unwrap();
    let answer = newcomer
        .get(format!("{}/livez", app.bases[0]))
        .send()
        .await
        .unwrap();
    let waited = start.elapsed();
    println!("with {open} open files, a newcomer was answered after {waited:?}");
    assert_eq!(answer.status(), 200);
    assert!(
        (Duration::from_secs(5)..CLOSED_WITHIN).contains(&waited),
        "{waited:?}"
    );
}

/// Sends the head, then a byte a second. Answers how long it took until the service closed the connection.
async fn dribble(address: String, head: String) -> Duration {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let start = Instant::now();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let closed = async {
        let mut answer = [0; 4096];
        // What it answers before it closes does not matter here; a reset closes, too.
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
