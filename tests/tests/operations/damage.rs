//! A damaged database file is found when the service starts, verifies or makes a backup, and while it runs.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use tonghop_tests::{Ended, Options, TestApp, Way, broadcasts, run_to_end};

/// A service with a file of some hundred pages.
async fn filled(folder: &Path) -> (TestApp, PathBuf) {
    let file = folder.join("tonghop.db");
    let options = Options {
        database_url: Some(format!("sqlite:{}", file.display())),
        ..Options::default()
    };
    let app = TestApp::start_with(Way::Embedded, options).await;
    for number in 1..=200 {
        let mut report = broadcasts(&(866 + number % 12).to_string(), number);
        report["note"] = "x".repeat(5_000).into();
        assert_eq!(app.post(&report).await.status, 201);
    }
    app.settled_totals("VN").await;
    (app, file)
}

/// Overwrites every other page but the first ones, as a failing disk might.
fn damage(file: &Path) {
    let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    connection
        .batch_execute("PRAGMA busy_timeout = 4000; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    drop(connection);
    let opened = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    let pages = opened.metadata().unwrap().len() / 4096;
    assert!(pages > 100, "{pages} pages");
    for page in (60..pages).step_by(2) {
        opened.write_all_at(&[0xa5; 4096], page * 4096).unwrap();
    }
}

fn fails(ended: &Ended) {
    assert_eq!(ended.code, Some(1), "{}{}", ended.output, ended.error);
    assert_eq!(ended.error.lines().count(), 1, "{}", ended.error);
    assert!(ended.error.contains("damaged"), "{}", ended.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_named_at_the_start_and_by_verify_and_backup() {
    let folder = tempfile::tempdir().unwrap();
    let (mut app, file) = filled(folder.path()).await;
    let copy = folder.path().join("copy.db");
    let tonghop = |arguments: &[&str]| run_to_end(app.command("tonghop").args(arguments));
    assert_eq!(tonghop(&["verify"]).code, Some(0));
    app.apis[0].terminate();
    assert!(app.apis[0].wait().success());
    damage(&file);
    let tonghop = |arguments: &[&str]| run_to_end(app.command("tonghop").args(arguments));
    fails(&tonghop(&["verify"]));
    fails(&tonghop(&["backup", copy.to_str().unwrap()]));
    assert!(!copy.exists());
    fails(&tonghop(&["serve"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_damaged_at_run_time_makes_the_service_unready() {
    let folder = tempfile::tempdir().unwrap();
    let (app, file) = filled(folder.path()).await;
    assert_eq!(app.get("/readyz").await.status, 200);
    damage(&file);
    let start = Instant::now();
    for number in 1.. {
        // New reports change the pages, so that those in memory are read again.
        app.post(&broadcasts("866", 1_000 + number)).await;
        app.get("/v1/submissions?limit=200").await;
        if app.get("/readyz").await.status == 503 {
            break;
        }
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "the service is ready with a damaged file"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(app.get("/livez").await.status, 200);
}
