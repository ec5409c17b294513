//! An HTTP client light enough to share two cores with what it measures: one keep-alive connection per client, and only
//! the headers that HTTP requires.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::{Instant, sleep, sleep_until};

use crate::pace::Pace;

/// The address of the service and the access key.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
}

/// A request: method, path, headers and body.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) media_type: &'static str,
    pub(crate) body: Bytes,
}

/// What a run expects of each response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) status: StatusCode,
    /// Whether to retry after a 503, when its `Retry-After` has passed. The latency counts from the first attempt.
    pub(crate) again: bool,
}

/// The outcome of a run's requests.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Latencies of the measured responses, in microseconds.
    pub(crate) latency: Histogram<u64>,
    /// The time over which they arrived.
    pub(crate) time: Duration,
    /// The number of all responses by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// The first response with an unexpected status.
    pub(crate) fault: Option<String>,
}

impl Ask {
    pub(crate) fn get(path: &str) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            media_type: "application/json",
            body: Bytes::new(),
        }
    }

    /// A submission.
    pub(crate) fn report(body: String) -> Self {
        Self {
            method: Method::POST,
            path: "/v1/submissions".to_owned(),
            media_type: "application/json",
            body: body.into(),
        }
    }

    /// A batch of submissions, one per line.
    pub(crate) fn batch(lines: String) -> Self {
        Self {
            method: Method::POST,
            path: "/v1/submissions/batch".to_owned(),
            media_type: "application/x-ndjson",
            body: lines.into(),
        }
    }
}

impl Wanted {
    pub(crate) const OK: Self = Self::only(StatusCode::OK);
    pub(crate) const CREATED: Self = Self::only(StatusCode::CREATED);
    /// Retries after a 503, as a client does that must deliver its report.
    pub(crate) const CREATED_IN_THE_END: Self = Self {
        again: true,
        ..Self::CREATED
    };

    const fn only(status: StatusCode) -> Self {
        Self { status, again: false }
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            latency: Histogram::new(3).expect("three digits"),
            time: Duration::ZERO,
            statuses: BTreeMap::new(),
            fault: None,
        }
    }

    /// A tally of responses that arrived one after the other, with these latencies.
    pub(crate) fn of(took: &[Duration]) -> Self {
        let mut tally = Self::new();
        for latency in took {
            tally.note(Wanted::OK, StatusCode::OK, &[], Some(*latency));
            tally.time += *latency;
        }
        tally
    }

    /// The number of responses with a status.
    pub(crate) fn count(&self, status: StatusCode) -> u64 {
        self.statuses.get(&status.as_u16()).copied().unwrap_or_default()
    }

    /// Measured responses per second.
    pub(crate) fn per_second(&self) -> f64 {
        self.latency.len() as f64 / self.time.as_secs_f64()
    }

    fn note(&mut self, wanted: Wanted, status: StatusCode, body: &[u8], latency: Option<Duration>) {
        *self.statuses.entry(status.as_u16()).or_default() += 1;
        let is_put_off = wanted.again && status == StatusCode::SERVICE_UNAVAILABLE;
        if status != wanted.status && !is_put_off && self.fault.is_none() {
            self.fault = Some(format!("{status}: {}", String::from_utf8_lossy(body)));
        }
        if let Some(latency) = latency {
            let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            self.latency.record(micros).expect("it grows as needed");
        }
    }
}

/// A keep-alive connection.
pub(crate) struct Connection {
    target: Target,
    sender: SendRequest<Full<Bytes>>,
    authorization: HeaderValue,
    host: HeaderValue,
}

/// A response.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Connection {
    pub(crate) async fn open(target: &Target) -> Self {
        let stream = TcpStream::connect(target.address)
            .await
            .expect("the service listens");
        stream.set_nodelay(true).expect("a socket takes options");
        // Copying a small body behind its head is cheaper than a vectored write.
        let handshake = Builder::new().writev(false).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.expect("HTTP can be spoken");
        // An error here also fails the request in flight.
        spawn_local(async move { connection.await.ok() });
        Self {
            target: target.clone(),
            sender,
            authorization: header(&format!("Bearer {}", target.token)),
            host: header(&target.address.to_string()),
        }
    }

    pub(crate) async fn send(&mut self, ask: Ask) -> Answer {
        let request = Request::builder()
            .method(ask.method)
            .uri(ask.path)
            .header(HOST, self.host.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, ask.media_type)
            .body(Full::new(ask.body))
            .expect("a request is well formed");
        // The service closes the connection after some responses, for example to a batch.
        if self.sender.ready().await.is_err() {
            *self = Self::open(&self.target).await;
        }
        let response = self
            .sender
            .send_request(request)
            .await
            .expect("the service answers");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the answer is whole").to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}

fn header(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("it has no control characters")
}

/// Sends requests over several connections at a pace; `turn` numbers them.
///
/// # Panics
/// If a connection breaks, or a response has an unexpected status.
pub(crate) async fn drive(
    target: &Target,
    connections: usize,
    pace: Pace,
    wanted: Wanted,
    ask: impl Fn(u64) -> Ask + 'static,
) -> Tally {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(target).await);
    }
    let (start, ask) = (Instant::now(), Rc::new(ask));
    let turns = Rc::new(RefCell::new(0..));
    let tally = Rc::new(RefCell::new(Tally::new()));
    let mut clients = JoinSet::new();
    for mut connection in open {
        let (ask, turns, tally) = (ask.clone(), turns.clone(), tally.clone());
        clients.spawn_local(async move {
            loop {
                let turn = turns.borrow_mut().next().expect("there is always one more");
                let Some(due) = pace.due(turn, start.elapsed()) else {
                    return;
                };
                // Even an expired timer costs a pass through the runtime.
                if start + due > Instant::now() {
                    sleep_until(start + due).await;
                }
                one(&mut connection, ask(turn), wanted, &tally, |now| {
                    let measured = pace.measures(now - start);
                    measured.then(|| now - (start + due))
                })
                .await;
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("no client fails");
    }
    drop(ask);
    let mut tally = Rc::into_inner(tally).expect("all clients are done").into_inner();
    tally.time = pace.measured_in(start.elapsed());
    if let Some(fault) = &tally.fault {
        panic!(
            "wanted {}, answered {:?}; the first: {fault}",
            wanted.status, tally.statuses
        );
    }
    tally
}

/// Sends one request, and retries after a 503 if the run allows it.
async fn one(
    connection: &mut Connection,
    ask: Ask,
    wanted: Wanted,
    tally: &RefCell<Tally>,
    latency: impl Fn(Instant) -> Option<Duration>,
) {
    loop {
        let answer = connection.send(ask.clone()).await;
        let is_put_off = wanted.again && answer.status == StatusCode::SERVICE_UNAVAILABLE;
        let latency = if is_put_off { None } else { latency(Instant::now()) };
        tally
            .borrow_mut()
            .note(wanted, answer.status, &answer.body, latency);
        if !is_put_off {
            return;
        }
        let after = answer
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let seconds = after.and_then(|value| value.parse().ok());
        sleep(Duration::from_secs(
            seconds.expect("a 503 says when to come again"),
        ))
        .await;
    }
}
