//! Proxies in front of the service, which say for whom they connect.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tonghop_testkit::{free_port, sqlite_database};
use tonghop_tests::{Options, TestApp, Way, command, run_to_end};

/// The address of the proxy, and that of a client who is none.
const PROXY: &str = "127.0.0.2:0";
const OTHER: &str = "127.0.0.3:0";

/// A connection from an address.
async fn connect(app: &TestApp, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(from.parse().unwrap()).unwrap();
    let service = app.bases[0].trim_start_matches("http://").parse().unwrap();
    socket.connect(service).await.unwrap()
}

/// Sends parts with a short time between them. Returns what is answered until the service closes.
async fn answer(mut stream: TcpStream, parts: &[&[u8]]) -> String {
    for part in parts {
        stream.write_all(part).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut answer = Vec::new();
    // The service resets a connection of which it has not read everything.
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
    read.await.expect("the service closes the connection").ok();
    String::from_utf8(answer).unwrap()
}

/// The addresses that the audit trail names for requests with this id.
fn addresses(app: &TestApp, request_id: &str) -> Vec<String> {
    app.audit_entries()
        .into_iter()
        .filter(|entry| entry["request_id"] == request_id)
        .map(|entry| entry["address"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_says_for_whom_it_connects_and_others_are_not_believed() {
    let options = Options {
        settings: vec![
            ("TONGHOP_TRUSTED_PROXIES", "127.0.0.2".into()),
            ("TONGHOP_PROXY_PROTOCOL", "true".into()),
        ],
        ..Options::default()
    };
    let app = TestApp::start_with(Way::Embedded, options).await;
    let key = app.create_key(&["--role", "submitter", "--unit", "866"]);
    // A refused report, which is in the audit trail.
    let request = |id: &str| {
        let body = r#"{"form":1}"#;
        format!(
            "POST /v1/submissions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nX-Request-Id: {id}\r\n\
             Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let version_1 = b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 443\r\n".as_slice();
    let version_2 =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\xc0\0\x02\x01\xc3\x50\x01\xbb".as_slice();
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".as_slice();
    for (id, parts) in [
        ("v1", vec![version_1]),
        ("v1-in-parts", vec![&version_1[..9], &version_1[9..]]),
        ("v2", vec![version_2]),
        ("v2-in-parts", vec![&version_2[..14], &version_2[14..]]),
        ("local", vec![local]),
    ] {
        let request = request(id);
        let mut parts = parts;
        // The request follows in the same segment.
        let last = [parts.pop().unwrap(), request.as_bytes()].concat();
        parts.push(&last);
        let answered = answer(connect(&app, PROXY).await, &parts).await;
        assert!(answered.starts_with("HTTP/1.1 422 "), "{id}: {answered}");
    }
    let plain = request("other");
    let answered = answer(connect(&app, OTHER).await, &[plain.as_bytes()]).await;
    assert!(answered.starts_with("HTTP/1.1 422 "), "{answered}");
    let forged = [version_1, request("forged").as_bytes()].concat();
    let answered = answer(connect(&app, OTHER).await, &[&forged]).await;
    assert!(answered.starts_with("HTTP/1.1 400 "), "{answered}");
    for without in [
        "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
        "PROXY TCP4 192.0.2.7\r\n",
        "PROX",
    ] {
        let answered = answer(connect(&app, PROXY).await, &[without.as_bytes()]).await;
        assert_eq!(answered, "", "{without}");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (id, expected) in [
        ("v1", "192.0.2.7"),
        ("v1-in-parts", "192.0.2.7"),
        ("v2", "192.0.2.8"),
        ("v2-in-parts", "192.0.2.8"),
        ("local", "127.0.0.2"),
        ("other", "127.0.0.3"),
    ] {
        assert_eq!(addresses(&app, id), [expected], "{id}");
    }
    assert_eq!(addresses(&app, "forged"), Vec::<String>::new());
}

#[test]
fn an_unusable_setting_of_proxies_ends_the_start_with_one_sentence() {
    let database = sqlite_database();
    let [networks, protocol] = ["TONGHOP_TRUSTED_PROXIES", "TONGHOP_PROXY_PROTOCOL"];
    for (settings, message) in [
        (vec![(networks, "10.0.0.0/33")], "10.0.0.0/33"),
        (vec![(protocol, "true")], "set both, or neither"),
        (vec![(networks, "10.0.0.1"), (protocol, "2")], "2"),
    ] {
        let mut command = command("tonghop");
        let serve = command
            .arg("serve")
            .env("TONGHOP_LISTEN", format!("127.0.0.1:{}", free_port()))
            .env("TONGHOP_DATABASE_URL", database.url())
            .envs(settings.iter().copied());
        let ended = run_to_end(serve);
        assert_eq!(ended.code, Some(2), "{settings:?}: {}", ended.error);
        assert!(ended.error.contains(message), "{}", ended.error);
    }
}
