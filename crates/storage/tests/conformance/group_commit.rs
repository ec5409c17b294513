//! Concurrent changes: they share transactions, and each is decided on its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use tonghop_domain::{Change, Precondition, SubmissionKey, UnitId};
use tonghop_storage::{Outcome, Store, StoreError, SubmissionFilter, Write};

use crate::support::figures::flow;
use crate::support::{PERIOD, TestStore, recorded};

on_both!(
    concurrent_changes_are_all_recorded_once_and_in_order,
    one_of_several_concurrent_corrections_succeeds,
    one_of_several_concurrent_first_reports_succeeds,
    a_conflict_does_not_fail_its_batch,
    an_impossible_change_does_not_fail_its_batch,
    a_change_that_the_database_rejects_does_not_fail_its_batch,
    excess_changes_are_refused_at_once_and_the_others_recorded,
);

const UNITS: [&str; 4] = ["01-A-1", "01-A-2", "02-A", "01-X"];

/// Sends all changes at the same time, through all processes.
async fn at_once(store: &TestStore, writes: Vec<Write>) -> Vec<Result<Outcome, StoreError>> {
    let processes = store.processes().await;
    let send = |(at, write): (usize, Write)| {
        let process: Store = processes[at % 2].clone();
        tokio::spawn(async move { process.record(write).await })
    };
    let sent: Vec<_> = writes.into_iter().enumerate().map(send).collect();
    join_all(sent).await.into_iter().map(Result::unwrap).collect()
}

async fn concurrent_changes_are_all_recorded_once_and_in_order(store: TestStore) {
    let writes: Vec<Write> = (0..400)
        .map(|at| store.write(UNITS[at % 4], [flow(at as i64)]))
        .collect();
    let mut by_unit = BTreeMap::<UnitId, Vec<_>>::new();
    for outcome in at_once(&store, writes).await {
        let revision = recorded(outcome.unwrap());
        by_unit.entry(revision.key.unit).or_default().push(revision);
    }
    assert_eq!(by_unit.len(), 4);
    for mut answered in by_unit.into_values() {
        answered.sort_by_key(|revision| -revision.revision);
        let numbers: Vec<i32> = answered.iter().map(|revision| revision.revision).collect();
        assert_eq!(numbers, (1..=100).rev().collect::<Vec<i32>>());
        let stored = store
            .revisions(answered[0].id, None, 1000)
            .await
            .unwrap()
            .revisions;
        assert_eq!(stored, answered, "each caller got what is stored");
        assert!(
            stored
                .windows(2)
                .all(|pair| pair[0].received_at > pair[1].received_at)
        );
    }
}

async fn one_of_several_concurrent_corrections_succeeds(store: TestStore) {
    let mut current = store.reports("01-A-1", 0).await.revision;
    for round in 1..=10_i64 {
        let correction = |at| Write {
            condition: Precondition::Current(current),
            ..store.write("01-A-1", [flow(round * 100 + at)])
        };
        let outcomes = at_once(&store, (0..40).map(correction).collect()).await;
        let (done, refused): (Vec<_>, Vec<_>) = outcomes
            .into_iter()
            .map(Result::unwrap)
            .partition(|outcome| matches!(outcome, Outcome::Recorded { .. }));
        current += 1;
        assert_eq!(done.len(), 1);
        assert!(refused.iter().all(|one| *one == Outcome::Conflict { current }));
    }
}

async fn one_of_several_concurrent_first_reports_succeeds(store: TestStore) {
    for unit in UNITS {
        let first = |at| Write {
            condition: Precondition::Absent,
            ..store.write(unit, [flow(at)])
        };
        let outcomes = at_once(&store, (0..40).map(first).collect()).await;
        let done = outcomes
            .iter()
            .filter(|one| matches!(one, Ok(Outcome::Recorded { .. })))
            .count();
        let refused = outcomes
            .iter()
            .filter(|one| matches!(one, Ok(Outcome::Conflict { current: 1 })))
            .count();
        assert_eq!((done, refused), (1, 39), "{outcomes:?}");
    }
}

async fn a_conflict_does_not_fail_its_batch(store: TestStore) {
    let write = |at: i64| {
        let write = store.write(UNITS[at as usize % 4], [flow(at)]);
        let condition = if at % 5 == 0 {
            Precondition::Current(1000)
        } else {
            Precondition::None
        };
        Write { condition, ..write }
    };
    let outcomes = at_once(&store, (0..200).map(write).collect()).await;
    for (at, outcome) in outcomes.iter().enumerate() {
        match outcome.as_ref().unwrap() {
            Outcome::Conflict { .. } => assert_eq!(at % 5, 0),
            other => {
                recorded(other.clone());
                assert_ne!(at % 5, 0);
            }
        }
    }
    assert_eq!(store.rows("revisions").await, 160);
}

/// The service never sends a change that breaks a rule of the database; if it did, the rest of the batch must succeed.
async fn a_change_that_the_database_rejects_does_not_fail_its_batch(store: TestStore) {
    store.sql("CREATE UNIQUE INDEX notes ON revisions (note)").await;
    let write = |at: i64| {
        let mut write = store.write(UNITS[at as usize % 4], [flow(at)]);
        if let Change::Report(content) = &mut write.change {
            Arc::make_mut(content).note = (at % 50 == 7).then(|| "the same".to_owned());
        }
        write
    };
    let outcomes = at_once(&store, (0..200).map(write).collect()).await;
    let rejected =
        |outcome: &&Result<Outcome, StoreError>| matches!(outcome, Err(StoreError::ConstraintViolated(_)));
    assert_eq!(outcomes.iter().filter(rejected).count(), 3, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 197);
    assert_eq!(store.rows("revisions").await, 197);
}

/// The caller has checked that the unit reports; if it has not, the rest of the batch must succeed.
async fn an_impossible_change_does_not_fail_its_batch(store: TestStore) {
    let impossible = Write {
        key: SubmissionKey {
            period: "2199-08".parse().unwrap(),
            ..store.key_for(PERIOD, "01-A-1")
        },
        ..store.write("01-A-1", [flow(1)])
    };
    let write = |at: i64| match at % 50 {
        7 => impossible.clone(),
        _ => store.write(UNITS[at as usize % 4], [flow(at)]),
    };
    let outcomes = at_once(&store, (0..200).map(write).collect()).await;
    for (at, outcome) in outcomes.into_iter().enumerate() {
        if at % 50 == 7 {
            assert!(matches!(outcome, Err(StoreError::Corrupt(_))), "{outcome:?}");
        } else {
            recorded(outcome.unwrap());
        }
    }
    assert_eq!(store.rows("revisions").await, 196);
}

async fn excess_changes_are_refused_at_once_and_the_others_recorded(store: TestStore) {
    let writes = (0..6000).map(|value| store.record(store.write("01-A-1", [flow(value)])));
    let outcomes = join_all(writes).await;
    let refused = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(StoreError::Overloaded)))
        .count();
    let done = outcomes
        .iter()
        .filter(|one| matches!(one, Ok(Outcome::Recorded { .. })))
        .count();
    assert_eq!(done + refused, 6000);
    assert!(refused > 0);
    let listed = store
        .submissions(SubmissionFilter::default(), 10)
        .await
        .unwrap()
        .revisions;
    assert_eq!(listed[0].revision, done as i32);
    assert_eq!(store.rows("revisions").await, done as i64);
}
