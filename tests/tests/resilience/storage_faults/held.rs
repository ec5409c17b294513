//! Locks that another session holds.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use tokio_postgres::{Client, NoTls};
use tonghop_tests::{PROVINCE, TestApp, Way};

use super::ledger::{Ledger, UNITS, is_not_ready, reads_go_on};

async fn other_session(app: &TestApp) -> Client {
    let (client, connection) = tokio_postgres::connect(&app.database_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_submission_delays_no_other_unit() {
    let mut app = TestApp::start(Way::Servers).await;
    let ledger = Ledger::default();
    ledger.recovers(&app).await;
    let other_session = other_session(&app).await;
    let lock = "BEGIN; SELECT * FROM submissions WHERE unit_id = \
        (SELECT unit_id FROM units WHERE code = '866') FOR UPDATE";
    other_session.batch_execute(lock).await.unwrap();
    let (mut taken, start) = (0, Instant::now());
    while start.elapsed() < Duration::from_secs(8) {
        let both = app.bases.iter().map(|base| ledger.report(&app, base, "866"));
        let held = futures_util::future::join_all(both);
        let others = app
            .bases
            .iter()
            .flat_map(|base| UNITS[1..].iter().map(move |unit| (base, unit)))
            .map(|(base, unit)| ledger.report(&app, base, unit));
        let (held, others) = tokio::join!(held, futures_util::future::join_all(others));
        assert!(!held.contains(&true), "a report was accepted despite the lock");
        assert!(!others.contains(&false), "the lock delayed another unit");
        taken += others.len();
    }
    println!(
        "{taken} reports of other units were taken in {:?}",
        start.elapsed()
    );
    reads_go_on(&app).await;
    for base in &app.bases {
        assert!(
            app.is_ready(base).await,
            "a locked submission makes no process unready"
        );
    }
    other_session.batch_execute("ROLLBACK").await.unwrap();
    ledger.recovers(&app).await;
    ledger.is_kept(&mut app, Way::Servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_total_delays_no_report_and_no_other_total() {
    let mut app = TestApp::start(Way::Servers).await;
    let ledger = Ledger::default();
    ledger.recovers(&app).await;
    let other_session = other_session(&app).await;
    let lock = "BEGIN; SELECT * FROM totals WHERE unit_id = \
        (SELECT unit_id FROM units WHERE code = 'VN') FOR UPDATE";
    other_session.batch_execute(lock).await.unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(8) {
        let sent = ledger.round(&app).await;
        assert_eq!(sent, app.bases.len() * UNITS.len(), "a report was refused");
        let since = Instant::now();
        while app.totals(PROVINCE).await["freshness"]["pending"] != 0 {
            assert!(
                since.elapsed() < Duration::from_secs(5),
                "the lock delays the province's total"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_ne!(app.totals("VN").await["freshness"]["pending"], 0);
    reads_go_on(&app).await;
    other_session.batch_execute("ROLLBACK").await.unwrap();
    ledger.recovers(&app).await;
    ledger.is_kept(&mut app, Way::Servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_catalogue_is_locked_only_reads_are_served() {
    let mut app = TestApp::start(Way::Servers).await;
    let ledger = Ledger::default();
    ledger.recovers(&app).await;
    let other_session = other_session(&app).await;
    let lock = "BEGIN; SELECT * FROM catalogue FOR UPDATE";
    other_session.batch_execute(lock).await.unwrap();
    for _ in 0..2 {
        assert_eq!(ledger.round(&app).await, 0);
        is_not_ready(&app).await;
        reads_go_on(&app).await;
    }
    other_session.batch_execute("ROLLBACK").await.unwrap();
    ledger.recovers(&app).await;
    ledger.is_kept(&mut app, Way::Servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_sqlite_file_is_locked_only_reads_are_served() {
    let mut app = TestApp::start(Way::Embedded).await;
    let ledger = Ledger::default();
    ledger.recovers(&app).await;
    let path = app.database_url.strip_prefix("sqlite:").unwrap();
    let mut other_session = SqliteConnection::establish(path).unwrap();
    other_session
        .batch_execute("PRAGMA busy_timeout = 4000; BEGIN IMMEDIATE")
        .unwrap();
    for _ in 0..2 {
        assert_eq!(ledger.round(&app).await, 0);
        is_not_ready(&app).await;
        reads_go_on(&app).await;
    }
    other_session.batch_execute("ROLLBACK").unwrap();
    ledger.recovers(&app).await;
    drop(other_session);
    ledger.is_kept(&mut app, Way::Embedded).await;
}
