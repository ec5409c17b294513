//! Backups taken under load and restored with the commands of docs/back-up.md.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tonghop_testkit::PrivatePostgres;
use tonghop_tests::{
    Ended, Options, Process, Revisions, TestApp, Way, broadcasts, corrupt, program, run_to_end,
};

/// The acknowledged revisions of each submission.
type Acknowledged = BTreeMap<String, Revisions>;

/// Twelve districts that report continuously.
struct Districts {
    acknowledged: Arc<Mutex<Acknowledged>>,
    count: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Districts {
    fn report_to(app: &Arc<TestApp>) -> Self {
        let (acknowledged, count, ends) = (Arc::default(), Arc::default(), Arc::default());
        let mut districts = Self {
            acknowledged,
            count,
            ends,
            tasks: Vec::new(),
        };
        for unit in 866..=877 {
            let (app, ends) = (app.clone(), districts.ends.clone());
            let (acknowledged, count) = (districts.acknowledged.clone(), districts.count.clone());
            districts.tasks.push(tokio::spawn(async move {
                for number in 1.. {
                    if ends.load(Ordering::Relaxed) {
                        return;
                    }
                    let answer = app.post(&broadcasts(&unit.to_string(), number)).await;
                    assert_eq!(answer.status, 201, "{}", answer.text);
                    note(&mut acknowledged.lock().unwrap(), &answer.json());
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        districts
    }

    /// Waits until this many more revisions were acknowledged.
    async fn report(&self, more: usize) {
        let (begin, wanted) = (Instant::now(), self.count.load(Ordering::Relaxed) + more);
        while self.count.load(Ordering::Relaxed) < wanted {
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "the districts are too slow"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn acknowledged(&self) -> Acknowledged {
        self.acknowledged.lock().unwrap().clone()
    }

    async fn stop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
    }
}

fn note(acknowledged: &mut Acknowledged, answer: &Value) {
    let revisions = acknowledged
        .entry(answer["id"].as_str().unwrap().into())
        .or_default();
    let value = answer["figures"][0]["value"].as_i64().unwrap();
    assert_eq!(
        revisions.insert(answer["revision"].as_i64().unwrap(), value),
        None
    );
}

/// The commands of a section of docs/back-up.md: for the backup and for the restore.
fn documented(part: &str) -> [String; 2] {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/back-up.md");
    let page = std::fs::read_to_string(page).unwrap();
    let part = page.split(&format!("\n## {part}\n")).nth(1).unwrap();
    let part = part.split("\n## ").next().unwrap();
    let blocks = part
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap().to_owned());
    let blocks: Vec<String> = blocks.collect();
    blocks.try_into().unwrap()
}

/// Runs commands in a shell that finds our programs and PostgreSQL's.
async fn shell(commands: &str, folder: &Path, database_url: &str) -> Ended {
    let find = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/postgres");
    let postgres = run_to_end(Command::new(find).arg("find")).output;
    let path = format!(
        "{}:{}:{}",
        program("tonghop").parent().unwrap().display(),
        postgres.trim(),
        std::env::var("PATH").unwrap()
    );
    let mut command = Command::new("sh");
    command.args(["-ec", commands]).current_dir(folder);
    command
        .env("PATH", path)
        .env("TONGHOP_DATABASE_URL", database_url);
    let ended = tokio::task::spawn_blocking(move || run_to_end(&mut command))
        .await
        .unwrap();
    assert_eq!(ended.code, Some(0), "{commands}: {}{}", ended.output, ended.error);
    ended
}

/// A service that was backed up under load, stopped later and restored.
struct Disaster {
    /// The revisions acknowledged before the backup began.
    before: Acknowledged,
    /// All acknowledged revisions.
    ever: Acknowledged,
    /// The administrator's token.
    admin_key: String,
}

impl Disaster {
    async fn strike(app: TestApp, folder: &Path, part: &str) -> Self {
        let app = Arc::new(app);
        let keyed = app
            .post_with(&broadcasts("87-SLDTBXH", 5), &[("Idempotency-Key", "kept")])
            .await;
        assert_eq!(keyed.status, 201, "{}", keyed.text);
        let mut districts = Districts::report_to(&app);
        note(&mut districts.acknowledged.lock().unwrap(), &keyed.json());
        districts.report(200).await;
        let [backup, restore] = documented(part);
        let (before, count) = (districts.acknowledged(), districts.count.load(Ordering::Relaxed));
        shell(&backup, folder, &app.database_url).await;
        let during = districts.count.load(Ordering::Relaxed) - count;
        assert!(during > 0, "reports go on meanwhile");
        districts.report(50).await;
        districts.stop().await;
        let ever = districts.acknowledged();
        let mut app = Arc::into_inner(app).unwrap();
        for process in app.apis.iter_mut().chain(&mut app.aggregators) {
            process.terminate();
            assert_eq!(process.wait().code(), Some(0));
        }
        let restored = shell(&restore, folder, &app.database_url).await;
        assert!(restored.output.contains(" 0 differ"), "{}", restored.output);
        Self {
            before,
            ever,
            admin_key: app.admin_key.clone(),
        }
    }

    /// Fails the test unless everything acknowledged before the backup is stored, nothing else was invented, and the
    /// service works.
    async fn is_overcome(&self, app: &TestApp) {
        let (mut sum, mut lost) = (0, 0);
        for (id, ever) in &self.ever {
            let history = app.history(id).await;
            let before = &self.before[id];
            assert!(
                before
                    .iter()
                    .all(|(number, value)| history.get(number) == Some(value)),
                "{id}"
            );
            assert!(
                history
                    .iter()
                    .all(|(number, value)| ever.get(number) == Some(value)),
                "{id}"
            );
            lost += ever.len() - history.len();
            sum += history.values().last().unwrap();
        }
        assert!(lost > 0, "the backup includes nothing later");
        assert_eq!(TestApp::value(&app.settled_totals("VN").await, "TT.PT"), sum);
        app.assert_verified("VN").await;
        // Access keys are restored, and with them their idempotency keys.
        let bearer = format!("Bearer {}", self.admin_key);
        let headers = [("Idempotency-Key", "kept"), ("Authorization", &bearer)];
        let replayed = app.post_with(&broadcasts("87-SLDTBXH", 5), &headers).await;
        assert_eq!(
            (replayed.status, replayed.header("idempotency-replayed")),
            (201, "true")
        );
        for unit in 866..=877 {
            let answer = app.post(&broadcasts(&unit.to_string(), 1_000_000)).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
        }
        assert_eq!(
            TestApp::value(&app.settled_totals("VN").await, "TT.PT"),
            12_000_005
        );
        app.assert_verified("VN").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sqlite_backup_under_load_restores_every_acknowledged_report() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let options = Options {
        database_url: Some(format!("sqlite:{}", data.join("tonghop.db").display())),
        ..Options::default()
    };
    let app = TestApp::start_with(Way::Embedded, options.clone()).await;
    let disaster = Disaster::strike(app, &data, "SQLite").await;
    disaster
        .is_overcome(&TestApp::start_with(Way::Embedded, options).await)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_backup_under_load_restores_acknowledged_reports() {
    let (postgres, folder) = (PrivatePostgres::start().await, tempfile::tempdir().unwrap());
    let on = |database_url| Options {
        database_url: Some(database_url),
        ..Options::default()
    };
    let app = TestApp::start_with(Way::Servers, on(postgres.url())).await;
    let disaster = Disaster::strike(app, folder.path(), "PostgreSQL").await;
    let url = postgres.url();
    let restored = format!("{}/tonghop_restored", url.rsplit_once('/').unwrap().0);
    // In a new namespace, because nothing in the broker is needed.
    disaster
        .is_overcome(&TestApp::start_with(Way::Servers, on(restored)).await)
        .await;
}

/// A service with some megabytes of idempotency keys, so that a copy takes a moment.
async fn heavy() -> TestApp {
    let app = TestApp::start(Way::Embedded).await;
    assert_eq!(app.post(&broadcasts("866", 63)).await.status, 201);
    app.settled_totals("VN").await;
    let ballast = "WITH RECURSIVE at(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM at WHERE n < 10) \
        INSERT INTO idempotency_keys SELECT 'ballast', n, hex(randomblob(500000)), 0, '', 0, '2199-01-01 00:00:00' FROM at";
    corrupt(&app.database_url, ballast).await;
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_backup_leaves_no_incomplete_file() {
    let (app, folder) = (heavy().await, tempfile::tempdir().unwrap());
    let backup = |name: &str| -> (PathBuf, Command) {
        let file = folder.path().join(name);
        let mut command = app.command("tonghop");
        command.arg("backup").arg(&file);
        (file, command)
    };
    let begin = Instant::now();
    let (whole, mut command) = backup("whole.db");
    assert_eq!(run_to_end(&mut command).code, Some(0));
    let (taken, size) = (begin.elapsed(), whole.metadata().unwrap().len());
    assert!(size > 10_000_000, "{size}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&whole.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "others can read the backup");
    let mut interrupted = 0;
    for at in 0..12 {
        let (file, mut command) = backup(&format!("{at}.db"));
        let process = Process::start(&mut command);
        tokio::time::sleep(taken * at / 11).await;
        // Killed.
        drop(process);
        match file.metadata() {
            Ok(metadata) => assert_eq!(metadata.len(), size, "an incomplete file"),
            Err(_) => interrupted += 1,
        }
    }
    assert!(
        interrupted > 3,
        "only {interrupted} were interrupted, too few for this test"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_overwrites_nothing_and_explains_what_it_cannot_do() {
    let (app, folder) = (TestApp::start(Way::Embedded).await, tempfile::tempdir().unwrap());
    app.post(&broadcasts("866", 63)).await;
    let file = folder.path().join("precious.db");
    std::fs::write(&file, "precious").unwrap();
    let backup = |file: &Path, database_url: &str| {
        run_to_end(
            app.command("tonghop")
                .arg("backup")
                .arg(file)
                .args(["--database-url", database_url]),
        )
    };
    let refused = backup(&file, &app.database_url);
    assert_eq!(
        (refused.code, refused.error.lines().count()),
        (Some(2), 1),
        "{}",
        refused.error
    );
    assert!(refused.error.contains("overwrites none"), "{}", refused.error);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    let fresh = folder.path().join("fresh.db");
    for (database_url, word) in [
        ("sqlite:/nowhere/x.db", "there is no database"),
        ("postgres://u:secret@127.0.0.1:1/x", "pg_dump"),
    ] {
        let refused = backup(&fresh, database_url);
        assert!(
            refused.code == Some(2) && refused.error.contains(word),
            "{}",
            refused.error
        );
    }
    assert_eq!(
        backup(Path::new("/nowhere/x.db"), &app.database_url).code,
        Some(2)
    );
    assert_eq!(
        json!(std::fs::read_dir(folder.path()).unwrap().count()),
        1,
        "nothing is left behind"
    );
}
