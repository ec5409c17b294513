//! The order of locks and reads on PostgreSQL, whose transactions run concurrently. A gate in the database blocks one
//! of them at the worst moment.

use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::task::JoinHandle;
use tonghop_storage::{Refreshed, Store, StoreError};

use crate::support::catalogue::Parts;
use crate::support::figures::flow;
use crate::support::session::Session;
use crate::support::{PERIOD, TestStore, recorded};

/// Blocks the first statement that reaches it until it is opened.
struct Gate {
    keeper: Session,
}

impl Gate {
    /// Before the refresh has locked its total.
    async fn before_the_lock(store: &TestStore) -> Self {
        Self::at(store, "BEFORE INSERT ON totals").await
    }

    /// After a refresh has read its parts, and before it deletes marks.
    async fn before_the_total_is_written(store: &TestStore) -> Self {
        Self::at(store, "BEFORE UPDATE ON totals").await
    }

    /// After a change has been decided.
    async fn before_a_revision_is_written(store: &TestStore) -> Self {
        Self::at(store, "BEFORE INSERT ON revisions").await
    }

    async fn at(store: &TestStore, place: &str) -> Self {
        let mut keeper = store.session().await;
        keeper
            .run(&format!(
                "CREATE SEQUENCE visits; \
                 CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                     IF nextval('visits') = 1 THEN PERFORM pg_advisory_xact_lock(1); END IF; RETURN NEW; \
                 END $$; \
                 CREATE TRIGGER gate {place} FOR EACH ROW EXECUTE FUNCTION gate(); \
                 SELECT pg_advisory_lock(1)"
            ))
            .await;
        Self { keeper }
    }

    async fn wait_until_blocked(&mut self) {
        wait_for(&mut self.keeper, 1, "advisory").await;
    }

    async fn open(mut self) {
        self.keeper.run("SELECT pg_advisory_unlock(1)").await;
    }
}

/// Waits until `count` sessions wait for a lock; `%` matches every kind.
async fn wait_for(keeper: &mut Session, count: i64, lock: &str) {
    let waiting = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event_type = 'Lock' AND wait_event LIKE '{lock}'"
    );
    let start = Instant::now();
    while keeper.number(&waiting).await < count {
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "no session waits for the lock"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

in_both_languages!(
    a_refresh_of_a_locked_total_ends_in_contention,
    a_locked_total_does_not_block_its_group,
    a_refresh_that_ends_a_deadlock_is_contention,
    a_hanging_session_delays_others_only_for_seconds,
    a_catalogue_is_adopted_after_changes_in_progress,
    changes_of_a_batch_do_not_wait_for_a_locked_submission,
    a_locked_submission_does_not_block_others,
);

fn begin_refresh(store: &TestStore, unit: &str) -> JoinHandle<Result<Refreshed, StoreError>> {
    let (process, key) = (store.handle(), store.total_key(unit));
    tokio::spawn(async move { process.refresh(&key).await })
}

async fn is_right(store: &TestStore, value: i64) {
    store.drain().await;
    for unit in ["01-A", "01", "VN"] {
        assert_eq!(store.value(unit).await, Some(value), "{unit}");
    }
    store.assert_verified(PERIOD).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_recorded_before_the_lock_is_in_the_total() {
    let store = TestStore::on_postgres().await;
    store.reports("01-A-1", 1).await;
    let mut gate = Gate::before_the_lock(&store).await;
    let slow = begin_refresh(&store, "01-A");
    gate.wait_until_blocked().await;
    store.reports("01-A-2", 10).await;
    gate.open().await;
    slow.await.unwrap().unwrap();
    assert_eq!(store.value("01-A").await, Some(11));
    is_right(&store, 11).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_locks_late_does_not_restore_old_figures() {
    let store = TestStore::on_postgres().await;
    store.reports("01-A-1", 1).await;
    let mut gate = Gate::before_the_lock(&store).await;
    let slow = begin_refresh(&store, "01-A");
    gate.wait_until_blocked().await;
    store.reports("01-A-2", 10).await;
    assert!(matches!(store.refreshes("01-A").await, Refreshed::Written { .. }));
    gate.open().await;
    assert_eq!(
        slow.await.unwrap().unwrap(),
        Refreshed::Clean,
        "the other refresh did it"
    );
    is_right(&store, 11).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_made_during_a_refresh_survives_it() {
    let store = TestStore::on_postgres().await;
    store.reports("01-A-1", 1).await;
    let mut gate = Gate::before_the_total_is_written(&store).await;
    let slow = begin_refresh(&store, "01-A");
    gate.wait_until_blocked().await;
    let later = store.reports("01-A-2", 10).await;
    gate.open().await;
    slow.await.unwrap().unwrap();
    let read = store.total_of("01-A").await;
    assert_eq!((read.total.rows[0].value, read.freshness.pending), (Some(1), 1));
    assert_eq!(read.freshness.as_of, later.received_at);
    is_right(&store, 11).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_refresh_waits_for_the_first_and_sees_its_result() {
    let store = TestStore::on_postgres().await;
    store.reports("01-A-1", 1).await;
    let mut gate = Gate::before_the_total_is_written(&store).await;
    let first = begin_refresh(&store, "01-A");
    gate.wait_until_blocked().await;
    store.reports("01-A-2", 10).await;
    let second = begin_refresh(&store, "01-A");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!second.is_finished());
    gate.open().await;
    for refresh in [first, second] {
        assert!(matches!(
            refresh.await.unwrap().unwrap(),
            Refreshed::Written { .. }
        ));
    }
    assert_eq!(store.value("01-A").await, Some(11));
    assert_eq!(store.total_of("01-A").await.version, 2);
    is_right(&store, 11).await;
}

/// A refresh that commits while a reader is between the total and its marks, simulated by hand.
#[tokio::test(flavor = "multi_thread")]
async fn a_total_and_its_marks_are_read_in_one_snapshot() {
    let store = TestStore::on_postgres().await;
    store.reports("01-A-1", 1).await;
    store.drain().await;
    store.reports("01-A-1", 2).await;
    let mut refresh = store.session().await;
    refresh
        .run("BEGIN; LOCK TABLE marks IN ACCESS EXCLUSIVE MODE")
        .await;
    let (process, scope) = (store.handle(), store.scope(PERIOD));
    let reader = tokio::spawn(async move { process.total(&scope, &"01-A".parse().unwrap()).await });
    wait_for(&mut refresh, 1, "relation").await;
    refresh
        .run("UPDATE totals SET body = replace(body, '\"v\":1', '\"v\":2'); DELETE FROM marks; COMMIT")
        .await;
    let read = reader.await.unwrap().unwrap();
    assert_eq!((read.total.rows[0].value, read.freshness.pending), (Some(1), 1));
    assert_eq!(store.value("01-A").await, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_has_the_time_after_its_lock_was_taken() {
    let store = TestStore::on_postgres().await;
    store.reports("01-A-1", 1).await;
    let mut other = store.session().await;
    other.run("BEGIN; SELECT * FROM submissions FOR UPDATE").await;
    let (process, write) = (store.handle(), store.write("01-A-1", [flow(2)]));
    let correction = tokio::spawn(async move { process.record(write).await.unwrap() });
    wait_for(&mut other, 1, "transactionid").await;
    let turn = store.now().await.unwrap();
    other.run("COMMIT").await;
    assert!(recorded(correction.await.unwrap()).received_at >= turn);
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_wait_for_no_other_total_and_reports_for_none() {
    let store = TestStore::on_postgres().await;
    store.reports("01-A-1", 1).await;
    store.drain().await;
    let mut other = store.session().await;
    let district = store.unit_id("01-A").0;
    other
        .run(&format!(
            "BEGIN; SELECT * FROM totals WHERE unit_id <> {district} FOR UPDATE"
        ))
        .await;
    store.reports("01-A-1", 2).await;
    store.refreshes("01-A").await;
    other.run("COMMIT; BEGIN; SELECT * FROM totals FOR UPDATE").await;
    store.reports("01-A-1", 3).await;
    assert_eq!(store.value("01-A").await, Some(2), "readers do not wait either");
    other.run("COMMIT").await;
    is_right(&store, 3).await;
}

async fn a_refresh_of_a_locked_total_ends_in_contention(store: TestStore) {
    store.reports("01-A-1", 1).await;
    store.drain().await;
    let mut other = store.session().await;
    other.run("BEGIN; SELECT * FROM totals FOR UPDATE").await;
    store.reports("01-A-1", 2).await;
    let start = Instant::now();
    let given_up = store.refresh(&store.total_key("01-A")).await;
    assert!(matches!(given_up, Err(StoreError::Contention(_))), "{given_up:?}");
    assert!(start.elapsed() < Duration::from_secs(4));
    other.run("COMMIT").await;
    is_right(&store, 2).await;
}

async fn a_refresh_that_ends_a_deadlock_is_contention(store: TestStore) {
    store.reports("01-A-1", 1).await;
    store.drain().await;
    store.reports("01-A-1", 2).await;
    let mut other = store.session().await;
    // A session looks for deadlocks after waiting this long, so the refresh is the first to look.
    other
        .run("SET deadlock_timeout = '10s'; BEGIN; SELECT * FROM totals FOR UPDATE")
        .await;
    let refresh = begin_refresh(&store, "01-A");
    wait_for(&mut store.session().await, 1, "transactionid").await;
    other.run("SELECT * FROM catalogue FOR UPDATE; COMMIT").await;
    let given_up = refresh.await.unwrap();
    assert!(matches!(given_up, Err(StoreError::Contention(_))), "{given_up:?}");
    is_right(&store, 2).await;
}

async fn a_locked_total_does_not_block_its_group(store: TestStore) {
    store.reports("01-A-1", 1).await;
    store.reports("01-B-1", 10).await;
    store.drain().await;
    let district = store.total_key("01-A").unit.0;
    let mut other = store.session().await;
    other
        .run(&format!(
            "BEGIN; SELECT * FROM totals WHERE unit_id = {district} FOR UPDATE"
        ))
        .await;
    store.reports("01-A-1", 2).await;
    store.reports("01-B-1", 20).await;
    let mut keys = ["01-A", "01-B"].map(|unit| store.total_key(unit));
    keys.sort();
    let done = store.refresh_all(&keys).await;
    for (key, refreshed) in keys.iter().zip(done) {
        match key.unit.0 == district {
            true => assert!(
                matches!(refreshed, Err(StoreError::Contention(_))),
                "{refreshed:?}"
            ),
            false => assert!(
                matches!(refreshed, Ok(Refreshed::Written { .. })),
                "{refreshed:?}"
            ),
        }
    }
    assert_eq!(store.value("01-B").await, Some(20));
    other.run("COMMIT").await;
    store.drain().await;
    assert_eq!(store.value("VN").await, Some(22));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_marks_its_parent_once_with_the_earliest_time() {
    let store = TestStore::on_postgres().await;
    let first = store.reports("01-A-1", 1).await.received_at;
    store.reports("01-B-1", 10).await;
    let mut keys = ["01-A", "01-B"].map(|unit| store.total_key(unit));
    keys.sort();
    let parent = Some(store.total_key("01"));
    let written = Refreshed::Written { parent };
    for refreshed in store.refresh_all(&keys).await {
        assert_eq!(refreshed.unwrap(), written);
    }
    assert_eq!(store.rows("marks").await, 1);
    let read = store.total_of("01").await;
    assert_eq!(read.freshness.as_of, first);
    store.drain().await;
    assert_eq!(store.value("VN").await, Some(11));
    store.assert_verified(PERIOD).await;
}

/// The server ends a session of the service that stops in the middle of a transaction after two seconds.
async fn a_hanging_session_delays_others_only_for_seconds(store: TestStore) {
    store.reports("01-A-1", 1).await;
    let mut hanging = store.session().await;
    hanging
        .run("SET idle_in_transaction_session_timeout = 2000; BEGIN; SELECT * FROM submissions FOR UPDATE")
        .await;
    let start = Instant::now();
    let corrected = recorded(store.send(store.write("01-A-1", [flow(2)])).await);
    assert_eq!(corrected.revision, 2);
    assert!(start.elapsed() < Duration::from_secs(5));
    is_right(&store, 2).await;
}

async fn a_catalogue_is_adopted_after_changes_in_progress(store: TestStore) {
    let mut gate = Gate::before_a_revision_is_written(&store).await;
    let (process, write) = (store.handle(), store.write("01-A-3", [flow(1)]));
    let report = tokio::spawn(async move { process.record(write).await.unwrap() });
    gate.wait_until_blocked().await;
    let url = store.url.clone();
    let without = Parts::default().without("01-A-3").catalogue("without");
    let adoption = tokio::spawn(async move { Store::migrate(&url, &without).await });
    wait_for(&mut gate.keeper, 2, "%").await;
    gate.open().await;
    recorded(report.await.unwrap());
    let refused = adoption.await.unwrap();
    assert!(
        matches!(refused, Err(StoreError::CatalogueInUse(_))),
        "{refused:?}"
    );
    is_right(&store, 1).await;
}

/// Another session that locks the submission of one unit.
async fn lock_submission(store: &TestStore, unit: &str) -> Session {
    let held = store.unit_id(unit).0;
    let mut other = store.session().await;
    other
        .run(&format!(
            "BEGIN; SELECT * FROM submissions WHERE unit_id = {held} FOR UPDATE"
        ))
        .await;
    other
}

async fn changes_of_a_batch_do_not_wait_for_a_locked_submission(store: TestStore) {
    for unit in ["01-A-1", "01-A-2", "02-A"] {
        store.reports(unit, 0).await;
    }
    let _other = lock_submission(&store, "01-A-1").await;
    // Concurrently, with the locked one in the middle, so that its batch contains another change.
    let mut sent: FuturesUnordered<_> = ["01-A-2", "01-A-1", "02-A"]
        .into_iter()
        .map(async |unit| (unit, store.record(store.write(unit, [flow(1)])).await.is_ok()))
        .collect();
    let mut order = Vec::new();
    while let Some(answer) = sent.next().await {
        order.push(answer);
    }
    order[..2].sort_unstable();
    assert_eq!(order, [("01-A-2", true), ("02-A", true), ("01-A-1", false)]);
}

/// Reports for the locked submission are refused in time, the others are recorded.
async fn a_locked_submission_does_not_block_others(store: TestStore) {
    let units = ["01-A-1", "01-A-2", "02-A"];
    for unit in units {
        store.reports(unit, 0).await;
    }
    let mut other = lock_submission(&store, "01-A-1").await;
    let send = |at: i64| {
        let (process, write) = (
            store.handle(),
            store.write(units[at as usize % 3], [flow(at + 1)]),
        );
        tokio::spawn(async move {
            let start = Instant::now();
            (at, process.record(write).await, start.elapsed())
        })
    };
    for sent in (0..150).map(send).collect::<Vec<_>>() {
        let (at, outcome, took) = sent.await.unwrap();
        assert!(took < Duration::from_secs(10), "{took:?}");
        if at % 3 == 0 {
            assert!(
                matches!(outcome, Err(StoreError::Contention(_) | StoreError::Overloaded)),
                "{outcome:?}"
            );
        } else {
            recorded(outcome.unwrap());
        }
    }
    assert_eq!(store.rows("revisions").await, 103);
    other.run("ROLLBACK").await;
    // Changes of a contended submission are refused for two seconds.
    let freed = Instant::now();
    while store.record(store.write("01-A-1", [flow(7)])).await.is_err() {
        assert!(
            freed.elapsed() < Duration::from_secs(4),
            "the submission is still refused"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
