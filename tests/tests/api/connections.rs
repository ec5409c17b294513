//! What a connection carries besides the requests that are served: bodies of refused requests, heads that are too large,
//! and batches in pieces.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonghop_tests::{TestApp, Way, broadcasts};

/// The deadline for what takes milliseconds.
const WITHIN: Duration = Duration::from_secs(10);

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.bases[0].trim_start_matches("http://"))
        .await
        .unwrap()
}

/// What the service sends until this text, or until it closes the connection.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut received = Vec::new();
    while !String::from_utf8_lossy(&received).contains(end) {
        let read = timeout(WITHIN, stream.read_buf(&mut received)).await;
        match read.expect("the service sends something, or closes the connection") {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    String::from_utf8(received).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_a_refused_body_first_is_answered_and_keeps_its_connection() {
    let app = TestApp::start(Way::InProcess).await;
    let reader = app.create_key(&["--role", "reader", "--unit", "87"]);
    let body = "x\n\n".repeat(1 << 20);
    let length = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let chunks = format!(
        "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    for (request, status) in [
        ("POST /v1/submissions HTTP/1.1\r\n", "401"),
        (
            &format!("POST /v1/submissions HTTP/1.1\r\nAuthorization: Bearer {reader}\r\n"),
            "403",
        ),
        (
            &format!("POST /v1/nowhere HTTP/1.1\r\nAuthorization: Bearer {reader}\r\n"),
            "404",
        ),
        (
            &format!("PUT /v1/totals HTTP/1.1\r\nAuthorization: Bearer {reader}\r\n"),
            "405",
        ),
    ] {
        for framed in [&length, &chunks] {
            let mut stream = connect(&app).await;
            let sent = format!("{request}Host: x\r\nContent-Type: application/json\r\n{framed}");
            stream.write_all(sent.as_bytes()).await.unwrap();
            let refused = read_until(&mut stream, "}").await;
            assert!(refused.starts_with(&format!("HTTP/1.1 {status}")), "{refused}");
            assert!(refused.contains("keep-alive: timeout="), "{refused}");
            let next = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
            stream.write_all(next).await.unwrap();
            let served = read_until(&mut stream, "\r\n\r\n").await;
            assert!(served.starts_with("HTTP/1.1 200"), "after {status}: {served}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_does_not_wait_for_a_body_that_is_too_large_to_drop() {
    let app = TestApp::start(Way::InProcess).await;
    let mut stream = connect(&app).await;
    let head = "POST /v1/submissions HTTP/1.1\r\nHost: x\r\nContent-Length: 40000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut refused = String::new();
    let read = timeout(WITHIN, stream.read_to_string(&mut refused)).await;
    read.expect("the service closes the connection").unwrap();
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    assert!(refused.contains("connection: close"), "{refused}");
    assert!(!refused.contains("keep-alive"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_hardly_data_ends_the_connection() {
    let app = TestApp::start(Way::InProcess).await;
    let mut stream = connect(&app).await;
    let head = "POST /v1/submissions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("1;{}\r\nx\r\n", "x".repeat(60_000));
    let mut chunks = 0;
    let sending = async {
        while chunks < 1_000 && stream.write_all(chunk.as_bytes()).await.is_ok() {
            chunks += 1;
        }
    };
    timeout(WITHIN, sending).await.unwrap();
    // The buffers of the operating system take some MiB.
    assert!(chunks < 500, "{chunks} chunks were received");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_refused() {
    let app = TestApp::start(Way::InProcess).await;
    let field = format!("X-Padding: {}\r\n", "x".repeat(3_000));
    for (fields, status) in [(9, "200"), (11, "431"), (30, "431")] {
        let mut stream = connect(&app).await;
        // The second of two requests of a connection, too.
        let padded = format!(
            "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n",
            field.repeat(fields)
        );
        let sent = format!("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n{padded}");
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answers = read_until(&mut stream, "the end").await;
        let statuses = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]);
        assert_eq!(statuses.collect::<Vec<_>>(), ["200", status], "{answers}");
    }
    let mut stream = connect(&app).await;
    stream.write_all(&[b'\n'; 40_000]).await.unwrap();
    let refused = read_until(&mut stream, "\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");
}

/// What follows a body that was not read is a head that is too large, or the end of a body that is none.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_bytes_after_a_body_end_the_connection_and_others_are_served() {
    let app = TestApp::start(Way::InProcess).await;
    let padding = "z".repeat(40_000);
    let post = "POST /v1/submissions HTTP/1.1\r\nHost: x\r\n";
    for sent in [
        format!(
            "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{:100}{padding}",
            ""
        ),
        format!("GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n{padding}"),
        format!("{post}Transfer-Encoding: chunked\r\n\r\n0\r\n\n{padding}"),
        format!("{post}Upgrade: a\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello{padding}"),
        format!("CONNECT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello{padding}"),
    ] {
        let mut streams = Vec::new();
        // More than there are workers.
        for _ in 0..16 {
            let mut stream = connect(&app).await;
            stream.write_all(sent.as_bytes()).await.unwrap();
            streams.push(stream);
        }
        for _ in 0..16 {
            let mut stream = connect(&app).await;
            stream
                .write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            let served = read_until(&mut stream, "\r\n\r\n").await;
            assert!(served.starts_with("HTTP/1.1 200"), "{sent:.60}: {served}");
        }
        for stream in &mut streams {
            stream.shutdown().await.ok();
            read_until(stream, "the end").await;
        }
    }
}

/// The response to a batch begins before its body is read, also when that arrived with the head.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_in_one_segment_is_answered_before_its_end() {
    let app = TestApp::start(Way::InProcess).await;
    let line = broadcasts("866", 1).to_string();
    let request = format!(
        "POST /v1/submissions/batch?dry_run=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n{line}",
        app.admin_key,
        line.len()
    );
    for _ in 0..10 {
        let mut stream = connect(&app).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let results = read_until(&mut stream, "\r\n0\r\n\r\n").await;
        assert!(results.contains(r#"{"line":1,"status":200"#), "{results}");
        let is_kept = results.contains("keep-alive: timeout=");
        assert_ne!(is_kept, results.contains("connection: close"), "{results}");
        stream.write_all(request.as_bytes()).await.ok();
        let more = read_until(&mut stream, "\r\n0\r\n\r\n").await;
        assert_eq!(is_kept, more.starts_with("HTTP/1.1 200"), "{more}");
    }
}

/// Many clients send the end of a chunk on its own, or a chunk byte by byte.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_in_pieces_of_any_size_is_read_as_it_comes() {
    let app = TestApp::start(Way::InProcess).await;
    let mut stream = connect(&app).await;
    stream.set_nodelay(true).unwrap();
    let head = format!(
        "POST /v1/submissions/batch?dry_run=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n",
        app.admin_key
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let in_time = timeout(WITHIN, async {
        for number in 0..40 {
            let line = format!("{}\n", broadcasts("866", number));
            let (size, extension) = (line.len(), ";x".repeat(number as usize));
            let pieces = [
                format!("{size:x}"),
                format!("{extension}\r"),
                "\n".into(),
                line,
                "\r\n".into(),
            ];
            for piece in &pieces[..4] {
                stream.write_all(piece.as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let result = read_until(&mut stream, "}\n").await;
            assert!(
                result.contains(&format!(r#"{{"line":{},"status":200"#, number + 1)),
                "{result}"
            );
            // The connection is closed after a batch that is answered before its end.
            assert!(!result.contains("keep-alive"), "{result}");
            stream.write_all(pieces[4].as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        read_until(&mut stream, "\r\n0\r\n\r\n").await
    });
    in_time.await.expect("no line waits for anything but its bytes");
}
