//! A TCP proxy that cuts and stalls what runs through it.
//!
//! Plain threads and blocking sockets, so that a fault is in force when the call that caused it returns, whatever the
//! test's runtime is doing.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Stands between a client and a server on a port of its own, and breaks their connection when told to.
///
/// ```no_run
/// # let database_url = "postgres://postgres@127.0.0.1:5432/fresh";
/// let proxy = tonghop_testkit::FaultProxy::in_front_of(database_url);
/// let faulty_url = proxy.url_through(database_url);   // give this one to the service
/// proxy.cut();                                        // the server is gone
/// proxy.restore();                                    // and back
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    weather: Weather,
    /// Both ends of each connection, to be shut down from outside.
    open: HashMap<u64, Vec<TcpStream>>,
    next_id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Fair,
    Stalled,
    Cut,
    Over,
}

impl FaultProxy {
    /// Listens on a port of 127.0.0.1 and forwards to `target`.
    ///
    /// # Panics
    /// When `target` is no address, or no port can be had.
    pub fn start(target: impl ToSocketAddrs) -> Self {
        let target = target
            .to_socket_addrs()
            .expect("the target is an address")
            .next()
            .expect("the target's name has an address");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port can be had");
        let port = listener.local_addr().expect("a listener has an address").port();
        let state = State {
            weather: Weather::Fair,
            open: HashMap::new(),
            next_id: 0,
        };
        let shared = Arc::new(Shared {
            target,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &accepting));
        Self { port, shared }
    }

    /// Forwards to the host and port named in `url`, which must name both.
    ///
    /// # Panics
    /// As [`FaultProxy::start`].
    pub fn in_front_of(url: &str) -> Self {
        Self::start(&url[address_in(url)])
    }

    /// `url` with its host and port replaced by the proxy's.
    pub fn url_through(&self, url: &str) -> String {
        let address = address_in(url);
        format!(
            "{}127.0.0.1:{}{}",
            &url[..address.start],
            self.port,
            &url[address.end..]
        )
    }

    /// The port of 127.0.0.1 on which the proxy listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections, and every new one as soon as it is made, until [`FaultProxy::restore`].
    pub fn cut(&self) {
        self.shared.turn(Weather::Cut);
    }

    /// Keeps connections open and takes new ones, but forwards nothing, until [`FaultProxy::restore`].
    pub fn stall(&self) {
        self.shared.turn(Weather::Stalled);
    }

    /// Forwards again. What was sent during a stall arrives now; what a cut closed stays closed.
    pub fn restore(&self) {
        self.shared.turn(Weather::Fair);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.turn(Weather::Over);
        // Wakes the thread that waits for connections, which then ends.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, weather: Weather) {
        let mut state = self.state();
        state.weather = weather;
        if matches!(weather, Weather::Cut | Weather::Over) {
            for (_, ends) in state.open.drain() {
                ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
            }
        }
        self.changed.notify_all();
    }

    /// Waits out a stall; false when this connection has been cut meanwhile, even if the weather is fair again.
    fn may_forward(&self, id: u64) -> bool {
        let mut state = self.state();
        while state.weather == Weather::Stalled && state.open.contains_key(&id) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.open.contains_key(&id)
    }

    /// Notes an end of a connection; false when the connection has been cut meanwhile.
    fn add_end(&self, id: u64, end: &TcpStream) -> io::Result<bool> {
        let end = end.try_clone()?;
        let mut state = self.state();
        let Some(ends) = state.open.get_mut(&id) else {
            return Ok(false);
        };
        ends.push(end);
        Ok(true)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        let mut state = shared.state();
        let Ok(client) = client else { continue };
        match state.weather {
            Weather::Over => return,
            Weather::Cut => drop(client),
            Weather::Fair | Weather::Stalled => {
                let id = state.next_id;
                state.next_id += 1;
                state.open.insert(id, Vec::new());
                let shared = Arc::clone(shared);
                thread::spawn(move || {
                    // A connection that fails is one that closes: that is all a client sees of it.
                    let _ = serve(&shared, id, client);
                    shared.state().open.remove(&id);
                });
            }
        }
    }
}

fn serve(shared: &Arc<Shared>, id: u64, mut client: TcpStream) -> io::Result<()> {
    if !shared.add_end(id, &client)? || !shared.may_forward(id) {
        return Ok(());
    }
    let mut server = TcpStream::connect(shared.target)?;
    if !shared.add_end(id, &server)? {
        return Ok(());
    }
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut client_reader, mut server_writer) = (client.try_clone()?, server.try_clone()?);
    let uploading = {
        let shared = Arc::clone(shared);
        thread::spawn(move || pump(&shared, id, &mut client_reader, &mut server_writer))
    };
    pump(shared, id, &mut server, &mut client);
    let _ = uploading.join();
    Ok(())
}

/// Forwards one direction until its end, which it hands on; an error ends both directions.
fn pump(shared: &Shared, id: u64, from: &mut TcpStream, to: &mut TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer);
        if !shared.may_forward(id) {
            return;
        }
        match read {
            Ok(0) => return drop(to.shutdown(Shutdown::Write)),
            Ok(count) if to.write_all(&buffer[..count]).is_ok() => {}
            Ok(_) | Err(_) => {
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

/// Where in `url` its `host:port` stands.
fn address_in(url: &str) -> std::ops::Range<usize> {
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[authority..]
        .find(['/', '?'])
        .map_or(url.len(), |length| authority + length);
    let start = url[authority..end]
        .rfind('@')
        .map_or(authority, |at| authority + at + 1);
    start..end
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SHORT: Duration = Duration::from_millis(150);
    const LONG: Duration = Duration::from_secs(10);

    /// A server that sends back what it receives.
    fn echo() -> SocketAddr {
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

    fn ask(stream: &mut TcpStream, word: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(word)?;
        let mut answer = vec![0; word.len()];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn what_is_sent_arrives_and_so_does_the_end() {
        let proxy = FaultProxy::start(echo());
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
    fn a_cut_closes_connections_and_new_ones_until_it_is_over() {
        let proxy = FaultProxy::start(echo());
        let mut before = connect(&proxy);
        assert_eq!(ask(&mut before, b"before").unwrap(), b"before");

        proxy.cut();
        assert!(ask(&mut before, b"during").is_err());
        assert!(ask(&mut connect(&proxy), b"during").is_err());

        proxy.restore();
        assert!(ask(&mut before, b"after").is_err(), "what was cut stays cut");
        assert_eq!(ask(&mut connect(&proxy), b"after").unwrap(), b"after");
    }

    #[test]
    fn a_stall_holds_everything_back_until_it_is_over() {
        let proxy = FaultProxy::start(echo());
        let mut old = connect(&proxy);
        assert_eq!(ask(&mut old, b"before").unwrap(), b"before");

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
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"held");
        }
    }

    #[test]
    fn a_cut_ends_a_stall() {
        let proxy = FaultProxy::start(echo());
        let mut stream = connect(&proxy);
        assert_eq!(ask(&mut stream, b"before").unwrap(), b"before");
        proxy.stall();
        stream.write_all(b"lost").unwrap();
        proxy.cut();
        proxy.restore();
        assert!(stream.read_exact(&mut [0; 4]).is_err());
    }

    #[test]
    fn a_target_that_refuses_looks_like_a_closed_connection() {
        let proxy = FaultProxy::start(("127.0.0.1", crate::free_port()));
        assert!(ask(&mut connect(&proxy), b"hello").is_err());
    }

    #[test]
    fn nothing_listens_after_the_proxy() {
        let proxy = FaultProxy::start(echo());
        let port = proxy.port();
        let mut stream = connect(&proxy);
        assert_eq!(ask(&mut stream, b"before").unwrap(), b"before");
        drop(proxy);
        assert!(stream.read_exact(&mut [0; 1]).is_err());
        let closed = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(20));
            TcpStream::connect(("127.0.0.1", port)).is_err()
        });
        assert!(closed);
    }

    #[test]
    fn a_url_keeps_all_but_its_address() {
        let proxy = FaultProxy::start(echo());
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
}
