//! Clients that follow the feed of changes, or ask for what is new, while many others report: nothing that was acknowledged
//! is missing, and nothing comes before what it corrects.
//!
//! `FOLLOW_SECONDS=60` reports for longer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;
use tonghop_tests::{TestApp, Way, broadcasts, on_both_ways};

const WRITERS: usize = 24;
/// For how long the writers report, in seconds.
const SECONDS: u64 = 5;
/// The time within which followers must have everything.
const SOON: Duration = Duration::from_secs(30);

on_both_ways!(whoever_follows_and_is_interrupted_misses_no_acknowledged_revision);

/// The revisions of each submission that a follower has received, and the last version of each total.
#[derive(Debug, Default)]
struct Received {
    revisions: BTreeMap<String, i64>,
    totals: BTreeMap<String, i64>,
}

impl Received {
    /// Takes a change, which may come a second time.
    fn take(&mut self, change: &Value) {
        if change["kind"] == "total" {
            let name = change["link"].as_str().unwrap().to_owned();
            self.totals.insert(name, change["version"].as_i64().unwrap());
            return;
        }
        let revision = change["revision"].as_i64().unwrap();
        let last = self
            .revisions
            .entry(change["submission"].as_str().unwrap().to_owned())
            .or_default();
        assert!(revision <= *last + 1, "revision {last} is followed by {change}");
        *last = revision.max(*last);
    }

    /// Whether all of these were received.
    fn contains(&self, acknowledged: &BTreeMap<String, i64>) -> bool {
        let has =
            |(id, revision): (&String, &i64)| self.revisions.get(id).is_some_and(|last| last >= revision);
        acknowledged.iter().all(has)
    }
}

/// Follows the stream. At random points the client goes away without a word, and comes back to any process.
async fn follow_stream(
    app: Arc<TestApp>,
    complete: Arc<AtomicBool>,
    interruptions: Arc<AtomicI64>,
) -> Received {
    let (mut received, mut last_id) = (Received::default(), String::new());
    loop {
        let base = &app.bases[fastrand::usize(..app.bases.len())];
        let headers = [("Last-Event-ID", last_id.as_str())];
        let headers = if last_id.is_empty() {
            &headers[..0]
        } else {
            &headers
        };
        let mut stream = app
            .follow(base, "/v1/changes/stream", &app.admin_key, headers)
            .await;
        for _ in 0..fastrand::u32(1..400) {
            let Some(event) = stream.next(Duration::from_secs(1)).await else {
                if complete.load(Ordering::SeqCst) {
                    return received;
                }
                continue;
            };
            received.take(&event.data);
        }
        last_id = stream.last_id;
        interruptions.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reads pages of any size, each from any process.
async fn read_pages(app: Arc<TestApp>, complete: Arc<AtomicBool>) -> Received {
    let (mut received, mut after) = (Received::default(), None);
    loop {
        let is_last = complete.load(Ordering::SeqCst);
        let limit = fastrand::u32(1..300);
        let after_it = after
            .map(|after: String| format!("&after={after}"))
            .unwrap_or_default();
        let answer = app.get(&format!("/v1/changes?limit={limit}{after_it}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let page = answer.json();
        page["changes"]
            .as_array()
            .unwrap()
            .iter()
            .for_each(|change| received.take(change));
        after = page["next_after"].as_str().map(str::to_owned);
        if page["more"] == false {
            if is_last {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(..200))).await;
        }
    }
}

/// Asks for the reports since the newest time that it has seen, as clients did before there was a feed.
async fn read_lists(app: Arc<TestApp>, complete: Arc<AtomicBool>) -> Received {
    let (mut received, mut since) = (Received::default(), "2021-01-01T00:00:00Z".to_owned());
    loop {
        let is_last = complete.load(Ordering::SeqCst);
        let (mut cursor, mut newest) = (String::new(), since.clone());
        loop {
            let path = format!("/v1/submissions?limit=200&updated_since={since}{cursor}");
            let answer = app.get(&path).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let page = answer.json();
            for submission in page["submissions"].as_array().unwrap() {
                let id = submission["id"].as_str().unwrap().to_owned();
                let revision = submission["revision"].as_i64().unwrap();
                let last = received.revisions.entry(id).or_default();
                assert!(revision >= *last, "revision {last} is followed by {submission}");
                *last = revision;
                newest = submission["received_at"].as_str().unwrap().to_owned();
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        since = newest;
        if is_last {
            return received;
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..50))).await;
    }
}

/// Reports one number after another, and returns the last acknowledged revision of the submission.
async fn report(
    app: Arc<TestApp>,
    unit: String,
    until: Instant,
    numbers: Arc<AtomicI64>,
) -> Option<(String, i64)> {
    let mut last = None;
    while Instant::now() < until {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let Ok(answer) = app
            .try_ask(
                Method::POST,
                "/v1/submissions",
                &[("Content-Type", "application/json")],
                Some(broadcasts(&unit, number).to_string()),
            )
            .await
        else {
            continue;
        };
        if answer.status == 201 {
            let body = answer.json();
            last = Some((body["id"].as_str()?.to_owned(), body["revision"].as_i64()?));
        }
    }
    last
}

mod stories {
    use super::*;

    pub(super) async fn whoever_follows_and_is_interrupted_misses_no_acknowledged_revision(way: Way) {
        let app = Arc::new(TestApp::start(way).await);
        let seconds = std::env::var("FOLLOW_SECONDS").map_or(SECONDS, |seconds| seconds.parse().unwrap());
        let (complete, interruptions) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
        let streams: Vec<_> = (0..3)
            .map(|_| {
                tokio::spawn(follow_stream(
                    app.clone(),
                    complete.clone(),
                    interruptions.clone(),
                ))
            })
            .collect();
        let paging = tokio::spawn(read_pages(app.clone(), complete.clone()));
        let listing = tokio::spawn(read_lists(app.clone(), complete.clone()));
        let numbers = Arc::new(AtomicI64::new(1));
        let until = Instant::now() + Duration::from_secs(seconds);
        let writers = (0..WRITERS).map(|writer| {
            let unit = (866 + writer % 12).to_string();
            tokio::spawn(report(app.clone(), unit, until, numbers.clone()))
        });
        let mut acknowledged: BTreeMap<String, i64> = BTreeMap::new();
        for written in join_all(writers).await {
            let (id, revision) = written.unwrap().expect("each writer reports");
            let last = acknowledged.entry(id).or_default();
            *last = revision.max(*last);
        }
        app.settled_totals_within("VN", SOON).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        complete.store(true, Ordering::SeqCst);
        let mut all = vec![paging.await.unwrap()];
        for stream in streams {
            all.push(stream.await.unwrap());
        }
        let listed = listing.await.unwrap();
        assert!(listed.contains(&acknowledged), "{listed:?} {acknowledged:?}");
        let recorded: i64 = acknowledged.values().sum();
        println!(
            "{way:?}: {recorded} revisions, {} interruptions",
            interruptions.load(Ordering::Relaxed)
        );
        assert_eq!(acknowledged.len(), 12);
        assert!(interruptions.load(Ordering::Relaxed) > 3);
        for received in &all {
            assert!(received.contains(&acknowledged), "{received:?} {acknowledged:?}");
            assert_eq!(received.totals, all[0].totals);
            assert_eq!(received.totals.len(), 2, "the province and the country");
        }
    }
}
