//! The watermark: no report with an earlier time appears any more.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tonghop_storage::{SubmissionFilter, SubmissionOrder, Write};

use crate::listing::list;
use crate::support::figures::flow;
use crate::support::{PERIOD, TestStore, recorded};

on_both!(whoever_asks_since_the_newest_time_they_saw_misses_nothing,);

/// Two processes record at the same time, so later times can become visible first.
async fn whoever_asks_since_the_newest_time_they_saw_misses_nothing(store: TestStore) {
    let units = [
        "01-A-1", "01-A-2", "01-A-3", "01-B-1", "01-X", "02-A", "02-A-1", "VN-X",
    ];
    let processes = store.processes().await;
    let done = Arc::new(AtomicBool::new(false));
    let start = store.now().await.unwrap();
    let reading = tokio::spawn({
        let (reader, done) = (processes[0].clone(), done.clone());
        async move {
            let (mut since, mut seen) = (start, HashMap::new());
            loop {
                let is_last = done.load(Ordering::SeqCst);
                let filter = SubmissionFilter {
                    order: SubmissionOrder::LastChangedLast,
                    updated_since: Some(since),
                    recorded_before: Some(reader.watermark().await.unwrap()),
                    ..SubmissionFilter::default()
                };
                let found = reader.submissions(filter, 10_000).await.unwrap().revisions;
                since = found.last().map_or(since, |last| last.received_at);
                seen.extend(found.into_iter().map(|one| (one.id, one.revision)));
                if is_last {
                    return seen;
                }
            }
        }
    });
    let writers = (0..16usize).map(|writer| {
        let (process, unit) = (processes[writer % 2].clone(), units[writer % 8]);
        let writes: Vec<Write> = (0..60)
            .map(|turn| {
                let key = store.key_for(&format!("{}-07", 2010 + (writer / 8) * 6 + turn % 6), unit);
                Write {
                    key,
                    ..store.write(unit, [flow(turn as i64)])
                }
            })
            .collect();
        tokio::spawn(async move {
            for write in writes {
                process.record(write).await.unwrap();
            }
        })
    });
    for written in join_all(writers.collect::<Vec<_>>()).await {
        written.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    let seen = reading.await.unwrap();
    let all = list(&store, SubmissionFilter::default()).await;
    assert_eq!(all.len(), 96);
    for one in all {
        assert_eq!(seen.get(&one.id), Some(&one.revision), "{one:?}");
    }
}

/// A transaction that has read the clock holds the watermark back until it ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_has_not_ended_holds_the_watermark_back() {
    let store = TestStore::on_postgres().await;
    store.reports("01-A-1", 1).await;
    let [process, _] = store.processes().await;
    let mut session = store.session().await;
    let unit = store.unit_id("01-A-1").0;
    session
        .run(&format!(
            "BEGIN; SELECT * FROM submissions WHERE unit_id = {unit} FOR UPDATE"
        ))
        .await;
    let waiting = {
        let write = store.write("01-A-1", [flow(2)]);
        tokio::spawn(async move { process.record(write).await })
    };
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let later = store.reports("01-A-2", 1).await;
    let before = store.watermark().await.unwrap();
    assert!(
        before < later.received_at,
        "{before} is not before {}",
        later.received_at
    );
    session.run("COMMIT").await;
    let recorded = recorded(waiting.await.unwrap().unwrap());
    assert!(before <= recorded.received_at);
    assert!(store.watermark().await.unwrap() > recorded.received_at);
}

/// A report gets its time, and becomes visible only after a later one: it waits for a session that inserts the same
/// submission and gives up.
#[tokio::test(flavor = "multi_thread")]
async fn the_watermark_stays_below_a_report_that_commits_late() {
    for _ in 0..5 {
        let (watermark, late, early) = one_commits_late().await;
        // On a machine that is busy, the change is given up and tried again, with a later time.
        if late < early {
            assert!(watermark <= late, "{watermark} {late}");
            return;
        }
    }
    panic!("a report never got its time before one that was committed earlier");
}

/// The watermark while a report waits for another session after it got its time, its time, and that of a report that was
/// recorded meanwhile.
async fn one_commits_late() -> (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>) {
    let store = TestStore::on_postgres().await;
    let key = store.key_for(PERIOD, "01-A-1");
    let mut other = store.session().await;
    other
        .run(&format!(
            "SET session_replication_role = replica; BEGIN; INSERT INTO submissions (submission_id, form, period, unit_id, \
             revision, status, digest, first_received_at, received_at) VALUES (gen_random_uuid(), '{}', '{}', {}, 1, \
             'accepted', '', now(), now())",
            key.form, key.period, key.unit.0
        ))
        .await;
    let (waiting, write) = (store.handle(), store.write("01-A-1", [flow(1)]));
    let late = tokio::spawn(async move { waiting.record(write).await });
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    let early = store.reports("01-A-2", 2).await;
    let watermark = store.watermark().await.unwrap();
    other.run("ROLLBACK").await;
    let late = recorded(late.await.unwrap().unwrap());
    (watermark, late.received_at, early.received_at)
}
