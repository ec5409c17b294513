//! A proxy in front of the broker that can cut and stall connections.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq)]
enum Network {
    Normal,
    /// Connections are closed, and so are new ones at once.
    Cut,
    /// Connections stay open and no byte passes.
    Stalled,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    network: watch::Sender<Network>,
}

impl Proxy {
    pub(crate) async fn start(broker: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (network, observer) = watch::channel(Network::Normal);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if *observer.borrow() != Network::Cut {
                    tokio::spawn(forward(client, broker.clone(), observer.clone()));
                }
            }
        });
        Self { port, network }
    }

    pub(crate) fn cut(&self) {
        self.network.send_replace(Network::Cut);
    }

    pub(crate) fn stall(&self) {
        self.network.send_replace(Network::Stalled);
    }

    pub(crate) fn restore(&self) {
        self.network.send_replace(Network::Normal);
    }
}

async fn forward(client: TcpStream, broker: String, mut network: watch::Receiver<Network>) {
    let broker = TcpStream::connect(broker).await.unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let mut observer = network.clone();
    tokio::select! {
        _ = observer.wait_for(|now| *now == Network::Cut) => {}
        () = copy(from_client, to_broker, network.clone()) => {}
        () = copy(from_broker, to_client, network.clone()) => {}
    }
    // The end of a stalled connection becomes visible only when the stall ends.
    let _ = network.wait_for(|now| *now != Network::Stalled).await;
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut network: watch::Receiver<Network>) {
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let normal = network.wait_for(|now| *now == Network::Normal).await.is_ok();
        if !normal || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
