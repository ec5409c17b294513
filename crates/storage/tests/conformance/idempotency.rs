//! Retries: an idempotency key repeats its first response.

use chrono::Duration;
use futures_util::future::join_all;
use tonghop_domain::Precondition;
use tonghop_storage::{Idempotency, Outcome, Write};

use crate::support::figures::flow;
use crate::support::{TestStore, recorded, under};

on_both!(
    a_retry_gets_the_first_response_despite_later_changes,
    a_retry_of_an_unchanged_report_gets_the_same_response,
    a_retry_succeeds_although_its_precondition_now_fails,
    another_request_with_the_same_key_is_refused,
    idempotency_keys_are_per_caller,
    a_hundred_concurrent_retries_record_once,
    one_of_two_concurrent_requests_with_one_key_wins,
    the_key_of_a_refused_change_can_be_reused,
    keys_are_forgotten_after_30_days,
);

fn replayed(outcome: &Outcome) -> i32 {
    match outcome {
        Outcome::Recorded {
            revision,
            replayed: true,
        } => revision.revision,
        other => panic!("not replayed: {other:?}"),
    }
}

async fn a_retry_gets_the_first_response_despite_later_changes(store: TestStore) {
    let write = Write {
        idempotency: under("k", "five"),
        ..store.write("01-A-1", [flow(5)])
    };
    let first = recorded(store.send(write.clone()).await);
    store.reports("01-A-1", 6).await;
    store.withdraws("01-A-1").await;
    for _ in 0..2 {
        let expected = Outcome::Recorded {
            revision: first.clone(),
            replayed: true,
        };
        assert_eq!(store.send(write.clone()).await, expected);
    }
    assert_eq!(store.submission(first.id).await.unwrap().unwrap().revision, 3);
    assert_eq!(store.rows("marks").await, 3, "a replay makes nothing stale");
}

async fn a_retry_of_an_unchanged_report_gets_the_same_response(store: TestStore) {
    let first = store.reports("01-A-1", 5).await;
    let write = Write {
        idempotency: under("k", "five"),
        ..store.write("01-A-1", [flow(5)])
    };
    let answer = |replayed| Outcome::Unchanged {
        revision: first.clone(),
        replayed,
    };
    assert_eq!(store.send(write.clone()).await, answer(false));
    store.reports("01-A-1", 6).await;
    assert_eq!(store.send(write).await, answer(true));
}

async fn a_retry_succeeds_although_its_precondition_now_fails(store: TestStore) {
    store.reports("01-A-1", 5).await;
    let write = Write {
        condition: Precondition::Current(1),
        idempotency: under("k", "six"),
        ..store.write("01-A-1", [flow(6)])
    };
    assert_eq!(recorded(store.send(write.clone()).await).revision, 2);
    store.reports("01-A-1", 7).await;
    assert_eq!(replayed(&store.send(write).await), 2);
}

async fn another_request_with_the_same_key_is_refused(store: TestStore) {
    let first = Write {
        idempotency: under("k", "five"),
        ..store.write("01-A-1", [flow(5)])
    };
    let first = recorded(store.send(first).await);
    for unit in ["01-A-1", "01-A-2"] {
        let other = Write {
            idempotency: under("k", "six"),
            ..store.write(unit, [flow(6)])
        };
        assert_eq!(store.send(other).await, Outcome::KeyReused);
    }
    assert_eq!(store.submission(first.id).await.unwrap(), Some(first));
    assert_eq!(
        (store.rows("submissions").await, store.rows("marks").await),
        (1, 1)
    );
}

async fn idempotency_keys_are_per_caller(store: TestStore) {
    for (at, caller) in ["a", "b", "c"].into_iter().enumerate() {
        let write = Write {
            idempotency: Some(Idempotency {
                caller: caller.into(),
                key: "1".into(),
                request: caller.into(),
            }),
            ..store.write("01-A-1", [flow(at as i64)])
        };
        assert_eq!(recorded(store.send(write).await).revision, at as i32 + 1);
    }
}

async fn a_hundred_concurrent_retries_record_once(store: TestStore) {
    let processes = store.processes().await;
    for (at, unit) in ["01-A-1", "01-A-2", "01-A-3", "01-B-1"].into_iter().enumerate() {
        let write = Write {
            idempotency: under(&format!("k{at}"), "five"),
            ..store.write(unit, [flow(5)])
        };
        let tries = (0..100).map(|at| {
            let (process, write) = (processes[at % 2].clone(), write.clone());
            tokio::spawn(async move { process.record(write).await.unwrap() })
        });
        let outcomes: Vec<Outcome> = join_all(tries).await.into_iter().map(Result::unwrap).collect();
        let fresh: Vec<&Outcome> = outcomes
            .iter()
            .filter(|one| matches!(one, Outcome::Recorded { replayed: false, .. }))
            .collect();
        assert_eq!(fresh.len(), 1);
        let revision = recorded(fresh[0].clone());
        for outcome in &outcomes {
            assert!(
                matches!(outcome, Outcome::Recorded { revision: same, .. } if *same == revision),
                "{outcome:?}"
            );
        }
        assert_eq!(
            store.revisions(revision.id, None, 10).await.unwrap().revisions,
            [revision]
        );
    }
    assert_eq!(store.rows("idempotency_keys").await, 4);
}

async fn one_of_two_concurrent_requests_with_one_key_wins(store: TestStore) {
    let processes = store.processes().await;
    let tries = (0..60).map(|at| {
        let value = (at / 2) % 2;
        let write = Write {
            idempotency: under("k", &format!("request {value}")),
            ..store.write("01-A-1", [flow(value)])
        };
        let process = processes[at as usize % 2].clone();
        tokio::spawn(async move { (value, process.record(write).await.unwrap()) })
    });
    let outcomes: Vec<(i64, Outcome)> = join_all(tries).await.into_iter().map(Result::unwrap).collect();
    let (winner, _) = outcomes
        .iter()
        .find(|(_, outcome)| matches!(outcome, Outcome::Recorded { .. }))
        .unwrap();
    for (value, outcome) in &outcomes {
        match outcome {
            Outcome::Recorded { revision, .. } => {
                assert_eq!((value, revision.revision), (winner, 1));
            }
            other => assert!(value != winner && *other == Outcome::KeyReused, "{other:?}"),
        }
    }
    assert_eq!(store.rows("revisions").await, 1);
}

async fn the_key_of_a_refused_change_can_be_reused(store: TestStore) {
    store.reports("01-A-1", 5).await;
    let write = |condition, request: &str| Write {
        condition,
        idempotency: under("k", request),
        ..store.write("01-A-1", [flow(6)])
    };
    let refused = write(Precondition::Current(9), "first try");
    assert_eq!(store.send(refused).await, Outcome::Conflict { current: 1 });
    let better = write(Precondition::Current(1), "second try");
    assert_eq!(recorded(store.send(better.clone()).await).revision, 2);
    assert_eq!(replayed(&store.send(better).await), 2);
}

async fn keys_are_forgotten_after_30_days(store: TestStore) {
    let write = |key: &str, unit: &str| Write {
        idempotency: under(key, "five"),
        ..store.write(unit, [flow(5)])
    };
    let ages = [
        ("old", "01-A-1", 31),
        ("young", "01-A-2", 29),
        ("new", "01-A-3", 0),
    ];
    for (key, unit, days) in ages {
        store.send(write(key, unit)).await;
        let taken = store.now().await.unwrap() - Duration::days(days);
        let taken = taken.format("%Y-%m-%d %H:%M:%S%.6f");
        let age = format!("UPDATE idempotency_keys SET created_at = '{taken}' WHERE key = '{key}'");
        store.sql(&age).await;
    }
    assert_eq!(store.forget_old_keys().await.unwrap(), 1);
    assert_eq!(store.forget_old_keys().await.unwrap(), 0);
    for (key, unit, days) in ages {
        let outcome = store.send(write(key, unit)).await;
        if days > 30 {
            assert!(
                matches!(outcome, Outcome::Unchanged { replayed: false, .. }),
                "{key}: {outcome:?}"
            );
        } else {
            assert_eq!(replayed(&outcome), 1, "{key}");
        }
    }
}
