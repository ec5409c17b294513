//! Transactions that the database aborts because of a conflict.

use tokio_postgres::NoTls;
use tonghop_tests::{TestApp, Way};

use super::ledger::{Ledger, UNITS};

/// Every third batch and refresh fails with a serialization failure.
#[tokio::test(flavor = "multi_thread")]
async fn serialization_failures_are_retried_and_no_client_notices() {
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
    ledger.recovers(&app).await;
    ledger.is_kept(&mut app, Way::Servers).await;
}

/// Another session locks submissions in the wrong order, so that each deadlock aborts one transaction.
#[tokio::test(flavor = "multi_thread")]
async fn deadlocks_lose_nothing_and_block_nothing() {
    let mut app = TestApp::start(Way::Servers).await;
    let ledger = Ledger::default();
    ledger.recovers(&app).await;
    let (other_session, connection) = tokio_postgres::connect(&app.database_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    // PostgreSQL detects the deadlock before the service's lock timeout of half a second.
    other_session
        .batch_execute("SET deadlock_timeout = '100ms'")
        .await
        .unwrap();
    let (mut broken, mut taken) = (0, 0);
    let last = "SELECT * FROM submissions ORDER BY form DESC, period DESC, unit_id DESC LIMIT 1 FOR UPDATE";
    let all = "SELECT * FROM submissions ORDER BY form, period, unit_id FOR UPDATE";
    for round in 0.. {
        if round >= 8 && broken > 0 || round == 40 {
            break;
        }
        other_session.batch_execute("BEGIN").await.unwrap();
        other_session.batch_execute(last).await.unwrap();
        let against = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            other_session.batch_execute(all).await.is_err()
        };
        let ending = async {
            let ended = against.await;
            other_session.batch_execute("ROLLBACK").await.unwrap();
            ended
        };
        // So many that they share transactions, and a transaction that waits for the last lock holds others.
        let rounds = futures_util::future::join_all((0..4).map(|_| ledger.round(&app)));
        let (sent, ended) = tokio::join!(rounds, ending);
        taken += sent.into_iter().sum::<usize>();
        broken += i64::from(ended);
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    // Sessions report what they counted at most once a second, and not while they are idle.
    let reported: i64 = other_session.query_one(deadlocks, &[]).await.unwrap().get(0);
    println!(
        "{reported} deadlocks reported, {broken} ended the other session; {taken} reports accepted meanwhile"
    );
    assert!(reported.max(broken) > 0 && taken > 0);
    ledger.recovers(&app).await;
    ledger.is_kept(&mut app, Way::Servers).await;
}
