//! A database that goes down: errors within seconds, and recovery without intervention.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tonghop_domain::{Outbox as _, SubmissionId};
use tonghop_storage::{DatabaseUrl, Outcome, Store, StoreError, Write};
use tonghop_testkit::{FaultProxy, PrivatePostgres, postgres_database};

use crate::support::catalogue::Parts;
use crate::support::figures::flow;
use crate::support::{FORM, PERIOD};

/// The most time for a call to fail without a database.
const SOON: Duration = Duration::from_secs(5);

fn write(store: &Store, value: i64) -> Write {
    let scope = store.catalogue().scope(FORM, PERIOD.parse().unwrap()).unwrap();
    Write {
        new_id: SubmissionId::generate(),
        key: tonghop_domain::SubmissionKey {
            form: scope.form.code.clone(),
            period: scope.period,
            unit: scope.tree.get("01-A-1").unwrap().id(),
        },
        change: tonghop_domain::Change::Report(Arc::new(tonghop_domain::Content {
            figures: vec![flow(value)],
            note: None,
        })),
        condition: tonghop_domain::Precondition::None,
        idempotency: None,
        origin: tonghop_domain::Origin::OPERATOR,
        action: "create_submission".into(),
    }
}

async fn opened(url: &str) -> Store {
    let url: DatabaseUrl = url.parse().unwrap();
    let catalogue = || Parts::default().catalogue("first");
    Store::migrate(&url, &catalogue()).await.unwrap();
    Store::open(&url, catalogue()).await.unwrap()
}

async fn is_unavailable<T: std::fmt::Debug>(call: impl Future<Output = Result<T, StoreError>>) {
    let start = Instant::now();
    let answer = call.await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert!(start.elapsed() < SOON, "after {:?}", start.elapsed());
}

/// Asserts that every call fails, and within time.
async fn is_away(store: &Store) {
    let scope = store.catalogue().scope(FORM, PERIOD.parse().unwrap()).unwrap();
    let (root, district) = ("VN".parse().unwrap(), scope.tree.get("01-A").unwrap().id());
    let key = tonghop_domain::TotalKey {
        form: scope.form.code.clone(),
        period: scope.period,
        unit: district,
    };
    tokio::join!(
        is_unavailable(store.record(write(store, -1))),
        is_unavailable(store.total(&scope, &root)),
        is_unavailable(store.refresh(&key)),
        is_unavailable(store.claim(10)),
        is_unavailable(store.ping()),
        is_unavailable(store.rehearse(write(store, -1))),
        is_unavailable(store.pending()),
    );
}

/// Asserts that everything works again without intervention.
async fn comes_back(store: &Store, value: i64) {
    let start = Instant::now();
    loop {
        match store.record(write(store, value)).await {
            Ok(Outcome::Recorded { .. } | Outcome::Unchanged { .. }) => break,
            Err(StoreError::Unavailable(_)) => assert!(start.elapsed() < SOON),
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while store.pending().await.unwrap() > 0 {
        let soon = store.now().await.unwrap() + chrono::Duration::seconds(1);
        for key in store.stale(soon, 100).await.unwrap() {
            store.refresh(&key).await.unwrap();
        }
    }
    let scope = store.catalogue().scope(FORM, PERIOD.parse().unwrap()).unwrap();
    let total = store.total(&scope, &"VN".parse().unwrap()).await.unwrap().total;
    assert_eq!(total.rows[0].value, Some(value));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_or_crashed_database_is_unavailable_until_it_returns() {
    let server = PrivatePostgres::start().await;
    let store = opened(&server.url()).await;
    comes_back(&store, 1).await;
    server.stop().await;
    is_away(&store).await;
    server.restart().await;
    comes_back(&store, 2).await;
    server.kill().await;
    is_away(&store).await;
    server.restart().await;
    comes_back(&store, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_or_silent_connections_are_unavailable_until_they_return() {
    let database = postgres_database().await;
    let proxy = FaultProxy::in_front_of(database.url());
    let store = opened(&proxy.url_through(database.url())).await;
    comes_back(&store, 1).await;
    proxy.cut();
    is_away(&store).await;
    proxy.restore();
    comes_back(&store, 2).await;
    proxy.stall();
    is_away(&store).await;
    proxy.restore();
    comes_back(&store, 3).await;
}

/// Reads share the watermark: all of them wait for the same read of it, and none longer than a transaction may take.
#[tokio::test(flavor = "multi_thread")]
async fn reads_in_progress_end_when_connections_fall_silent() {
    let database = postgres_database().await;
    let proxy = FaultProxy::in_front_of(database.url());
    let store = opened(&proxy.url_through(database.url())).await;
    for value in 1..=3 {
        comes_back(&store, value).await;
        let reading = (0..40).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let scope = store.catalogue().scope(FORM, PERIOD.parse().unwrap()).unwrap();
                loop {
                    let start = Instant::now();
                    let read = store.total(&scope, &"VN".parse().unwrap()).await;
                    assert!(start.elapsed() < SOON, "after {:?}", start.elapsed());
                    match read {
                        Ok(_) => {}
                        Err(StoreError::Unavailable(_)) => break,
                        other => panic!("{other:?}"),
                    }
                }
            })
        });
        let reading: Vec<_> = reading.collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        proxy.stall();
        let ended = tokio::time::timeout(6 * SOON, join_all(reading)).await;
        for reader in ended.expect("no read hangs") {
            reader.unwrap();
        }
        proxy.restore();
    }
}

/// A network device that drops its state notifies neither end. The first use of one dead connection reveals all of
/// them.
#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_are_replaced_within_seconds() {
    let database = postgres_database().await;
    let proxy = FaultProxy::in_front_of(database.url());
    let store = opened(&proxy.url_through(database.url())).await;
    comes_back(&store, 1).await;
    // As many connections stay open as were used at the same time.
    join_all((0..16).map(|_| store.pending())).await;
    proxy.half_open();
    let start = Instant::now();
    comes_back(&store, 2).await;
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "after {:?}",
        start.elapsed()
    );
}

/// Each change was either recorded or not; retried, it is recorded once.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_interrupted_by_a_crash_can_be_retried() {
    let server = PrivatePostgres::start().await;
    let store = opened(&server.url()).await;
    let sender = |at: i64| {
        let (store, key) = (store.clone(), crate::support::under(&format!("k{at}"), "r"));
        tokio::spawn(async move {
            let write = Write {
                idempotency: key,
                ..write(&store, at)
            };
            let start = Instant::now();
            loop {
                match store.record(write.clone()).await {
                    Ok(Outcome::Recorded { revision, .. }) => return revision.revision,
                    Err(StoreError::Unavailable(_) | StoreError::Contention(_)) => {
                        assert!(start.elapsed() < Duration::from_secs(30));
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    other => panic!("{other:?}"),
                }
            }
        })
    };
    let mut senders: Vec<_> = (0..100).map(sender).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.kill().await;
    senders.extend((100..200).map(sender));
    server.restart().await;
    let mut numbers = Vec::new();
    for sender in senders {
        numbers.push(sender.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=200).collect::<Vec<i32>>());
}
