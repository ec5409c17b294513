//! A database that is read-only.

use std::process::Command;

use tonghop_testkit::PrivatePostgres;
use tonghop_tests::{Options, TestApp, Way};

use super::ledger::{Ledger, is_not_ready, reads_go_on};

#[tokio::test(flavor = "multi_thread")]
async fn while_postgres_is_read_only_only_reads_are_served() {
    let postgres = PrivatePostgres::start().await;
    let (operator, connection) = tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let options = Options {
        database_url: Some(postgres.url()),
        ..Options::default()
    };
    let mut app = TestApp::start_with(Way::Servers, options).await;
    let ledger = Ledger::default();
    ledger.recovers(&app).await;
    for setting in ["on", "off"] {
        // Separate statements, because ALTER SYSTEM cannot run in a transaction.
        let set = format!("ALTER SYSTEM SET default_transaction_read_only = {setting}");
        // Exempts the operator's own session.
        operator
            .batch_execute("SET default_transaction_read_only = off")
            .await
            .unwrap();
        operator.batch_execute(&set).await.unwrap();
        operator.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        if setting == "on" {
            ledger.until_all_are_refused(&app).await;
            is_not_ready(&app).await;
            reads_go_on(&app).await;
        }
    }
    ledger.recovers(&app).await;
    ledger.is_kept(&mut app, Way::Servers).await;
}

/// Linux does not remount a file system read-only while a file on it is open for writing, and a file system that it
/// made read-only after an error stays so until it is mounted again. A process only sees that its writes fail. A limit
/// on the size of its files has the same effect, and can be lifted.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_sqlite_file_is_read_only_only_reads_are_served() {
    let options = Options {
        // The limit comes with a signal that would end the process.
        under: ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]
            .map(String::from)
            .into(),
        ..Options::default()
    };
    let mut app = TestApp::start_with(Way::Embedded, options).await;
    let ledger = Ledger::default();
    ledger.recovers(&app).await;
    for _ in 0..2 {
        limit_file_size(&app, "0");
        ledger.until_all_are_refused(&app).await;
        is_not_ready(&app).await;
        reads_go_on(&app).await;
        limit_file_size(&app, "unlimited");
        ledger.recovers(&app).await;
    }
    ledger.is_kept(&mut app, Way::Embedded).await;
}

fn limit_file_size(app: &TestApp, limit: &str) {
    let process = app.apis[0].id().to_string();
    let mut prlimit = Command::new("prlimit");
    let limited = prlimit
        .args(["--pid", &process, &format!("--fsize={limit}:")])
        .status();
    assert!(limited.unwrap().success(), "the limit is set");
}
