//! `GET /v1/changes` and `GET /v1/changes/stream`

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tonghop_tests::{EventStream, TestApp, Way, broadcasts, on_both_ways, on_every_way};

use crate::requests::{app_with_reports, ask_with};

/// The time within which a change must arrive; on a busy machine, more than the second that is promised.
const SOON: Duration = Duration::from_secs(20);

on_every_way!(
    changes_are_listed_in_the_order_of_recording,
    a_client_follows_goes_away_and_misses_nothing,
    each_key_sees_the_changes_of_its_units,
    a_stream_ends_with_its_key,
);

on_both_ways!(a_process_stops_while_clients_follow);

/// All changes after a cursor, in pages of about this many, and the cursor after them.
async fn pages(app: &TestApp, key: &str, mut after: Option<String>, limit: usize) -> (Vec<Value>, String) {
    let mut all = Vec::new();
    loop {
        let cursor = after.as_ref().map(|after| format!("&after={after}"));
        let path = format!("/v1/changes?limit={limit}{}", cursor.unwrap_or_default());
        let answer = ask_with(app, key, Method::GET, &path, None).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let page = answer.json();
        all.extend(page["changes"].as_array().unwrap().clone());
        let next = page["next_after"].as_str().unwrap().to_owned();
        if page["more"] == false {
            return (all, next);
        }
        after = Some(next);
    }
}

/// The submissions among some changes: unit, revision and status.
fn submissions(changes: &[Value]) -> Vec<(String, i64, String)> {
    let submissions = changes.iter().filter(|change| change["kind"] == "submission");
    let text = |value: &'_ Value| value.as_str().unwrap().to_owned();
    submissions
        .map(|change| {
            let revision = change["revision"].as_i64().unwrap();
            (text(&change["unit"]), revision, text(&change["status"]))
        })
        .collect()
}

fn row((unit, revision, status): (&str, i64, &str)) -> (String, i64, String) {
    (unit.to_owned(), revision, status.to_owned())
}

/// Follows until a change of a submission arrives with this unit and revision.
async fn follow_to(stream: &mut EventStream, unit: &str, revision: i64) -> Vec<Value> {
    let mut changes = Vec::new();
    while let Some(event) = stream.next(SOON).await {
        let is_last = event.data["unit"] == unit && event.data["revision"] == revision;
        changes.push(event.data);
        if is_last {
            return changes;
        }
    }
    panic!("revision {revision} of {unit} did not arrive: {changes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_cursor_is_refused() {
    let app = TestApp::start(Way::InProcess).await;
    for (path, name) in [
        ("/v1/changes?after=x", "after"),
        ("/v1/changes?after=7331", "after"),
        // Year -10706, which PostgreSQL cannot store.
        (
            "/v1/changes?after=662d343030303030303030303030303030303030",
            "after",
        ),
        ("/v1/changes?limit=0", "limit"),
        ("/v1/changes?limit=1001", "limit"),
        ("/v1/changes?cursor=1", "cursor"),
        ("/v1/changes/stream?after=x", "after"),
        ("/v1/changes/stream?limit=1", "limit"),
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
        assert_eq!(answer.json()["errors"][0]["parameter"], name, "{}", answer.text);
    }
    let headers = [("Last-Event-ID", "x")];
    let answer = app.ask(Method::GET, "/v1/changes/stream", &headers, None).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    let headers = [("Accept", "text/html")];
    for path in ["/v1/changes", "/v1/changes/stream"] {
        let answer = app.ask(Method::GET, path, &headers, None).await;
        assert_eq!(answer.status, 406, "{}", answer.text);
    }
}

/// A proxy would close a connection on which nothing comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_after_its_timeout_and_goes_on_after_its_last_event() {
    let app = TestApp::start(Way::InProcess).await;
    for revision in 1..=2 {
        assert_eq!(app.post(&broadcasts("866", revision)).await.status, 201);
    }
    let read = async |after: &str| {
        let path = format!("/v1/changes/stream?timeout_seconds=1{after}");
        let start = Instant::now();
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
        assert_eq!(answer.header("x-accel-buffering"), "no");
        let mut ids = answer.text.lines().filter_map(|line| line.strip_prefix("id: "));
        (ids.next_back().unwrap().to_owned(), answer.text)
    };
    let (last, first) = read("").await;
    assert!(first.contains(r#""revision":2"#), "{first}");
    assert_eq!(app.post(&broadcasts("866", 3)).await.status, 201);
    let (_, second) = read(&format!("&after={last}")).await;
    assert!(second.contains(r#""revision":3"#), "{second}");
    assert!(!second.contains(r#""revision":2"#), "{second}");
    for seconds in ["0", "3601", "1.5", ""] {
        let wrong = app
            .get(&format!("/v1/changes/stream?timeout_seconds={seconds}"))
            .await;
        assert_eq!(wrong.status, 400, "{seconds}");
        assert_eq!(wrong.json()["errors"][0]["parameter"], "timeout_seconds");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_changes_for_its_key_still_goes_on() {
    let app = TestApp::start(Way::InProcess).await;
    let quiet = app.create_key(&["--role", "reader", "--unit", "867"]);
    let mut stream = app.follow(&app.bases[0], "/v1/changes/stream", &quiet, &[]).await;
    assert_eq!(stream.next(Duration::from_secs(1)).await, None);
    let beginning = stream.last_id.clone();
    assert_eq!(app.post(&broadcasts("866", 1)).await.status, 201);
    let start = Instant::now();
    while stream.last_id == beginning {
        assert!(start.elapsed() < 2 * SOON, "no heartbeat");
        assert_eq!(stream.next(Duration::from_secs(1)).await, None);
    }
    assert!(
        start.elapsed() > Duration::from_secs(5),
        "each change of others is announced"
    );
}

/// The share of a key is half of what a process has. Each of them receives each change.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_follow_one_process_and_leave_room_for_others() {
    let app = TestApp::start(Way::Embedded).await;
    let [many, other] = ["866", "87"].map(|unit| app.create_key(&["--role", "reader", "--unit", unit]));
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", app.apis[0].id()));
        let line = status
            .ok()?
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:").map(str::to_owned))?;
        line.trim().strip_suffix(" kB")?.parse::<i64>().ok()
    };
    let before = memory();
    let mut streams = Vec::new();
    let path = "/v1/changes/stream?after=latest";
    for _ in 0..1_024 {
        streams.push(app.follow(&app.bases[0], path, &many, &[]).await);
    }
    let per_stream = before
        .zip(memory())
        .map(|(before, after)| (after - before) / 1_024);
    let refused = ask_with(&app, &many, Method::GET, path, None).await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert_eq!(refused.json()["code"], "share-used-up");
    let mut of_other = app.follow(&app.bases[0], path, &other, &[]).await;
    let sent = Instant::now();
    assert_eq!(app.post(&broadcasts("866", 1)).await.status, 201);
    for stream in &mut streams {
        let event = stream.next(SOON).await.expect("each receives it");
        assert_eq!(
            (&event.name[..], &event.data["unit"]),
            ("submission", &json!("866"))
        );
    }
    println!("all have it after {:?}; {per_stream:?} KiB each", sent.elapsed());
    assert!(of_other.next(SOON).await.is_some());
    drop(streams);
    // The service notices when it next sends something.
    let start = Instant::now();
    for number in 2.. {
        let again = ask_with(&app, &many, Method::HEAD, path, None).await;
        if again.status == 200 {
            break;
        }
        assert!(start.elapsed() < SOON, "the shares are not returned");
        assert_eq!(app.post(&broadcasts("866", number)).await.status, 201);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A client that does not read for a while no longer gets what the others are handed, and reads it from the database.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_falls_behind_receives_everything() {
    const BATCHES: i64 = 5;
    let app = TestApp::start(Way::InProcess).await;
    let path = "/v1/changes/stream?after=latest";
    let mut stream = app.follow(&app.bases[0], path, &app.admin_key, &[]).await;
    for batch in 0..BATCHES {
        let lines = (0..1_000).map(|line| {
            let unit = (866 + line % 12).to_string();
            broadcasts(&unit, batch * 1_000 + line).to_string()
        });
        let body = lines.collect::<Vec<_>>().join("\n");
        let headers = [("Content-Type", "application/x-ndjson")];
        let path = "/v1/submissions/batch.ndjson";
        let answer = app.ask(Method::POST, path, &headers, Some(body)).await;
        assert_eq!(
            answer.text.matches("\"status\":201").count(),
            1_000,
            "{}",
            answer.status
        );
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let mut last = std::collections::BTreeMap::new();
    for received in 1..=BATCHES * 1_000 {
        let event = loop {
            let event = stream.next(SOON).await;
            let event = event.unwrap_or_else(|| panic!("event {received} does not arrive"));
            if event.name == "submission" {
                break event.data;
            }
        };
        let revision = event["revision"].as_i64().unwrap();
        let before = last.insert(event["unit"].to_string(), revision);
        assert_eq!(before.unwrap_or_default() + 1, revision, "{event}");
    }
}

mod stories {
    use super::*;

    pub(super) async fn changes_are_listed_in_the_order_of_recording(way: Way) {
        let app = TestApp::start(way).await;
        let (none, start) = pages(&app, &app.admin_key, None, 10).await;
        assert_eq!(none, [Value::Null; 0]);
        let mut ids = Vec::new();
        for (unit, number) in [("866", 1), ("867", 2), ("866", 3)] {
            let answer = app.post(&broadcasts(unit, number)).await;
            ids.push(answer.json()["id"].as_str().unwrap().to_owned());
        }
        let headers = [("If-Match", "*")];
        let path = format!("/v1/submissions/{}", ids[1]);
        assert_eq!(app.ask(Method::DELETE, &path, &headers, None).await.status, 200);
        app.settled_totals("VN").await;
        // What has just been refreshed appears when the clock has gone on.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let expected = [
            ("866", 1, "accepted"),
            ("867", 1, "accepted"),
            ("866", 2, "accepted"),
            ("867", 2, "withdrawn"),
        ]
        .map(row);
        let (whole, end) = pages(&app, &app.admin_key, None, 1_000).await;
        assert_eq!(submissions(&whole), expected, "{whole:?}");
        let times: Vec<_> = whole
            .iter()
            .map(|change| change["at"].as_str().unwrap())
            .collect();
        assert!(times.is_sorted(), "{times:?}");
        let totals = whole.iter().filter(|change| change["kind"] == "total");
        let units: std::collections::BTreeSet<_> =
            totals.map(|change| change["unit"].as_str().unwrap()).collect();
        assert_eq!(units.into_iter().collect::<Vec<_>>(), ["87", "VN"]);
        // Each leads to what it is about.
        for change in &whole {
            let answer = app.get(change["link"].as_str().unwrap()).await;
            assert_eq!(answer.status, 200, "{change}: {}", answer.text);
            if change["kind"] == "submission" {
                assert_eq!(answer.json()["id"], change["submission"]);
                assert_eq!(answer.json()["revision"], change["revision"]);
                assert_eq!(answer.json()["received_at"], change["at"]);
            }
        }
        let (from_start, _) = pages(&app, &app.admin_key, Some(start), 1).await;
        assert_eq!(submissions(&from_start), expected);
        let (after_all, latest) = pages(&app, &app.admin_key, Some("latest".to_owned()), 10).await;
        assert_eq!(after_all, [Value::Null; 0]);
        assert_eq!(latest, end);
        assert_eq!(app.post(&broadcasts("868", 1)).await.status, 201);
        app.settled_totals("VN").await;
        let (new, _) = pages(&app, &app.admin_key, Some(end), 10).await;
        assert_eq!(submissions(&new), [row(("868", 1, "accepted"))]);
    }

    pub(super) async fn a_client_follows_goes_away_and_misses_nothing(way: Way) {
        let app = TestApp::start(way).await;
        assert_eq!(app.post(&broadcasts("866", 1)).await.status, 201);
        app.settled_totals("VN").await;
        let base = app.bases.last().unwrap();
        let accept = [("Accept", "text/event-stream")];
        let mut latest = app
            .follow(base, "/v1/changes?after=latest", &app.admin_key, &accept)
            .await;
        let mut all = app.follow(base, "/v1/changes/stream", &app.admin_key, &[]).await;
        let sent = Instant::now();
        assert_eq!(app.post(&broadcasts("867", 1)).await.status, 201);
        let new = follow_to(&mut latest, "867", 1).await;
        println!("arrived after {:?}", sent.elapsed());
        assert_eq!(submissions(&new), [row(("867", 1, "accepted"))]);
        let seen = follow_to(&mut all, "867", 1).await;
        assert_eq!(
            submissions(&seen),
            [("866", 1, "accepted"), ("867", 1, "accepted")].map(row)
        );
        // The total of the country follows.
        while all.next(SOON).await.expect("totals follow").data["unit"] != "VN" {}
        let last_id = all.last_id.clone();
        drop((all, latest));
        for number in 2..5 {
            assert_eq!(app.post(&broadcasts("867", number)).await.status, 201);
        }
        let headers = [("Last-Event-ID", last_id.as_str())];
        // The header has precedence, since a browser repeats the address.
        let path = "/v1/changes/stream?after=latest";
        let mut again = app.follow(&app.bases[0], path, &app.admin_key, &headers).await;
        let missed = follow_to(&mut again, "867", 4).await;
        let revisions: Vec<_> = submissions(&missed)
            .into_iter()
            .map(|(_, revision, _)| revision)
            .collect();
        assert_eq!(revisions, [2, 3, 4]);
        let path = format!("/v1/changes/stream?after={last_id}");
        let mut by_cursor = app.follow(base, &path, &app.admin_key, &[]).await;
        let missed = follow_to(&mut by_cursor, "867", 4).await;
        assert_eq!(submissions(&missed).len(), 3);
    }

    pub(super) async fn each_key_sees_the_changes_of_its_units(way: Way) {
        let (app, ..) = app_with_reports(way).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let keys = [
            ("866", vec!["866"], vec![]),
            ("867", vec!["867"], vec![]),
            ("87", vec!["866", "867"], vec!["87"]),
            ("VN", vec!["866", "867"], vec!["87", "VN"]),
            ("87-SLDTBXH", vec![], vec![]),
        ]
        .map(|row| (app.create_key(&["--role", "reader", "--unit", row.0]), row));
        let stream_path = "/v1/changes/stream";
        for (key, (unit, reports, totals)) in &keys {
            let (listed, _) = pages(&app, key, None, 1).await;
            let units: Vec<_> = submissions(&listed).into_iter().map(|(unit, ..)| unit).collect();
            assert_eq!(&units, reports, "{unit}");
            let refreshed = listed.iter().filter(|change| change["kind"] == "total");
            let refreshed: std::collections::BTreeSet<_> =
                refreshed.map(|change| change["unit"].as_str().unwrap()).collect();
            assert_eq!(&refreshed.into_iter().collect::<Vec<_>>(), totals, "{unit}");
            let mut stream = app.follow(&app.bases[0], stream_path, key, &[]).await;
            for change in &listed {
                assert_eq!(
                    stream.next(SOON).await.map(|event| event.data).as_ref(),
                    Some(change)
                );
            }
        }
        for (number, (key, (unit, reports, totals))) in (100..).zip(&keys) {
            let path = format!("{stream_path}?after=latest");
            let mut stream = app.follow(&app.bases[0], &path, key, &[]).await;
            // One that only keys of more than a district cover, and then one of the own unit.
            assert_eq!(app.post(&broadcasts("868", number)).await.status / 100, 2);
            let Some(own) = reports.last() else {
                assert_eq!(stream.next(Duration::from_secs(1)).await, None);
                continue;
            };
            let answer = app.post(&broadcasts(own, number)).await;
            let new = follow_to(&mut stream, own, answer.json()["revision"].as_i64().unwrap()).await;
            let has_other = submissions(&new).into_iter().any(|(unit, ..)| unit == "868");
            assert_eq!(has_other, !totals.is_empty(), "{unit}: {new:?}");
        }
    }

    pub(super) async fn a_stream_ends_with_its_key(way: Way) {
        let app = TestApp::start(way).await;
        let key = app.create_key(&["--role", "reader"]);
        let path = "/v1/changes/stream?after=latest";
        let mut streams = Vec::new();
        for base in &app.bases {
            streams.push(app.follow(base, path, &key, &[]).await);
        }
        let path = format!("/v1/keys/{}", &key[3..11]);
        assert_eq!(app.ask(Method::DELETE, &path, &[], None).await.status, 200);
        for stream in &mut streams {
            assert!(stream.ends(SOON).await, "it goes on");
        }
    }

    pub(super) async fn a_process_stops_while_clients_follow(way: Way) {
        let mut app = TestApp::start(way).await;
        let base = app.bases[0].clone();
        let mut stream = app.follow(&base, "/v1/changes/stream", &app.admin_key, &[]).await;
        let stopped = Instant::now();
        app.apis[0].terminate();
        assert!(stream.ends(SOON).await, "it goes on");
        assert!(app.apis[0].wait().success());
        assert!(
            stopped.elapsed() < SOON,
            "requests in progress may take 30 s: a stream must end at once"
        );
    }
}
