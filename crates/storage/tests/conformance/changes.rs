//! The change feed: every revision and every refreshed total, in an order in which nothing appears late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tonghop_domain::{Revision, Status, SubmissionId, SubmissionKey};
use tonghop_storage::{Changed, FeedChange, Store};

use crate::support::figures::flow;
use crate::support::{PERIOD, TestStore, recorded};

on_both!(
    each_revision_and_each_total_appears_in_the_order_of_time,
    changes_of_one_time_stay_together,
    whoever_follows_misses_nothing_and_sees_no_correction_first,
);

/// Every change after a time, in pages of about this many.
async fn follow(store: &Store, mut after: DateTime<Utc>, limit: usize) -> Vec<FeedChange> {
    let mut all = Vec::new();
    loop {
        let page = store.changes(after, limit).await.unwrap();
        after = page.changes.last().map_or(after, |last| last.at);
        let goes_on = page.more;
        assert!(!goes_on || !page.changes.is_empty(), "a page that leads nowhere");
        all.extend(page.changes);
        if !goes_on {
            return all;
        }
    }
}

fn change(revision: &Revision) -> FeedChange {
    FeedChange {
        at: revision.received_at,
        key: revision.key.clone(),
        of: Changed::Submission {
            id: revision.id,
            revision: revision.revision,
            status: revision.status,
        },
    }
}

async fn each_revision_and_each_total_appears_in_the_order_of_time(store: TestStore) {
    assert_eq!(store.last_change().await.unwrap(), None);
    assert_eq!(follow(&store, DateTime::UNIX_EPOCH, 10).await, []);
    let mut expected = Vec::new();
    for (unit, value) in [("01-A-1", 1), ("02-A-1", 2), ("01-A-1", 3)] {
        expected.push(change(&store.reports(unit, value).await));
    }
    expected.push(change(&store.withdraws("02-A-1").await));
    for limit in [1, 2, 3, 100] {
        assert_eq!(
            follow(&store, DateTime::UNIX_EPOCH, limit).await,
            expected,
            "{limit}"
        );
    }
    let statuses = expected.iter().map(|change| match change.of {
        Changed::Submission { status, revision, .. } => (status, revision),
        Changed::Total { .. } => panic!("a total"),
    });
    let statuses: Vec<_> = statuses.collect();
    let accepted = |revision| (Status::Accepted, revision);
    assert_eq!(
        statuses,
        [accepted(1), accepted(1), accepted(2), (Status::Withdrawn, 2)]
    );
    let recorded = expected.last().unwrap().at;
    assert_eq!(store.last_change().await.unwrap(), Some(recorded));
    assert_eq!(follow(&store, recorded, 10).await, []);
    // The totals follow, level by level; those of the next refresh take the place of the first.
    store.drain().await;
    let total = |unit: &str, version| (store.key_for(PERIOD, unit), Changed::Total { version });
    let refreshed = follow(&store, recorded, 1).await;
    let found: BTreeSet<_> = refreshed.iter().map(|change| change.key.clone()).collect();
    let units = ["VN", "01", "01-A", "02", "02-A"];
    let wanted: BTreeSet<_> = units.iter().map(|unit| store.key_for(PERIOD, unit)).collect();
    assert_eq!(found, wanted);
    assert!(refreshed.is_sorted_by_key(|change| change.at));
    let at = |unit| {
        refreshed
            .iter()
            .position(|change| change.key == store.key_for(PERIOD, unit))
    };
    assert!(at("01-A") < at("01") && at("01") < at("VN"), "{refreshed:?}");
    let last = store.last_change().await.unwrap().unwrap();
    assert_eq!(refreshed.last().unwrap().at, last);
    let again = change(&store.reports("01-A-1", 4).await);
    store.drain().await;
    let new = follow(&store, last, 100).await;
    assert_eq!(new[0], again);
    let new: Vec<_> = new[1..]
        .iter()
        .map(|change| (change.key.clone(), change.of))
        .collect();
    assert_eq!(new, [total("01-A", 2), total("01", 2), total("VN", 2)]);
    let all = follow(&store, DateTime::UNIX_EPOCH, 100).await;
    assert_eq!(all.len(), 5 + 5, "each total once: {all:?}");
}

/// Changes that share a transaction have the same time.
async fn changes_of_one_time_stay_together(store: TestStore) {
    let units = ["01-A-1", "01-A-2", "01-A-3", "01-B-1", "01-X", "02-A"];
    for value in 1..4 {
        let reports = units.map(|unit| store.send(store.write(unit, [flow(value)])));
        join_all(reports).await;
    }
    store.drain().await;
    let whole = follow(&store, DateTime::UNIX_EPOCH, 1_000).await;
    let same_times = whole.windows(2).filter(|pair| pair[0].at == pair[1].at).count();
    assert!(same_times > 0, "nothing shares a time: {whole:?}");
    for limit in 1..8 {
        let mut paged = follow(&store, DateTime::UNIX_EPOCH, limit).await;
        let mut whole = whole.clone();
        // Changes of one time have no order.
        for all in [&mut paged, &mut whole] {
            all.sort_by_key(|change| (change.at, format!("{change:?}")));
        }
        assert_eq!(paged, whole, "{limit}");
    }
    let mut after = DateTime::UNIX_EPOCH;
    loop {
        let page = store.changes(after, 1).await.unwrap();
        let Some(last) = page.changes.last() else { break };
        let of_this_time = whole.iter().filter(|change| change.at == last.at).count();
        let on_the_page = page.changes.iter().filter(|change| change.at == last.at).count();
        assert_eq!(on_the_page, of_this_time);
        after = last.at;
    }
}

/// What somebody who follows has seen.
#[derive(Default)]
struct Seen {
    after: DateTime<Utc>,
    revisions: BTreeMap<SubmissionId, i32>,
    totals: BTreeMap<SubmissionKey, i64>,
}

impl Seen {
    async fn go_on(&mut self, store: &Store, limit: usize) {
        for change in follow(store, self.after, limit).await {
            assert!(change.at >= self.after, "{change:?} is late");
            self.after = change.at;
            match change.of {
                Changed::Submission { id, revision, .. } => {
                    let before = self.revisions.insert(id, revision).unwrap_or_default();
                    assert_eq!(before + 1, revision, "{change:?}");
                }
                Changed::Total { version } => {
                    let before = self.totals.insert(change.key, version);
                    assert!(before.is_none_or(|before| before < version));
                }
            }
        }
    }
}

/// Two processes record and refresh at the same time, so later times can become visible first.
async fn whoever_follows_misses_nothing_and_sees_no_correction_first(store: TestStore) {
    let units = [
        "01-A-1", "01-A-2", "01-A-3", "01-B-1", "01-X", "02-A", "02-A-1", "VN-X",
    ];
    let processes = store.processes().await;
    let store = Arc::new(store);
    let done = Arc::new(AtomicBool::new(false));
    let following = tokio::spawn({
        let (reader, done) = (processes[0].clone(), done.clone());
        async move {
            let mut seen = Seen::default();
            for limit in (1..20).cycle() {
                let is_last = done.load(Ordering::SeqCst);
                seen.go_on(&reader, limit).await;
                if is_last {
                    break;
                }
            }
            seen
        }
    });
    let refreshing = tokio::spawn({
        let (store, done) = (store.clone(), done.clone());
        async move {
            while !done.load(Ordering::SeqCst) {
                store.drain().await;
            }
        }
    });
    let writers = (0..16usize).map(|writer| {
        let (process, unit) = (processes[writer % 2].clone(), units[writer % 8]);
        let writes: Vec<_> = (0..40)
            .map(|turn| store.write(unit, [flow((writer * 100 + turn) as i64)]))
            .collect();
        tokio::spawn(async move {
            for write in writes {
                recorded(process.record(write).await.unwrap());
            }
        })
    });
    for written in join_all(writers.collect::<Vec<_>>()).await {
        written.unwrap();
    }
    // What was recorded just now is visible when the clock has gone on.
    tokio::time::sleep(Duration::from_millis(50)).await;
    done.store(true, Ordering::SeqCst);
    refreshing.await.unwrap();
    let mut seen = following.await.unwrap();
    store.drain().await;
    seen.go_on(&store, 7).await;
    assert_eq!(seen.revisions.len(), 8);
    assert!(
        seen.revisions.values().all(|last| *last == 80),
        "{:?}",
        seen.revisions
    );
    let all = follow(&store, DateTime::UNIX_EPOCH, 1_000).await;
    let totals = all.into_iter().filter_map(|change| match change.of {
        Changed::Total { version } => Some((change.key, version)),
        Changed::Submission { .. } => None,
    });
    assert_eq!(seen.totals, totals.collect());
}

/// A refresh gets its time, and becomes visible only after a later change: a trigger lets it wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_has_not_ended_holds_later_changes_back() {
    let store = TestStore::on_postgres().await;
    store
        .sql(
            "CREATE FUNCTION wait() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$; \
             CREATE TRIGGER wait BEFORE UPDATE ON totals FOR EACH ROW EXECUTE FUNCTION wait()",
        )
        .await;
    let first = store.reports("01-A-1", 1).await;
    let mut other = store.session().await;
    other.run("SELECT pg_advisory_lock(1)").await;
    let (refreshing, key) = (store.handle(), store.total_key("01-A"));
    let late = tokio::spawn(async move { refreshing.refresh(&key).await });
    tokio::time::sleep(Duration::from_millis(400)).await;
    let later = store.reports("02-A-1", 1).await;
    let seen = follow(&store, DateTime::UNIX_EPOCH, 100).await;
    assert_eq!(seen, [change(&first)]);
    other.run("SELECT pg_advisory_unlock(1)").await;
    late.await.unwrap().unwrap();
    let seen = follow(&store, first.received_at, 100).await;
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(seen[0].of, Changed::Total { version: 1 });
    assert_eq!(seen[1], change(&later));
}
