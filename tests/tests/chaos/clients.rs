//! District offices that report, correct, and send every request again with its key until it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::time::sleep;
use tonghop_tests::submission;

/// How many clients there are.
pub(crate) const CLIENTS: usize = 16;
/// Eight of them have a unit of their own, the others share one with another.
const UNITS: [&str; 12] = [
    "866", "867", "868", "869", "870", "871", "872", "873", "874", "875", "876", "877",
];
/// What they report.
pub(crate) const INDICATOR: &str = "TT.PT";
/// What takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a client was told: this value is this revision.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) sender: String,
    pub(crate) unit: String,
    pub(crate) indicator: &'static str,
    pub(crate) value: i64,
    pub(crate) submission: String,
    pub(crate) revision: i64,
}

/// What all clients have in common.
pub(crate) struct Traffic {
    pub(crate) apis: Vec<String>,
    seed: u64,
    ends: AtomicBool,
    /// Whether each request is sent to both api processes at once.
    pub(crate) twice: AtomicBool,
    pub(crate) retries: AtomicU64,
    http: reqwest::Client,
}

impl Traffic {
    pub(crate) fn new(apis: Vec<String>, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            apis,
            seed,
            ends: AtomicBool::new(false),
            twice: AtomicBool::new(false),
            retries: AtomicU64::new(0),
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
        })
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
        let asking = self.http.get(format!("{}{path}", self.apis[api]));
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
    pub(crate) key: String,
    pub(crate) unit: String,
    pub(crate) indicator: &'static str,
    pub(crate) value: i64,
}

impl Request {
    fn body(&self) -> String {
        let figures = json!([{ "indicator": self.indicator, "value": self.value }]);
        submission(&self.unit, figures).to_string()
    }

    pub(crate) fn told(self, sender: &str, (submission, revision): (String, i64)) -> Told {
        Told {
            sender: sender.to_owned(),
            unit: self.unit,
            indicator: self.indicator,
            value: self.value,
            submission,
            revision,
        }
    }
}

/// Reports and corrects one unit's figure until the end; answers everything it was told, in order.
pub(crate) async fn client(traffic: Arc<Traffic>, number: usize) -> Vec<Told> {
    let mut random = Rng::with_seed(traffic.seed.wrapping_add(number as u64));
    let mut told = Vec::new();
    while !traffic.ends.load(Ordering::Relaxed) {
        let turn = told.len();
        let request = Request {
            key: format!("client-{number}-report-{turn}"),
            unit: UNITS[number % UNITS.len()].to_owned(),
            indicator: INDICATOR,
            value: (turn * CLIENTS + number) as i64,
        };
        let answer = insist(&traffic, &request, &mut random).await;
        told.push(request.told(&format!("client {number}"), answer));
        sleep(Duration::from_millis(random.u64(10..60))).await;
    }
    told
}

/// Sends a request to one api process or another until it is answered.
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
            "never answered in {PATIENCE:?}: {request:?}"
        );
        traffic.retries.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(random.u64(20..200))).await;
    }
}
