//! A TCP proxy that can cut, stall and silence connections.
//!
//! It uses threads and blocking sockets, so that a fault is in effect when the call that causes it returns, whatever the
//! runtime of the test is doing.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::url::address_range;

/// A proxy between a client and a server that breaks their connections on demand.
///
/// ```no_run
/// # let database_url = "postgres://postgres@127.0.0.1:5432/fresh";
/// let proxy = tonghop_testkit::FaultProxy::in_front_of(database_url);
/// let faulty_url = proxy.url_through(database_url);   // for the service
/// proxy.cut();                                        // the server is unreachable
/// proxy.restore();                                    // and reachable again
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
    network: Network,
    open: HashMap<u64, Connection>,
    next_id: u64,
}

#[derive(Debug, Default)]
struct Connection {
    /// Both ends, for shutting them down from another thread.
    ends: Vec<TcpStream>,
    /// Whether the connection is half-open: bytes of either end are discarded, and neither end learns that the other closed.
    silent: bool,
    /// Whether one end of a silent connection has closed.
    abandoned: bool,
}

/// What happens to bytes that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    Forward,
    Discard,
    /// The connection was cut.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Normal,
    Stalled,
    Cut,
    Stopped,
}

impl FaultProxy {
    /// Listens on a port of 127.0.0.1 and forwards to `target`.
    ///
    /// # Panics
    /// Panics if `target` is not an address, or no port is free.
    pub fn start(target: impl ToSocketAddrs) -> Self {
        let target = target
            .to_socket_addrs()
            .expect("the target is an address")
            .next()
            .expect("the target's name has an address");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let state = State {
            network: Network::Normal,
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

    /// Forwards to the host and port of `url`, which must contain both.
    ///
    /// # Panics
    /// As for [`FaultProxy::start`].
    pub fn in_front_of(url: &str) -> Self {
        Self::start(&url[address_range(url)])
    }

    /// Returns `url` with the host and port of the proxy.
    pub fn url_through(&self, url: &str) -> String {
        let address = address_range(url);
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

    /// Closes all connections, and new ones at once, until [`FaultProxy::restore`].
    pub fn cut(&self) {
        self.shared.set_network(Network::Cut);
    }

    /// Keeps connections open and accepts new ones, but forwards nothing, until [`FaultProxy::restore`].
    pub fn stall(&self) {
        self.shared.set_network(Network::Stalled);
    }

    /// Silences the open connections for ever: bytes of either end are discarded, and neither end learns that the other has
    /// closed. New connections work. A firewall that forgets its connections at a restart behaves like this.
    ///
    /// An end whose other end has closed is released by the next call or by a cut.
    pub fn half_open(&self) {
        let mut state = self.shared.state();
        state.open.retain(|_, connection| {
            if connection.abandoned {
                connection.shut_down();
            }
            !connection.abandoned
        });
        state
            .open
            .values_mut()
            .for_each(|connection| connection.silent = true);
        self.shared.changed.notify_all();
    }

    /// Forwards again. Bytes sent during a stall arrive now; connections closed by a cut stay closed.
    pub fn restore(&self) {
        self.shared.set_network(Network::Normal);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.set_network(Network::Stopped);
        // Wakes the accepting thread, so that it ends.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_network(&self, network: Network) {
        let mut state = self.state();
        state.network = network;
        if matches!(network, Network::Cut | Network::Stopped) {
            state
                .open
                .drain()
                .for_each(|(_, connection)| connection.shut_down());
        }
        self.changed.notify_all();
    }

    /// Waits until a stall ends. A connection that was cut meanwhile stays closed, even after a restore.
    fn delivery(&self, id: u64) -> Delivery {
        let mut state = self.state();
        loop {
            match state.open.get(&id) {
                None => return Delivery::Close,
                Some(connection) if connection.silent => return Delivery::Discard,
                Some(_) if state.network != Network::Stalled => return Delivery::Forward,
                Some(_) => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Records that one end of a silent connection has closed.
    fn abandon(&self, id: u64) {
        if let Some(connection) = self.state().open.get_mut(&id) {
            connection.abandoned = true;
        }
    }

    /// Adds an end of a connection. Returns false if the connection was cut meanwhile.
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
        match state.network {
            Network::Stopped => return,
            Network::Cut => drop(client),
            Network::Normal | Network::Stalled => {
                let id = state.next_id;
                state.next_id += 1;
                state.open.insert(id, Connection::default());
                let shared = Arc::clone(shared);
                thread::spawn(move || {
                    // Clients see a failed connection as a closed one.
                    let _ = serve(&shared, id, client);
                    shared.state().open.remove(&id);
                });
            }
        }
    }
}

fn serve(shared: &Arc<Shared>, id: u64, mut client: TcpStream) -> io::Result<()> {
    if !shared.add_end(id, &client)? || shared.delivery(id) == Delivery::Close {
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

/// Forwards one direction until it ends, and then ends it on the other side. An error ends both directions.
fn pump(shared: &Shared, id: u64, from: &mut TcpStream, to: &mut TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer);
        let discard = match shared.delivery(id) {
            Delivery::Forward => false,
            Delivery::Discard => true,
            Delivery::Close => return,
        };
        match read {
            Ok(0) | Err(_) if discard => return shared.abandon(id),
            Ok(_) if discard => {}
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

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
