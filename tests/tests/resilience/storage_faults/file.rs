//! A SQLite file that is moved, deleted or replaced while the service runs.

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

/// Nothing is accepted and nothing is read, because the file may be another one.
async fn nothing_is_answered(app: &TestApp, ledger: &Ledger) {
    for _ in 0..3 {
        assert_eq!(ledger.round(app).await, 0, "a report was acknowledged");
        is_not_ready(app).await;
        let path = "/v1/totals?form=ngay-30-7&period=2021-07&unit=87";
        is_refused_in_good_form(&get_at(app, &app.bases[0], path).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_while_the_sqlite_file_is_moved() {
    let mut app = TestApp::start(Way::Embedded).await;
    let (path, ledger) = (path_of(&app), Ledger::default());
    ledger.recovers(&app).await;
    for _ in 0..2 {
        std::fs::rename(&path, beside(&path, ".away")).unwrap();
        nothing_is_answered(&app, &ledger).await;
        assert!(!path.exists(), "a new file was made");
        std::fs::rename(beside(&path, ".away"), &path).unwrap();
        ledger.recovers(&app).await;
    }
    ledger.is_kept(&mut app, Way::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_to_another_file_in_place_of_the_sqlite_file() {
    let mut app = TestApp::start(Way::Embedded).await;
    let (path, ledger) = (path_of(&app), Ledger::default());
    ledger.recovers(&app).await;
    std::fs::rename(&path, beside(&path, ".away")).unwrap();
    std::fs::write(&path, b"").unwrap();
    nothing_is_answered(&app, &ledger).await;
    assert_eq!(
        std::fs::metadata(&path).unwrap().len(),
        0,
        "the other file was written to"
    );
    std::fs::rename(beside(&path, ".away"), &path).unwrap();
    ledger.recovers(&app).await;
    ledger.is_kept(&mut app, Way::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_after_the_sqlite_file_was_deleted() {
    let app = TestApp::start(Way::Embedded).await;
    let (path, ledger) = (path_of(&app), Ledger::default());
    ledger.recovers(&app).await;
    std::fs::remove_file(&path).unwrap();
    nothing_is_answered(&app, &ledger).await;
    assert!(!path.exists(), "a new file was made");
}

/// The last commits are only in the log. A clean stop writes them into the file.
#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_keeps_everything_after_the_log_was_deleted() {
    let mut app = TestApp::start(Way::Embedded).await;
    let (path, ledger) = (path_of(&app), Ledger::default());
    ledger.recovers(&app).await;
    std::fs::remove_file(beside(&path, "-wal")).unwrap();
    nothing_is_answered(&app, &ledger).await;
    app.apis[0].terminate();
    assert_eq!(app.apis[0].wait().code(), Some(0));
    app.restart(Way::Embedded).await;
    ledger.is_stored(&app).await;
    ledger.recovers(&app).await;
}
