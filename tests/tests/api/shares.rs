//! What one caller may take of what all share, and that the others notice nothing.

use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use tonghop_tests::{TestApp, Way, broadcasts};

use crate::problems::assert_problem;

/// A request whose head has been sent.
async fn begin(app: &TestApp, key: &str, path: &str, headers: &str) -> TcpStream {
    let address = app.bases[0].strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// What has been answered within a time.
async fn answer(stream: &mut TcpStream, within: Duration) -> String {
    let mut bytes = vec![0; 4096];
    match timeout(within, stream.read(&mut bytes)).await {
        Ok(read) => String::from_utf8_lossy(&bytes[..read.unwrap_or(0)]).into_owned(),
        Err(_) => String::new(),
    }
}

async fn post(app: &TestApp, key: &str, number: i64) -> u16 {
    let bearer = format!("Bearer {key}");
    app.post_with(&broadcasts("866", number), &[("Authorization", &bearer)])
        .await
        .status
}

async fn post_batch(app: &TestApp, key: &str, number: i64) -> u16 {
    let bearer = format!("Bearer {key}");
    let headers = [
        ("Content-Type", "application/x-ndjson"),
        ("Authorization", &bearer),
    ];
    let body = Some(broadcasts("866", number).to_string());
    app.ask(Method::POST, "/v1/submissions/batch", &headers, body)
        .await
        .status
}

/// One key opens as many batches as the service runs at once, and sends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn silent_batches_of_one_key_leave_room_for_others_and_end_with_the_key() {
    let app = TestApp::start(Way::InProcess).await;
    let silent = app.create_key(&["--role", "submitter", "--unit", "867"]);
    let other = app.create_key(&["--role", "submitter", "--unit", "866"]);
    let headers = "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n";
    let mut batches = Vec::new();
    for _ in 0..32 {
        batches.push(begin(&app, &silent, "/v1/submissions/batch", headers).await);
    }
    let (mut running, mut refused) = (Vec::new(), 0);
    for mut batch in batches {
        // The body is dropped before the refusal is sent, so it has to end.
        match answer(&mut batch, Duration::from_millis(200)).await {
            head if head.starts_with("HTTP/1.1 200") => running.push(batch),
            _ => refused += 1,
        }
    }
    assert!(
        refused >= 16 && !running.is_empty(),
        "{refused} refused, {} run",
        running.len()
    );
    assert_eq!(post_batch(&app, &other, 1).await, 200);
    let begun = Instant::now();
    let revoked = app
        .ask(Method::DELETE, &format!("/v1/keys/{}", &silent[3..11]), &[], None)
        .await;
    assert_eq!(revoked.status, 200, "{}", revoked.text);
    for batch in &mut running {
        let end = answer(batch, Duration::from_secs(6)).await;
        assert!(end.contains(r#""status":401"#), "{end}");
    }
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

/// What a body announces takes no memory, and what arrives counts for its sender alone.
#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_of_one_key_leave_room_for_others() {
    let app = TestApp::start(Way::InProcess).await;
    let slow = app.create_key(&["--role", "submitter", "--unit", "867"]);
    let other = app.create_key(&["--role", "submitter", "--unit", "866"]);
    let headers = "Content-Type: application/json\r\nContent-Length: 1048576\r\n";
    let part = vec![b' '; 1 << 19];
    let mut bodies = Vec::new();
    for _ in 0..64 {
        let mut body = begin(&app, &slow, "/v1/submissions", headers).await;
        body.write_all(&part).await.unwrap();
        bodies.push(body);
    }
    for number in 1..=20 {
        assert_eq!(post(&app, &other, number).await, 201);
    }
}

/// A minimum rate tells slow from hostile: 70 KiB at 5 KiB/s are accepted, and a body that stands still is given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_is_accepted_and_a_silent_one_is_not() {
    let app = TestApp::start(Way::InProcess).await;
    let text = format!("{}{}", " ".repeat(70 << 10), broadcasts("866", 1));
    let headers = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\n",
        text.len()
    );
    let send = async {
        let mut body = begin(&app, &app.admin_key, "/v1/submissions", &headers).await;
        for part in text.as_bytes().chunks(5 << 10) {
            body.write_all(part).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
        answer(&mut body, Duration::from_secs(5)).await
    };
    let silence = async {
        let mut body = begin(&app, &app.admin_key, "/v1/submissions", &headers).await;
        answer(&mut body, Duration::from_secs(15)).await
    };
    let (sent, silent) = tokio::join!(send, silence);
    assert!(sent.starts_with("HTTP/1.1 201"), "{sent}");
    assert!(silent.starts_with("HTTP/1.1 408"), "{silent}");
}

/// The role is checked first, so a reader's bodies take no memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_submit_takes_no_memory() {
    let app = TestApp::start(Way::InProcess).await;
    let reader = app.create_key(&["--role", "reader", "--unit", "87"]);
    let bearer = format!("Bearer {reader}");
    let large = format!("{{\"note\":\"{}\"}}", "x".repeat(1 << 20));
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    for path in ["/v1/submissions", "/v1/keys"] {
        let answer = app.ask(Method::POST, path, &headers, Some(large.clone())).await;
        assert_problem(&answer, 403, "forbidden");
    }
}

/// Connects from an address of this machine and asks once. `None` if the service closes the connection.
async fn connected_from(app: &TestApp, from: &str) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let address = app.bases[0].strip_prefix("http://").unwrap().parse().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .ok()?;
    let answer = answer(&mut stream, Duration::from_secs(5)).await;
    answer.starts_with("HTTP/1.1 200").then_some(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_one_address_leave_room_for_others() {
    let app = TestApp::start(Way::Embedded).await;
    let mut kept = Vec::new();
    let mut closed = 0;
    for _ in 0..2_050 {
        match connected_from(&app, "127.0.0.2").await {
            Some(stream) => kept.push(stream),
            None => closed += 1,
        }
    }
    assert!(
        kept.len() <= 2_000 && closed >= 50,
        "{} kept, {closed} closed",
        kept.len()
    );
    let other = connected_from(&app, "127.0.0.3").await;
    assert!(other.is_some(), "another address is served");
    kept.truncate(100);
    sleep(Duration::from_millis(500)).await;
    assert!(
        connected_from(&app, "127.0.0.2").await.is_some(),
        "a share is returned"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_kept_for_as_long_as_it_is_announced() {
    let app = TestApp::start(Way::InProcess).await;
    let mut stream = begin(&app, &app.admin_key, "/livez", "Content-Length: 0\r\n").await;
    let first = answer(&mut stream, Duration::from_secs(5)).await;
    assert!(
        first.to_ascii_lowercase().contains("keep-alive: timeout=75\r\n"),
        "{first}"
    );
    // Longer than the common proxies keep theirs would take too long here; it was closed after 15 s before.
    sleep(Duration::from_secs(20)).await;
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let second = answer(&mut stream, Duration::from_secs(5)).await;
    assert!(second.starts_with("HTTP/1.1 200"), "{second}");
    assert!(
        !second.to_ascii_lowercase().contains("keep-alive: timeout"),
        "{second}"
    );
}
