//! A full disk.

use tonghop_testkit::PrivatePostgres;
use tonghop_tests::{Options, TestApp, Volume, Way};

use super::ledger::{Ledger, is_not_ready, reads_go_on};

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_rejects_reports_only_while_the_disk_is_full() {
    let name = "storage_faults::disk::sqlite_rejects_reports_only_while_the_disk_is_full";
    let Some(volume) = Volume::mount(32, name) else {
        return;
    };
    let options = Options {
        database_url: Some(format!("sqlite:{}", volume.path().join("tonghop.db").display())),
        ..Options::default()
    };
    let mut app = TestApp::start_with(Way::Embedded, options).await;
    let ledger = Ledger::default();
    ledger.recovers(&app).await;
    for _ in 0..2 {
        volume.fill();
        ledger.until_all_are_refused(&app).await;
        is_not_ready(&app).await;
        reads_go_on(&app).await;
        volume.free();
        ledger.recovers(&app).await;
    }
    ledger.is_kept(&mut app, Way::Embedded).await;
}

/// A full disk may make PostgreSQL shut down. Its operator then restarts it; the service needs no attention.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_rejects_reports_only_while_the_disk_is_full() {
    let name = "storage_faults::disk::postgres_rejects_reports_only_while_the_disk_is_full";
    let Some(volume) = Volume::mount(256, name) else {
        return;
    };
    let postgres = PrivatePostgres::start_in(volume.path()).await;
    let options = Options {
        database_url: Some(postgres.url()),
        ..Options::default()
    };
    let mut app = TestApp::start_with(Way::Servers, options).await;
    let ledger = Ledger::default();
    ledger.recovers(&app).await;
    volume.fill();
    ledger.until_all_are_refused(&app).await;
    is_not_ready(&app).await;
    let runs = async || {
        tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls)
            .await
            .is_ok()
    };
    if runs().await {
        reads_go_on(&app).await;
    }
    volume.free();
    if !runs().await {
        println!("PostgreSQL stopped itself");
        postgres.kill().await;
        postgres.restart().await;
    }
    ledger.recovers(&app).await;
    ledger.is_kept(&mut app, Way::Servers).await;
}
