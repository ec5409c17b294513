//! What must be true after the last fault, derived only from what was acknowledged to the clients.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;
use tonghop_tests::{FORM, PERIOD, PROVINCE};

use super::clients::{Acknowledgement, Traffic};
use super::site::Site;

/// A claim on the outbox expires after 15 s, and the broker closes a silent consumer after 20 s; a longer wait has
/// hung.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// Waits until no mark, announcement or message is left.
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

/// Pauses the clients. As soon as nothing is pending, the province's total must be right: a lost change shows now,
/// before the next change repairs it.
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

/// Fails the test unless everything that was acknowledged is stored.
pub(crate) async fn assert_everything_acknowledged_is_stored(site: &Site, traffic: &Traffic) {
    let (acknowledged, sums) = {
        let ledger = traffic.ledger();
        (ledger.acknowledged.clone(), ledger.sums())
    };
    let mut units: BTreeMap<&str, Vec<&Acknowledgement>> = BTreeMap::new();
    for one in &acknowledged {
        units.entry(one.unit).or_default().push(one);
    }
    for (unit, acknowledged) in &units {
        assert_history(traffic, unit, acknowledged).await;
    }
    for api in 0..traffic.apis.len() {
        for unit in [PROVINCE, "VN"] {
            let totals = totals(traffic, api, unit).await;
            assert_eq!(served(&totals), sums, "the totals of {unit} from api {api}");
            assert_eq!(totals["completeness"]["reported"], units.len(), "{totals}");
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
        acknowledged.len() as i64,
        "one key a request"
    );
    let queues = site.broker.queues().await;
    assert_eq!(queue(&queues, "tonghop.dead-letters"), 0, "{queues:?}");
}

/// Every stored revision was acknowledged or may have been, and every acknowledged one is stored once, in order.
async fn assert_history(traffic: &Traffic, unit: &str, acknowledged: &[&Acknowledgement]) {
    let mut expected = BTreeMap::new();
    let mut last: BTreeMap<usize, i64> = BTreeMap::new();
    for one in acknowledged {
        let before = expected.insert(one.revision, one.value);
        assert_eq!(
            before, None,
            "revision {} of {unit} was acknowledged twice",
            one.revision
        );
        assert_eq!(
            one.submission, acknowledged[0].submission,
            "{unit} has two submissions"
        );
        let earlier = last.insert(one.sender, one.revision);
        assert!(
            earlier < Some(one.revision),
            "{one:?} is no later than {earlier:?}"
        );
    }
    let history = history(traffic, &acknowledged[0].submission).await;
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
        "{unit}: acknowledged and not stored: {lost:?}; stored and not acknowledged: {extra:?}"
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

/// All revisions of a submission, newest first.
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

/// The values of a total.
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

/// The number of rows of a table, read from the database itself.
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
