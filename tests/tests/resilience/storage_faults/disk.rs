//! A full disk.

use tonghop_testkit::PrivatePostgres;
use tonghop_tests::{Options, TestApp, Volume, Way};

use super::ledger::{Ledger, is_not_ready, reads_go_on};

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_sqlite_refuses_reports_and_takes_them_again_when_there_is_room() {
    let name =
        "storage_faults::disk::on_a_full_disk_sqlite_refuses_reports_and_takes_them_again_when_there_is_room";
    let Some(volume) = Volume::mount(32, name) else {
        return;
    };
    let options = Options {
        database_url: Some(format!("sqlite:{}", volume.path().join("tonghop.db").display())),
        ..Options::default()
    };
    let mut app = TestApp::start_with(Way::Embedded, options).await;
    let ledger = Ledger::default();
    ledger.is_well_soon(&app).await;
    for _ in 0..2 {
        volume.fill();
        ledger.until_all_are_refused(&app).await;
        is_not_ready(&app).await;
        reads_go_on(&app).await;
        volume.free();
        ledger.is_well_soon(&app).await;
    }
    ledger.is_kept(&mut app, Way::Embedded).await;
}

/// A full disk may make PostgreSQL stop itself; then its operator starts it again, and nobody touches the service.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_postgres_refuses_reports_and_takes_them_again_when_there_is_room() {
    let name = "storage_faults::disk::on_a_full_disk_postgres_refuses_reports_and_takes_them_again_when_there_is_room";
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
    ledger.is_well_soon(&app).await;
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
    ledger.is_well_soon(&app).await;
    ledger.is_kept(&mut app, Way::Servers).await;
}
