//! A stretch of network between us and the broker that can be cut and stalled.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq)]
enum Weather {
    Fair,
    /// Connections are broken and new ones are dropped at once.
    Cut,
    /// Everything stays open and nothing passes.
    Stalled,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    weather: watch::Sender<Weather>,
}

impl Proxy {
    pub(crate) async fn start(broker: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (weather, forecast) = watch::channel(Weather::Fair);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if *forecast.borrow() != Weather::Cut {
                    tokio::spawn(carry(client, broker.clone(), forecast.clone()));
                }
            }
        });
        Self { port, weather }
    }

    pub(crate) fn cut(&self) {
        self.weather.send_replace(Weather::Cut);
    }

    pub(crate) fn stall(&self) {
        self.weather.send_replace(Weather::Stalled);
    }

    pub(crate) fn restore(&self) {
        self.weather.send_replace(Weather::Fair);
    }
}

async fn carry(client: TcpStream, broker: String, mut weather: watch::Receiver<Weather>) {
    let broker = TcpStream::connect(broker).await.unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let mut forecast = weather.clone();
    tokio::select! {
        _ = forecast.wait_for(|now| *now == Weather::Cut) => {}
        () = copy(from_client, to_broker, weather.clone()) => {}
        () = copy(from_broker, to_client, weather.clone()) => {}
    }
    // What happened to a stalled connection does not come to light before the stall ends.
    let _ = weather.wait_for(|now| *now != Weather::Stalled).await;
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut weather: watch::Receiver<Weather>) {
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let fair = weather.wait_for(|now| *now == Weather::Fair).await.is_ok();
        if !fair || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
