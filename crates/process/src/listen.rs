//! The address a program listens on.

use std::fmt::{self, Display, Formatter};
use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::failure::Failure;

/// How many connections can wait to be accepted, as far as the system allows (Linux: `net.core.somaxconn`, 4,096 by
/// default). Further attempts get no answer and retry after a second. The standard library asks for 128.
const BACKLOG: i32 = 4_096;

/// The time after which a connection is closed because its client accepts no bytes, although some wait to be sent.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(10);

/// An address to listen on: `HOST:PORT`, where the host is an IP address or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress(String);

/// A text that is not an address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address to listen on is HOST:PORT, such as 127.0.0.1:8080, [::1]:8080 or localhost:8080")]
pub struct InvalidListenAddress;

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, InvalidListenAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidListenAddress)?;
        let is_name = !host.is_empty() && !host.contains([':', '/', '[', ']', ' ']);
        if text.parse::<SocketAddr>().is_ok() || (is_name && port.parse::<u16>().is_ok()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidListenAddress)
        }
    }
}

impl Display for ListenAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ListenAddress {
    /// Listens on every address to which the host resolves: `localhost` is often both 127.0.0.1 and ::1. Skips addresses
    /// that this machine does not have, if another one remains.
    ///
    /// # Errors
    /// The host does not resolve, this machine has none of its addresses, or the port is in use.
    pub fn bind(&self) -> Result<Vec<TcpListener>, Failure> {
        let mut addresses: Vec<SocketAddr> = self
            .0
            .to_socket_addrs()
            .map_err(|error| Failure::configuration(format!("cannot listen on {self}: {error}")))?
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        let (mut listeners, mut missing) = (Vec::new(), None);
        for address in addresses {
            match listen(address, UNREAD_TIMEOUT) {
                Ok(listener) => listeners.push(listener),
                Err(error) if is_absent(&error) => missing = Some(error),
                Err(error) => return Err(self.failure(&error)),
            }
        }
        match missing {
            Some(error) if listeners.is_empty() => Err(self.failure(&error)),
            _ => Ok(listeners),
        }
    }

    /// A port in use is like a database in use: another process has it, for now.
    fn failure(&self, error: &Error) -> Failure {
        let sentence = format!("cannot listen on {self}: {error}");
        match error.kind() {
            ErrorKind::AddrNotAvailable | ErrorKind::PermissionDenied | ErrorKind::Unsupported => {
                Failure::Configuration(sentence)
            }
            _ => Failure::Runtime(sentence),
        }
    }
}

/// Listens, and lets the operating system close each connection whose client accepts no bytes for this time although some
/// wait to be sent.
fn listen(address: SocketAddr, unread: Duration) -> Result<TcpListener, Error> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections of the previous process may still be closing.
    socket.set_reuse_address(cfg!(unix))?;
    // Accepted connections inherit it (RFC 5482; Linux counts a closed window as well).
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(unread))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether this machine lacks the address or its whole family, such as IPv6.
fn is_absent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpStream;

    use super::*;

    fn address(text: &str) -> ListenAddress {
        text.parse().unwrap()
    }

    #[test]
    fn a_host_is_an_address_or_a_name_and_a_port_is_required() {
        for text in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "localhost:8080",
            "api.example:0",
            "0.0.0.0:80",
        ] {
            assert_eq!(address(text).to_string(), text);
        }
        for text in [
            "",
            "8080",
            ":8080",
            "localhost",
            "localhost:",
            "localhost:http",
            "localhost:70000",
            "::1:8080",
            "http://localhost:8080",
            "[localhost]:80",
        ] {
            assert_eq!(text.parse::<ListenAddress>(), Err(InvalidListenAddress), "{text}");
        }
    }

    #[test]
    fn localhost_listens_on_each_loopback_address() {
        let listeners = address("localhost:0").bind().unwrap();
        assert!(!listeners.is_empty());
        for listener in listeners {
            let address = listener.local_addr().unwrap();
            assert!(address.ip().is_loopback());
            TcpStream::connect(address).unwrap();
        }
    }

    /// The client announces a closed window, so that the connection itself stays alive.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_connection_whose_client_reads_nothing_is_closed() {
        let listener = listen("127.0.0.1:0".parse().unwrap(), Duration::from_secs(1)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut connection, _) = listener.accept().unwrap();
        let begun = std::time::Instant::now();
        let part = vec![0; 1 << 20];
        let written = (0..100).try_for_each(|_| connection.write_all(&part));
        assert!(written.is_err(), "100 MiB were sent to nobody");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        drop(client);
    }

    /// Nobody accepts them: as many can arrive while the process is busy.
    #[test]
    fn hundreds_can_connect_at_once() {
        let listener = address("127.0.0.1:0").bind().unwrap().remove(0);
        let address = listener.local_addr().unwrap();
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(800));
        let connected: Result<Vec<TcpStream>, _> = (0..500).map(connect).collect();
        assert_eq!(connected.unwrap().len(), 500);
    }

    #[test]
    fn a_port_in_use_is_named_and_a_later_attempt_can_succeed() {
        let listener = address("127.0.0.1:0").bind().unwrap().remove(0);
        let text = listener.local_addr().unwrap().to_string();
        let Failure::Runtime(sentence) = address(&text).bind().unwrap_err() else {
            panic!("exit code 2");
        };
        assert!(
            sentence.starts_with(&format!("cannot listen on {text}: ")),
            "{sentence}"
        );
        drop(listener);
        assert!(address(&text).bind().is_ok());
    }

    #[test]
    fn an_address_of_another_machine_or_an_unknown_name_is_a_wrong_setting() {
        for text in ["192.0.2.1:0", "no-such-host.invalid:0"] {
            let failure = address(text).bind().unwrap_err();
            assert!(matches!(failure, Failure::Configuration(_)), "{failure}");
            assert!(failure.sentence().contains(text), "{failure}");
        }
    }
}
