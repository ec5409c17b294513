//! Transactions that the database ends because they collide.

use tokio_postgres::NoTls;
use tonghop_tests::{TestApp, Way};

use super::ledger::{Ledger, UNITS};

/// Every third batch and refresh fails as those do that cannot be put in a row with others.
#[tokio::test(flavor = "multi_thread")]
async fn serialization_failures_are_tried_again_and_nobody_notices() {
    let mut app = TestApp::start(Way::Servers).await;
    let ledger = Ledger::default();
    let (operator, connection) = tokio_postgres::connect(&app.database_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let fail = "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            IF random() < 0.3 THEN RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'provoked'; END IF; \
            RETURN NULL; END $$; \
        CREATE TRIGGER fail AFTER INSERT ON marks EXECUTE FUNCTION fail()";
    operator.batch_execute(fail).await.unwrap();
    for _ in 0..30 {
        let sent = ledger.round(&app).await;
        assert_eq!(sent, app.bases.len() * UNITS.len(), "a report was refused");
    }
    operator
        .batch_execute("DROP TRIGGER fail ON marks")
        .await
        .unwrap();
    ledger.is_well_soon(&app).await;
    ledger.is_kept(&mut app, Way::Servers).await;
}

/// A stranger locks submissions against the order that the service keeps, so that each deadlock ends one of them.
#[tokio::test(flavor = "multi_thread")]
async fn deadlocks_lose_nothing_and_leave_nothing_stuck() {
    let mut app = TestApp::start(Way::Servers).await;
    let ledger = Ledger::default();
    ledger.is_well_soon(&app).await;
    let (stranger, connection) = tokio_postgres::connect(&app.database_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    // It finds a deadlock before the service, which gives a lock up after half a second.
    stranger
        .batch_execute("SET deadlock_timeout = '100ms'")
        .await
        .unwrap();
    let (mut broken, mut taken) = (0, 0);
    let lock = |order: &str| {
        format!(
            "SELECT * FROM submissions ORDER BY form {order}, period {order}, unit_id {order} LIMIT 1 FOR UPDATE"
        )
    };
    for _ in 0..8 {
        stranger.batch_execute("BEGIN").await.unwrap();
        stranger.batch_execute(&lock("DESC")).await.unwrap();
        let against = async {
            // The service waits for the last one by now, and holds the first.
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            stranger.batch_execute(&lock("ASC")).await.is_err()
        };
        let ending = async {
            let ended = against.await;
            stranger.batch_execute("ROLLBACK").await.unwrap();
            ended
        };
        let (sent, ended) = tokio::join!(ledger.round(&app), ending);
        taken += sent;
        broken += i32::from(ended);
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let deadlocks: i64 = stranger.query_one(deadlocks, &[]).await.unwrap().get(0);
    println!("{deadlocks} deadlocks, {broken} of them ended the stranger; {taken} reports taken meanwhile");
    assert!(deadlocks > 0 && taken > 0);
    ledger.is_well_soon(&app).await;
    ledger.is_kept(&mut app, Way::Servers).await;
}
