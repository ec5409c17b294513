//! Opening and closing a store, and the lock of the one service on a SQLite file.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tonghop_storage::{DatabaseUrl, ServiceLock, Store, StoreError};
use tonghop_testkit::{free_port, postgres_database, sqlite_database};

use crate::support::TestStore;
use crate::support::catalogue::Parts;
use crate::support::figures::flow;
use crate::support::session::Session;

on_both!(
    recorded_revisions_survive_a_restart,
    closing_records_the_queued_changes,
    another_process_can_open_while_changes_are_recorded,
    a_migration_waits_longer_for_the_writer_than_a_report,
    a_healthy_store_responds,
);

async fn recorded_revisions_survive_a_restart(store: TestStore) {
    let revision = store.reports("01-A-1", 5).await;
    store.drain().await;
    store.close().await;
    let store = store.adopting(|| Parts::default().catalogue("first")).await;
    assert_eq!(store.submission(revision.id).await.unwrap(), Some(revision));
    assert_eq!(store.value("VN").await, Some(5));
    assert_eq!(store.pending().await.unwrap(), 0, "nothing to do again");
    store.reports("01-A-1", 6).await;
}

async fn closing_records_the_queued_changes(store: TestStore) {
    let sent = (0..500).map(|value| store.record(store.write("01-A-1", [flow(value)])));
    // A task can do some hundred operations before it yields to another, here to the one that closes.
    let (answers, ()) = tokio::join!(join_all(sent), store.close());
    let done = answers.iter().take_while(|answer| answer.is_ok()).count();
    assert!(done > 0, "what was asked for before is done");
    for refused in &answers[done..] {
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    let late = store.record(store.write("01-A-1", [flow(1000)])).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    assert_eq!(store.rows("revisions").await, done as i64);
    store.drain().await;
    assert_eq!(store.total_of("01-A-1").await.version, done as i64);
    assert!(store.value("VN").await.is_some(), "reading and refreshing go on");
    store.close().await;
}

async fn another_process_can_open_while_changes_are_recorded(store: TestStore) {
    let writing = async {
        for value in 0..200 {
            store.reports("01-A-1", value).await;
        }
    };
    let opening = async {
        for _ in 0..5 {
            let catalogue = || Parts::default().catalogue("first");
            Store::migrate(&store.url, &catalogue()).await.unwrap();
            let other = Store::open(&store.url, catalogue()).await.unwrap();
            let write = store.write("01-A-2", [flow(store.now().await.unwrap().timestamp_micros())]);
            // SQLite's lock is not fair: the first to try at the right moment gets it.
            while let Err(error) = other.record(write.clone()).await {
                assert!(matches!(error, StoreError::Contention(_)), "{error:?}");
            }
            other.close().await;
        }
    };
    tokio::join!(writing, opening);
    assert_eq!(store.rows("revisions").await, 205);
}

async fn a_migration_waits_longer_for_the_writer_than_a_report(store: TestStore) {
    let mut holder = store.session().await;
    holder
        .run(if store.is_postgres() {
            "BEGIN; LOCK TABLE catalogue IN SHARE MODE"
        } else {
            "BEGIN IMMEDIATE"
        })
        .await;
    let releasing = async {
        tokio::time::sleep(Duration::from_millis(4500)).await;
        holder.run("COMMIT").await;
    };
    let catalogue = Parts::default().catalogue("second");
    let (migrated, ()) = tokio::join!(Store::migrate(&store.url, &catalogue), releasing);
    migrated.unwrap();
    let late = store.record(store.write("01-A-1", [flow(1)])).await;
    assert!(matches!(late, Err(StoreError::CatalogueMismatch)), "{late:?}");
}

async fn a_healthy_store_responds(store: TestStore) {
    store.ping().await.unwrap();
    let (a, b) = (store.now().await.unwrap(), store.now().await.unwrap());
    assert!(a <= b);
    assert!((chrono::Utc::now() - b).abs() < chrono::Duration::seconds(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_must_have_been_migrated() {
    let database = postgres_database().await;
    let url: DatabaseUrl = database.url().parse().unwrap();
    let opened = Store::open(&url, Parts::default().catalogue("first")).await;
    assert!(matches!(opened, Err(StoreError::NotMigrated)), "{opened:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_store_connects_to_postgres_through_a_unix_socket() {
    let store = TestStore::on_postgres().await;
    let url = store.postgres_url();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let query = "SELECT current_setting('unix_socket_directories'), current_setting('port'), current_user::text, \
                 current_database()::text";
    let row = client.query_one(query, &[]).await.unwrap();
    let [folders, port, user, database] = [0, 1, 2, 3].map(|column| row.get::<_, String>(column));
    let folder = folders.split(',').next().unwrap().trim();
    if !std::path::Path::new(folder)
        .join(format!(".s.PGSQL.{port}"))
        .exists()
    {
        eprintln!("LEFT OUT: the server has no socket on this machine");
        return;
    }
    let url = format!("postgres:///{database}?host={folder}&port={port}&user={user}");
    let catalogue = Parts::default().catalogue("first");
    let store = Store::open(&url.parse().unwrap(), catalogue).await.unwrap();
    store.ping().await.unwrap();
}

/// The server reports a missing table in its own language.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_tables_is_not_migrated_in_any_language() {
    let database = postgres_database().await;
    let url: DatabaseUrl = database.url().parse().unwrap();
    if std::env::var_os("TEST_WITHOUT_GERMAN").is_none() {
        Session::with(&url).await.speak_german().await;
    }
    let opened = Store::open(&url, Parts::default().catalogue("first")).await;
    assert!(matches!(opened, Err(StoreError::NotMigrated)), "{opened:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_migrations_succeed() {
    let database = postgres_database().await;
    let url: DatabaseUrl = database.url().parse().unwrap();
    let migrations = (0..4).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { Store::migrate(&url, &Parts::default().catalogue("first")).await })
    });
    for migrated in join_all(migrations).await {
        migrated.unwrap().unwrap();
    }
    Store::open(&url, Parts::default().catalogue("first"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_database_is_unavailable() {
    let port = free_port();
    let postgres = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    for url in [postgres.as_str(), "sqlite:/no/such/folder/tonghop.db"] {
        let start = Instant::now();
        let opened = Store::open(&url.parse().unwrap(), Parts::default().catalogue("first")).await;
        assert!(
            matches!(opened, Err(StoreError::Unavailable(_))),
            "{url}: {opened:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(6), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_service_can_use_a_sqlite_file() {
    let database = sqlite_database();
    let url: DatabaseUrl = database.url().parse().unwrap();
    let lock = ServiceLock::take(&url).unwrap();
    match ServiceLock::take(&url) {
        Err(StoreError::InUse(path)) => assert!(database.url().ends_with(&path), "{path}"),
        other => panic!("{other:?}"),
    }
    let command = Store::open(&url, Parts::default().catalogue("first")).await;
    command.unwrap().ping().await.unwrap();
    drop(lock);
    let lock = ServiceLock::take(&url).unwrap();
    assert!(ServiceLock::take(&url).is_err());
    drop(lock);

    let database = sqlite_database();
    let other: DatabaseUrl = database.url().parse().unwrap();
    let _both = (
        ServiceLock::take(&url).unwrap(),
        ServiceLock::take(&other).unwrap(),
    );
}

#[test]
fn any_number_of_services_share_a_postgres_database() {
    let url: DatabaseUrl = "postgres://postgres@127.0.0.1:1/none".parse().unwrap();
    let _both = (ServiceLock::take(&url).unwrap(), ServiceLock::take(&url).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_postgres_include_its_message() {
    let database = postgres_database().await;
    let url: DatabaseUrl = format!("{}_gone", database.url()).parse().unwrap();
    let refused = Store::open(&url, Parts::default().catalogue("first"))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("does not exist"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_waits_seconds_for_the_writer_of_sqlite() {
    let store = TestStore::on_sqlite().await;
    let mut session = store.session().await;
    session.run("BEGIN IMMEDIATE").await;
    let (handle, key) = (store.handle(), store.total_key("01-A"));
    let refreshing = tokio::spawn(async move { handle.refresh(&key).await });
    // By then the refresh has the store's only writing connection and waits for the file.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (handle, write) = (store.handle(), store.write("01-A-1", [flow(5)]));
    let recording = tokio::spawn(async move { handle.record(write).await });
    tokio::time::sleep(Duration::from_millis(2200)).await;
    session.run("COMMIT").await;
    recording.await.unwrap().unwrap();
    refreshing.await.unwrap().unwrap();
    store.drain().await;
    assert_eq!(store.value("VN").await, Some(5));
}
