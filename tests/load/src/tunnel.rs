//! Encrypts the connections of clients that speak plain HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tonghop_tls::Trust;

/// Encrypts connections on a separate thread, until it is dropped.
pub(crate) struct Tunnel {
    /// Where clients connect to.
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Tunnel {
    /// Passes connections on to a service, from an address of this machine.
    pub(crate) async fn open(from: Ipv4Addr, to: SocketAddr, trust: &Trust) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let listener = listener.into_std().expect("it is not in use");
        let connector = TlsConnector::from(Arc::new(trust.client_config()));
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async {
                let listener = TcpListener::from_std(listener).expect("it does not block");
                let passing = async {
                    while let Ok((client, _)) = listener.accept().await {
                        // Whatever ends a connection ends it for the client.
                        let connector = connector.clone();
                        tokio::spawn(async move { pass(client, from.into(), to, connector).await.ok() });
                    }
                };
                tokio::select! { () = passing => {}, _ = stopped => {} }
            });
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the thread ends");
        }
    }
}

async fn pass(
    mut client: TcpStream,
    from: IpAddr,
    to: SocketAddr,
    connector: TlsConnector,
) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect(to).await?;
    let mut service = connector.connect(to.ip().into(), stream).await?;
    copy_bidirectional(&mut client, &mut service).await?;
    Ok(())
}
