//! Clients that send one byte per second over TLS do not deprive others of service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tonghop_tests::{Authority, TestApp, Way};
use tonghop_tls::Trust;

use super::https::served;
use super::raw::Raw;

const SLOW_CLIENTS: usize = 1000;
/// The deadline for closing each connection: a handshake may take 5 seconds, and the head after it 10.
const CLOSED_WITHIN: Duration = Duration::from_secs(20);

/// The beginning of a client's first message: the header of a handshake record of 512 bytes.
const HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_handshakes_are_ended_and_others_are_served() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let app = Arc::new(served(Way::Embedded, &authority, folder.path()).await);
    let address = app.bases[0].trim_start_matches("https://").to_owned();
    let over = Arc::new(AtomicBool::new(false));
    let good = tokio::spawn(newcomers(address.clone(), authority.trust(), over.clone()));
    let slow_clients: Vec<_> = (0..SLOW_CLIENTS)
        .map(|at| {
            let (address, trust) = (address.clone(), authority.trust());
            // One in ten completes its handshake, but never its head.
            tokio::spawn(async move {
                if at % 10 == 0 {
                    let raw = Raw::connect(&address, &trust).await.unwrap();
                    send_slowly(raw.into_stream(), b"GET /v1/").await
                } else {
                    send_slowly(TcpStream::connect(address).await.unwrap(), HELLO).await
                }
            })
        })
        .collect();
    let mut took = Vec::new();
    for slow_client in slow_clients {
        took.push(slow_client.await.unwrap());
    }
    took.sort();
    over.store(true, Ordering::Relaxed);
    let mut waits = good.await.unwrap();
    waits.sort();
    let at = |share: usize| waits[(waits.len() - 1) * share / 100];
    println!(
        "slow_clients: half were closed after {:?}, the last after {:?}; newcomers meanwhile: {}, p50 {:?}, p99 {:?}, \
         longest {:?}",
        took[SLOW_CLIENTS / 2],
        took[SLOW_CLIENTS - 1],
        waits.len(),
        at(50),
        at(99),
        at(100)
    );
    assert!(
        took[SLOW_CLIENTS / 2] < Duration::from_secs(8),
        "handshakes have 5 seconds"
    );
    assert!(took[SLOW_CLIENTS - 1] < CLOSED_WITHIN);
    assert!(
        waits.len() > 50 && at(100) < Duration::from_secs(3),
        "new connections had to wait"
    );
    drop(TestApp::settled_totals(&app, "VN").await);
}

/// Sends requests on new connections and returns how long each took.
async fn newcomers(address: String, trust: Trust, over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut took = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        let mut raw = Raw::connect(&address, &trust).await.unwrap();
        assert!(raw.get("/livez").await.starts_with("HTTP/1.1 200"));
        took.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    took
}

/// Sends a beginning, then one byte per second. Returns the time until the service closed the connection.
async fn send_slowly(stream: impl AsyncRead + AsyncWrite, beginning: &[u8]) -> Duration {
    let start = Instant::now();
    let (mut reading, mut writing) = tokio::io::split(stream);
    writing.write_all(beginning).await.unwrap();
    let closed = async {
        let mut answer = [0; 4096];
        while let Ok(1..) = reading.read(&mut answer).await {}
    };
    let sending = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if writing.write_all(b"x").await.is_err() || writing.flush().await.is_err() {
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
