//! An expiring certificate is replaced while the service runs.

use std::time::{Duration, Instant};

use tonghop_tests::{Authority, TestApp, Way};

use super::https::served;
use super::raw::Raw;

async fn shown(app: &TestApp, authority: &Authority) -> Vec<u8> {
    let address = app.bases[0].trim_start_matches("https://");
    Raw::connect(address, &authority.trust())
        .await
        .unwrap()
        .certificate()
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_loads_the_new_certificate_and_keeps_connections() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let app = served(Way::Servers, &authority, folder.path()).await;
    let address = app.bases[0].trim_start_matches("https://");
    let mut old = Raw::connect(address, &authority.trust()).await.unwrap();
    assert!(old.get("/livez").await.starts_with("HTTP/1.1 200"));
    authority.sign(&["127.0.0.1"]).write(folder.path());
    assert_eq!(
        shown(&app, &authority).await,
        old.certificate(),
        "before the signal"
    );
    app.apis[0].signal("HUP");
    let start = Instant::now();
    while shown(&app, &authority).await == old.certificate() {
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "the old certificate is still presented"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        old.get("/livez").await.starts_with("HTTP/1.1 200"),
        "the old connection stays open"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_replacement_is_not_loaded() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let mut app = served(Way::Embedded, &authority, folder.path()).await;
    let good = shown(&app, &authority).await;
    std::fs::write(folder.path().join("key.pem"), "not a key").unwrap();
    app.apis[0].signal("HUP");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        assert_eq!(shown(&app, &authority).await, good);
    }
    assert!(app.apis[0].is_running());
    authority.sign(&["127.0.0.1"]).write(folder.path());
    app.apis[0].signal("HUP");
    let start = Instant::now();
    while shown(&app, &authority).await == good {
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "a valid one after it is not presented"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
