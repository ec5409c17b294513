use std::time::Duration;

use super::*;

const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(10);

/// Starts a server that returns what it receives.
fn start_echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut reader = stream.unwrap();
                let mut writer = reader.try_clone().unwrap();
                let _ = io::copy(&mut reader, &mut writer);
                let _ = writer.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

fn connect(proxy: &FaultProxy) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

fn exchange(stream: &mut TcpStream, word: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(word)?;
    let mut response = vec![0; word.len()];
    stream.read_exact(&mut response)?;
    Ok(response)
}

#[test]
fn bytes_arrive_and_so_does_the_end_of_the_stream() {
    let proxy = FaultProxy::start(start_echo_server());
    let mut stream = connect(&proxy);
    let mut sender = stream.try_clone().unwrap();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let expected = sent.clone();
    let sending = thread::spawn(move || {
        sender.write_all(&sent).unwrap();
        sender.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    sending.join().unwrap();
    assert_eq!(received, expected);
}

#[test]
fn a_cut_closes_open_and_new_connections_until_it_is_restored() {
    let proxy = FaultProxy::start(start_echo_server());
    let mut before = connect(&proxy);
    assert_eq!(exchange(&mut before, b"before").unwrap(), b"before");

    proxy.cut();
    assert!(exchange(&mut before, b"during").is_err());
    assert!(exchange(&mut connect(&proxy), b"during").is_err());

    proxy.restore();
    assert!(
        exchange(&mut before, b"after").is_err(),
        "a cut connection stays closed"
    );
    assert_eq!(exchange(&mut connect(&proxy), b"after").unwrap(), b"after");
}

#[test]
fn a_stall_delays_everything_until_it_is_restored() {
    let proxy = FaultProxy::start(start_echo_server());
    let mut old = connect(&proxy);
    assert_eq!(exchange(&mut old, b"before").unwrap(), b"before");

    proxy.stall();
    let mut new = connect(&proxy);
    for stream in [&mut old, &mut new] {
        stream.write_all(b"held").unwrap();
        stream.set_read_timeout(Some(SHORT)).unwrap();
        let error = stream.read(&mut [0; 4]).unwrap_err();
        assert!(
            matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
            "{error}"
        );
    }

    proxy.restore();
    for stream in [&mut old, &mut new] {
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut response = [0; 4];
        stream.read_exact(&mut response).unwrap();
        assert_eq!(&response, b"held");
    }
}

#[test]
fn a_cut_ends_a_stall() {
    let proxy = FaultProxy::start(start_echo_server());
    let mut stream = connect(&proxy);
    assert_eq!(exchange(&mut stream, b"before").unwrap(), b"before");
    proxy.stall();
    stream.write_all(b"lost").unwrap();
    proxy.cut();
    proxy.restore();
    assert!(stream.read_exact(&mut [0; 4]).is_err());
}

#[test]
fn a_half_open_connection_discards_everything_and_stays_open() {
    let proxy = FaultProxy::start(start_echo_server());
    let mut old = connect(&proxy);
    assert_eq!(exchange(&mut old, b"before").unwrap(), b"before");

    proxy.half_open();
    let mut new = connect(&proxy);
    assert_eq!(exchange(&mut new, b"during").unwrap(), b"during");
    old.set_read_timeout(Some(SHORT)).unwrap();
    for _ in 0..3 {
        old.write_all(b"lost").unwrap();
        let error = old.read(&mut [0; 4]).unwrap_err();
        assert!(
            matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
            "{error}"
        );
    }
    assert_eq!(exchange(&mut new, b"after").unwrap(), b"after");
}

#[test]
fn a_half_open_connection_hides_the_end_of_its_client_until_the_next_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = FaultProxy::start(listener.local_addr().unwrap());
    let mut client = connect(&proxy);
    client.write_all(b"before").unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.read_exact(&mut [0; 6]).unwrap();

    proxy.half_open();
    drop(client);
    server.set_read_timeout(Some(SHORT)).unwrap();
    let error = server.read(&mut [0; 1]).unwrap_err();
    assert!(
        matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        "{error}"
    );

    proxy.half_open();
    server.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_half_open_connection_discards_what_a_stall_held_back() {
    let proxy = FaultProxy::start(start_echo_server());
    let mut stream = connect(&proxy);
    assert_eq!(exchange(&mut stream, b"before").unwrap(), b"before");
    proxy.stall();
    stream.write_all(b"lost").unwrap();
    proxy.half_open();
    proxy.restore();
    stream.set_read_timeout(Some(SHORT)).unwrap();
    assert!(
        stream.read(&mut [0; 4]).is_err(),
        "bytes held back by the stall are discarded, too"
    );
}

#[test]
fn a_target_that_refuses_looks_like_a_closed_connection() {
    let proxy = FaultProxy::start(("127.0.0.1", crate::free_port()));
    assert!(exchange(&mut connect(&proxy), b"hello").is_err());
}

#[test]
fn a_dropped_proxy_closes_its_connections_and_its_port() {
    let proxy = FaultProxy::start(start_echo_server());
    let port = proxy.port();
    let mut stream = connect(&proxy);
    assert_eq!(exchange(&mut stream, b"before").unwrap(), b"before");
    drop(proxy);
    assert!(stream.read_exact(&mut [0; 1]).is_err());
    let closed = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(20));
        TcpStream::connect(("127.0.0.1", port)).is_err()
    });
    assert!(closed);
}

#[test]
fn a_url_through_the_proxy_changes_only_its_address() {
    let proxy = FaultProxy::start(start_echo_server());
    let port = proxy.port();
    for (url, expected) in [
        (
            "amqp://guest:guest@127.0.0.1:5672/%2f",
            format!("amqp://guest:guest@127.0.0.1:{port}/%2f"),
        ),
        (
            "postgres://u@localhost:1/db?a=b@c",
            format!("postgres://u@127.0.0.1:{port}/db?a=b@c"),
        ),
        ("http://127.0.0.1:80", format!("http://127.0.0.1:{port}")),
    ] {
        assert_eq!(proxy.url_through(url), expected);
    }
}
