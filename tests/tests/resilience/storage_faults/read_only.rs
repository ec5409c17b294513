//! A database that can be read and takes no changes.

use std::process::Command;

use tonghop_testkit::PrivatePostgres;
use tonghop_tests::{Options, TestApp, Way};

use super::ledger::{Ledger, is_not_ready, reads_go_on};

#[tokio::test(flavor = "multi_thread")]
async fn while_postgres_is_read_only_reports_are_refused_and_reads_go_on() {
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
    ledger.is_well_soon(&app).await;
    for setting in ["on", "off"] {
        // The parts are statements of their own: ALTER SYSTEM runs in no transaction.
        let set = format!("ALTER SYSTEM SET default_transaction_read_only = {setting}");
        // The operator's own session is not to be caught by it.
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
    ledger.is_well_soon(&app).await;
    ledger.is_kept(&mut app, Way::Servers).await;
}

/// Linux remounts no file system read-only on which a file is open for writing, and one that it made read-only itself
/// after an error stays so until it is mounted anew. What a process sees of either is that its writes fail, and that is
/// what a limit on the size of its files does, which can be lifted again.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_sqlite_file_takes_no_writes_reports_are_refused_and_reads_go_on() {
    let options = Options {
        // The signal that comes with the limit would end the process.
        under: ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]
            .map(String::from)
            .into(),
        ..Options::default()
    };
    let mut app = TestApp::start_with(Way::Embedded, options).await;
    let ledger = Ledger::default();
    ledger.is_well_soon(&app).await;
    for _ in 0..2 {
        limit_file_size(&app, "0");
        ledger.until_all_are_refused(&app).await;
        is_not_ready(&app).await;
        reads_go_on(&app).await;
        limit_file_size(&app, "unlimited");
        ledger.is_well_soon(&app).await;
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
