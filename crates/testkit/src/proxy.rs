//! A TCP proxy that cuts, stalls and silences what runs through it.
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
    open: HashMap<u64, Connection>,
    next_id: u64,
}

#[derive(Debug, Default)]
struct Connection {
    /// Both ends, to be shut down from outside.
    ends: Vec<TcpStream>,
    /// Whether it is half-open: what either end sends is taken and lost, and neither hears of the other's end.
    silent: bool,
    /// Whether one end of a silent connection has gone.
    forsaken: bool,
}

/// What may become of bytes that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passage {
    Forward,
    Lose,
    /// The connection was cut.
    End,
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

    /// Silences the connections that are open now, for ever: what either end sends is taken and lost, and neither
    /// learns that the other has gone. New connections work as before. So does a network that forgets connections, as
    /// a firewall that was started again does.
    ///
    /// An end that is left alone so by the other is freed at the next call, or by a cut.
    pub fn half_open(&self) {
        let mut state = self.shared.state();
        state.open.retain(|_, connection| {
            if connection.forsaken {
                connection.shut_down();
            }
            !connection.forsaken
        });
        state
            .open
            .values_mut()
            .for_each(|connection| connection.silent = true);
        self.shared.changed.notify_all();
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
            state
                .open
                .drain()
                .for_each(|(_, connection)| connection.shut_down());
        }
        self.changed.notify_all();
    }

    /// Waits out a stall; a connection that has been cut meanwhile has ended, even if the weather is fair again.
    fn passage(&self, id: u64) -> Passage {
        let mut state = self.state();
        loop {
            match state.open.get(&id) {
                None => return Passage::End,
                Some(connection) if connection.silent => return Passage::Lose,
                Some(_) if state.weather != Weather::Stalled => return Passage::Forward,
                Some(_) => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Notes that one end of a silent connection has gone.
    fn forsake(&self, id: u64) {
        if let Some(connection) = self.state().open.get_mut(&id) {
            connection.forsaken = true;
        }
    }

    /// Notes an end of a connection; false when the connection has been cut meanwhile.
    fn add_end(&self, id: u64, end: &TcpStream) -> io::Result<bool> {
        let end = end.try_clone()?;
        let mut state = self.state();
        let Some(connection) = state.open.get_mut(&id) else {
            return Ok(false);
        };
        connection.ends.push(end);
        Ok(true)
    }
}

impl Connection {
    fn shut_down(&self) {
        self.ends
            .iter()
            .for_each(|end| drop(end.shutdown(Shutdown::Both)));
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
                state.open.insert(id, Connection::default());
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
    if !shared.add_end(id, &client)? || shared.passage(id) == Passage::End {
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
        let lost = match shared.passage(id) {
            Passage::Forward => false,
            Passage::Lose => true,
            Passage::End => return,
        };
        match read {
            Ok(0) | Err(_) if lost => return shared.forsake(id),
            Ok(_) if lost => {}
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
#[path = "proxy_tests.rs"]
mod tests;
