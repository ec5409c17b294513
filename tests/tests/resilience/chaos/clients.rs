//! District offices that report, correct, and retry every request with its key until it is answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::time::sleep;
use tonghop_tests::submission;

/// The number of clients.
pub(crate) const CLIENTS: usize = 16;
/// Eight clients have their own unit, the others share one with another client.
const UNITS: [&str; 12] = [
    "866", "867", "868", "869", "870", "871", "872", "873", "874", "875", "876", "877",
];
/// The indicators that they report.
pub(crate) const INDICATOR: &str = "TT.PT";
/// A wait that takes longer has hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// An acknowledgement: this value is this revision.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledgement {
    pub(crate) sender: usize,
    pub(crate) unit: &'static str,
    pub(crate) indicator: &'static str,
    pub(crate) value: i64,
    pub(crate) submission: String,
    pub(crate) revision: i64,
}

/// All acknowledgements to all clients.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) acknowledged: Vec<Acknowledgement>,
    /// The last revision of each unit.
    heads: BTreeMap<&'static str, Acknowledgement>,
}

impl Ledger {
    fn add(&mut self, acknowledged: Acknowledgement) {
        let head = self
            .heads
            .entry(acknowledged.unit)
            .or_insert_with(|| acknowledged.clone());
        if head.revision < acknowledged.revision {
            *head = acknowledged.clone();
        }
        self.acknowledged.push(acknowledged);
    }

    /// What the totals must be: the sum, by indicator, of each unit's last acknowledged revision.
    pub(crate) fn sums(&self) -> BTreeMap<&'static str, i64> {
        let mut sums = BTreeMap::new();
        for head in self.heads.values() {
            *sums.entry(head.indicator).or_default() += head.value;
        }
        sums
    }
}

/// What all clients have in common.
pub(crate) struct Traffic {
    pub(crate) apis: Vec<String>,
    seed: u64,
    ends: AtomicBool,
    /// Whether each request is sent to both api processes at once.
    pub(crate) twice: AtomicBool,
    pub(crate) retries: AtomicU64,
    /// Read by whoever waits for an answer: who writes has silence.
    pub(crate) silence: RwLock<()>,
    ledger: Mutex<Ledger>,
    http: reqwest::Client,
    access_key: String,
}

impl Traffic {
    pub(crate) fn new(apis: Vec<String>, access_key: String, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            apis,
            seed,
            ends: AtomicBool::new(false),
            twice: AtomicBool::new(false),
            retries: AtomicU64::new(0),
            silence: RwLock::new(()),
            ledger: Mutex::default(),
            http: tonghop_tests::http_client().build().expect("a client"),
            access_key,
        })
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clients finish what they have begun.
    pub(crate) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// Sends one report once; none when it must be sent again. Each report is another number, so that any other answer
    /// than 201 is wrong: 200 would mean that a request with this key was recorded and forgotten.
    pub(crate) async fn send(
        &self,
        api: usize,
        request: &Request,
        patience: Duration,
    ) -> Option<(String, i64)> {
        let sending = self
            .http
            .post(format!("{}/v1/submissions", self.apis[api]))
            .bearer_auth(&self.access_key)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", &request.key)
            .body(request.body())
            .timeout(patience)
            .send();
        let answer = sending.await.ok()?;
        let status = answer.status().as_u16();
        let text = answer.text().await.ok()?;
        if status == 503 {
            return None;
        }
        assert_eq!(status, 201, "{request:?}: {text}");
        let body: Value = serde_json::from_str(&text).expect("the answer is JSON");
        let id = body["id"].as_str().expect("an id").to_owned();
        Some((id, body["revision"].as_i64().expect("a revision")))
    }

    /// Reads; none when there is no answer or no success.
    pub(crate) async fn read(&self, api: usize, path: &str) -> Option<Value> {
        let asking = self
            .http
            .get(format!("{}{path}", self.apis[api]))
            .bearer_auth(&self.access_key);
        let answer = asking.timeout(Duration::from_secs(20)).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }
}

/// A report with its key.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) sender: usize,
    pub(crate) key: String,
    pub(crate) unit: &'static str,
    pub(crate) indicator: &'static str,
    pub(crate) value: i64,
}

impl Request {
    fn body(&self) -> String {
        let figures = json!([{ "indicator": self.indicator, "value": self.value }]);
        submission(self.unit, figures).to_string()
    }

    /// Notes what was answered.
    pub(crate) fn answered(self, traffic: &Traffic, (submission, revision): (String, i64)) {
        traffic.ledger().add(Acknowledgement {
            sender: self.sender,
            unit: self.unit,
            indicator: self.indicator,
            value: self.value,
            submission,
            revision,
        });
    }
}

/// Reports and corrects one unit's figure until the end.
pub(crate) async fn client(traffic: Arc<Traffic>, number: usize) {
    let mut random = Rng::with_seed(traffic.seed.wrapping_add(number as u64));
    for turn in 0.. {
        let busy = traffic.silence.read().await;
        if traffic.ends.load(Ordering::Relaxed) {
            return;
        }
        let request = Request {
            sender: number,
            key: format!("client-{number}-report-{turn}"),
            unit: UNITS[number % UNITS.len()],
            indicator: INDICATOR,
            value: (turn * CLIENTS + number) as i64,
        };
        let answer = insist(&traffic, &request, &mut random).await;
        request.answered(&traffic, answer);
        drop(busy);
        sleep(Duration::from_millis(random.u64(10..60))).await;
    }
}

/// Sends a request to alternating api processes until it is answered.
async fn insist(traffic: &Traffic, request: &Request, random: &mut Rng) -> (String, i64) {
    let start = Instant::now();
    loop {
        let (api, patience) = (random.usize(..2), Duration::from_millis(random.u64(1000..4000)));
        let answer = if traffic.twice.load(Ordering::Relaxed) {
            let (one, other) = tokio::join!(
                traffic.send(api, request, patience),
                traffic.send(1 - api, request, patience)
            );
            if let (Some(one), Some(other)) = (&one, &other) {
                assert_eq!(one, other, "a request sent twice at once: {request:?}");
            }
            one.or(other)
        } else {
            traffic.send(api, request, patience).await
        };
        if let Some(answer) = answer {
            return answer;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "not answered in {PATIENCE:?}: {request:?}"
        );
        traffic.retries.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(random.u64(20..200))).await;
    }
}
