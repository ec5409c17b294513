//! A SQLite file that is moved, deleted or replaced under the running service.

use std::path::{Path, PathBuf};

use tonghop_tests::{TestApp, Way};

use super::ledger::{Ledger, get_at, is_not_ready, is_refused_in_good_form};

fn path_of(app: &TestApp) -> PathBuf {
    app.database_url.strip_prefix("sqlite:").unwrap().into()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Nothing is taken and nothing is read, since nobody knows what file that would be.
async fn nothing_is_answered(app: &TestApp, ledger: &Ledger) {
    for _ in 0..3 {
        assert_eq!(ledger.round(app).await, 0, "a report was acknowledged");
        is_not_ready(app).await;
        let path = "/v1/totals?form=ngay-30-7&period=2021-07&unit=87";
        is_refused_in_good_form(&get_at(app, &app.bases[0], path).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_sqlite_file_is_moved_away_nothing_is_acknowledged() {
    let mut app = TestApp::start(Way::Embedded).await;
    let (path, ledger) = (path_of(&app), Ledger::default());
    ledger.is_well_soon(&app).await;
    for _ in 0..2 {
        std::fs::rename(&path, beside(&path, ".away")).unwrap();
        nothing_is_answered(&app, &ledger).await;
        assert!(!path.exists(), "a new file was made");
        std::fs::rename(beside(&path, ".away"), &path).unwrap();
        ledger.is_well_soon(&app).await;
    }
    ledger.is_kept(&mut app, Way::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_file_that_is_not_its_own_the_service_acknowledges_nothing_and_harms_nothing() {
    let mut app = TestApp::start(Way::Embedded).await;
    let (path, ledger) = (path_of(&app), Ledger::default());
    ledger.is_well_soon(&app).await;
    std::fs::rename(&path, beside(&path, ".away")).unwrap();
    std::fs::write(&path, b"").unwrap();
    nothing_is_answered(&app, &ledger).await;
    assert_eq!(
        std::fs::metadata(&path).unwrap().len(),
        0,
        "the other file was written to"
    );
    std::fs::rename(beside(&path, ".away"), &path).unwrap();
    ledger.is_well_soon(&app).await;
    ledger.is_kept(&mut app, Way::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_sqlite_file_was_deleted_nothing_is_acknowledged() {
    let app = TestApp::start(Way::Embedded).await;
    let (path, ledger) = (path_of(&app), Ledger::default());
    ledger.is_well_soon(&app).await;
    std::fs::remove_file(&path).unwrap();
    nothing_is_answered(&app, &ledger).await;
    assert!(!path.exists(), "a new file was made");
}

/// What was committed last is in the log alone. A stop in good order writes it into the file.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_log_of_the_sqlite_file_was_deleted_a_stop_in_good_order_keeps_everything() {
    let mut app = TestApp::start(Way::Embedded).await;
    let (path, ledger) = (path_of(&app), Ledger::default());
    ledger.is_well_soon(&app).await;
    std::fs::remove_file(beside(&path, "-wal")).unwrap();
    nothing_is_answered(&app, &ledger).await;
    app.apis[0].terminate();
    assert_eq!(app.apis[0].wait().code(), Some(0));
    app.restart(Way::Embedded).await;
    ledger.is_stored(&app).await;
    ledger.is_well_soon(&app).await;
}
