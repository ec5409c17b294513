//! What must be true when the storm is over: it knows what the clients were told, and nothing of how it was done.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;
use tonghop_tests::{FORM, PERIOD, PROVINCE};

use super::clients::{Told, Traffic};
use super::site::Site;

/// A claim on the outbox lapses after 15 s, and the broker gives up a silent consumer after 20 s; what takes longer
/// hangs.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// Waits until nothing is on its way any more: no mark, no announcement, no message.
pub(crate) async fn drain(site: &Site, traffic: &Traffic) {
    let start = Instant::now();
    loop {
        let left = [
            ("marks", count(site, "marks").await),
            ("announcements", count(site, "outbox").await),
            (
                "messages",
                queue(&site.broker.queues().await, "tonghop.aggregator"),
            ),
        ];
        let totals = totals(traffic, 0, "VN").await;
        if left.iter().all(|(_, count)| *count == 0) && totals["freshness"]["pending"] == 0 {
            return;
        }
        assert!(
            start.elapsed() < DRAIN_LIMIT,
            "not drained after {DRAIN_LIMIT:?}: {left:?}, {}",
            totals["freshness"]
        );
        sleep(Duration::from_millis(100)).await;
    }
}

/// Lets the clients fall silent for a moment. As soon as nothing is pending, the province's total must be right: a
/// change that was forgotten on its way shows now, before the next one mends it.
pub(crate) async fn assert_right_in_silence(traffic: &Traffic, api: usize) {
    let silence = traffic.silence.write().await;
    let (start, sums) = (Instant::now(), traffic.ledger().sums());
    loop {
        let totals = totals(traffic, api, PROVINCE).await;
        if totals["freshness"]["pending"] == 0 {
            assert_eq!(served(&totals), sums, "the totals of {PROVINCE} from api {api}");
            return drop(silence);
        }
        assert!(start.elapsed() < DRAIN_LIMIT, "{}", totals["freshness"]);
        sleep(Duration::from_millis(20)).await;
    }
}

/// Fails the test unless everything that was told is so.
pub(crate) async fn judge(site: &Site, traffic: &Traffic) {
    let (told, sums) = {
        let ledger = traffic.ledger();
        (ledger.told.clone(), ledger.sums())
    };
    let mut units: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
    for one in &told {
        units.entry(one.unit).or_default().push(one);
    }
    for (unit, told) in &units {
        assert_history(traffic, unit, told).await;
    }
    for api in 0..traffic.apis.len() {
        for unit in [PROVINCE, "VN"] {
            let totals = totals(traffic, api, unit).await;
            assert_eq!(served(&totals), sums, "the totals of {unit} from api {api}");
            assert_eq!(totals["coverage"]["reported"], units.len(), "{totals}");
            assert_eq!(totals["freshness"]["pending"], 0, "{totals}");
        }
        let path = format!("/v1/verification?form={FORM}&period={PERIOD}&unit=VN");
        let proof = traffic.read(api, &path).await.expect("the proof is given");
        assert_eq!(
            (&proof["skipped"], &proof["differing"]),
            (&json!(0), &json!([])),
            "{proof}"
        );
        assert!(proof["checked"].as_u64() > Some(100), "{proof}");
    }
    assert_eq!(
        count(site, "idempotency_keys").await,
        told.len() as i64,
        "one key a request"
    );
    let queues = site.broker.queues().await;
    assert_eq!(queue(&queues, "tonghop.dead-letters"), 0, "{queues:?}");
}

/// Each revision is one that a client was told of, and each that a client was told of is there, once, in order.
async fn assert_history(traffic: &Traffic, unit: &str, told: &[&Told]) {
    let mut expected = BTreeMap::new();
    let mut last: BTreeMap<usize, i64> = BTreeMap::new();
    for one in told {
        let before = expected.insert(one.revision, one.value);
        assert_eq!(before, None, "revision {} of {unit} was told twice", one.revision);
        assert_eq!(one.submission, told[0].submission, "{unit} has two submissions");
        let earlier = last.insert(one.sender, one.revision);
        assert!(
            earlier < Some(one.revision),
            "{one:?} is no later than {earlier:?}"
        );
    }
    let history = history(traffic, &told[0].submission).await;
    let found: BTreeMap<i64, i64> = history
        .iter()
        .map(|entry| (number(&entry["revision"]), number(&entry["figures"][0]["value"])))
        .collect();
    let lost: Vec<_> = expected
        .iter()
        .filter(|(revision, value)| found.get(revision) != Some(value))
        .collect();
    let extra: Vec<_> = found
        .iter()
        .filter(|(revision, _)| !expected.contains_key(revision))
        .collect();
    assert!(
        lost.is_empty() && extra.is_empty(),
        "{unit}: told and not recorded so: {lost:?}; recorded and told to nobody: {extra:?}"
    );
    assert_eq!(history.len(), found.len(), "{unit}: a revision is there twice");
    let numbers: Vec<i64> = found.into_keys().collect();
    let all: Vec<i64> = (1..=numbers.len() as i64).collect();
    assert_eq!(numbers, all, "{unit}: revisions without gaps");
    let times: Vec<&str> = history
        .iter()
        .filter_map(|entry| entry["received_at"].as_str())
        .collect();
    let instants: Vec<chrono::DateTime<chrono::Utc>> =
        times.iter().map(|time| time.parse().expect("a time")).collect();
    assert!(
        instants.is_sorted_by(|newer, older| newer > older),
        "{unit}: times in the order of revisions"
    );
}

/// All revisions of a submission, the newest first.
async fn history(traffic: &Traffic, submission: &str) -> Vec<Value> {
    let mut revisions = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/submissions/{submission}/revisions?limit=200{cursor}");
        let mut page = traffic.read(0, &path).await.expect("the history is served");
        revisions.append(page["revisions"].as_array_mut().expect("a list"));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return revisions,
        }
    }
}

/// The numbers in totals.
fn served(totals: &Value) -> BTreeMap<&str, i64> {
    let lines = totals["totals"].as_array().into_iter().flatten();
    lines
        .filter_map(|line| Some((line["indicator"].as_str()?, line["value"].as_i64()?)))
        .collect()
}

async fn totals(traffic: &Traffic, api: usize, unit: &str) -> Value {
    let path = format!("/v1/totals?form={FORM}&period={PERIOD}&unit={unit}");
    traffic.read(api, &path).await.unwrap_or_default()
}

/// How many rows a table has, asked of the database itself.
async fn count(site: &Site, table: &str) -> i64 {
    let (client, connection) = tokio_postgres::connect(&site.database.url(), tokio_postgres::NoTls)
        .await
        .expect("the database answers");
    let connection = tokio::spawn(connection);
    let sql = format!("SELECT count(*) FROM {table}");
    let row = client.query_one(&sql, &[]).await;
    let count = row.expect("the rows are counted").get(0);
    connection.abort();
    count
}

fn queue(queues: &BTreeMap<String, u64>, name: &str) -> i64 {
    *queues.get(name).expect("the queue is there") as i64
}

fn number(value: &Value) -> i64 {
    value.as_i64().expect("a number")
}
