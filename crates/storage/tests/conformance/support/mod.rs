//! A store on a fresh database with a small catalogue, and the vocabulary of the tests.

pub(crate) mod catalogue;
pub(crate) mod figures;
pub(crate) mod session;
pub(crate) mod site;

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::Duration;
use tonghop_domain::{
    Catalogue, Change, Content, Figure, KeyId, Origin, Outbox as _, Period, Precondition, Revision, Scope,
    SubmissionId, SubmissionKey, TokenDigest, TotalKey, UnitId,
};
use tonghop_storage::{DatabaseUrl, Idempotency, Outcome, Refreshed, Store, TotalRead, Write};
use tonghop_testkit::{TestDatabase, postgres_database, sqlite_database};

use catalogue::Parts;
use session::Session;

/// The form of the small catalogue.
pub(crate) const FORM: &str = "mau";
/// A period in which every report is on time.
pub(crate) const PERIOD: &str = "2199-07";
/// A period in which every report is late.
pub(crate) const PAST: &str = "2021-07";

/// Turns each function into two tests, one per database.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::$test($crate::support::TestStore::on_postgres().await).await;
                }
            )+
        }
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::$test($crate::support::TestStore::on_sqlite().await).await;
                }
            )+
        }
    };
}

/// The id and the digest of a new access key; all of them differ within a test process.
pub(crate) fn new_key() -> (KeyId, TokenDigest) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    (format!("{number:08}").parse().unwrap(), TokenDigest::new(digest))
}

/// Turns each function into two tests, one per language of PostgreSQL's errors.
macro_rules! in_both_languages {
    ($($test:ident),+ $(,)?) => {
        mod in_english {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::$test($crate::support::TestStore::on_postgres().await).await;
                }
            )+
        }
        mod in_german {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    if let Some(store) = $crate::support::TestStore::on_postgres_in_german().await {
                        super::$test(store).await;
                    }
                }
            )+
        }
    };
}

/// A store with its database, which is dropped with it.
pub(crate) struct TestStore {
    store: Store,
    pub(crate) url: DatabaseUrl,
    database: TestDatabase,
}

impl Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl TestStore {
    pub(crate) async fn on_postgres() -> Self {
        Self::on(postgres_database().await).await
    }

    /// On a server that reports errors in German; `None` when `TEST_WITHOUT_GERMAN` is set.
    ///
    /// # Panics
    /// When the server has no German messages.
    pub(crate) async fn on_postgres_in_german() -> Option<Self> {
        if std::env::var_os("TEST_WITHOUT_GERMAN").is_some() {
            eprintln!("LEFT OUT, since TEST_WITHOUT_GERMAN is set");
            return None;
        }
        let store = Self::on_postgres().await;
        store.session().await.speak_german().await;
        let catalogue = Parts::default().catalogue("first");
        Some(Self {
            store: Store::open(&store.url, catalogue).await.unwrap(),
            ..store
        })
    }

    pub(crate) async fn on_sqlite() -> Self {
        Self::on(sqlite_database()).await
    }

    async fn on(database: TestDatabase) -> Self {
        let url: DatabaseUrl = database.url().parse().unwrap();
        let catalogue = || Parts::default().catalogue("first");
        Store::migrate(&url, &catalogue()).await.unwrap();
        Self {
            store: Store::open(&url, catalogue()).await.unwrap(),
            url,
            database,
        }
    }

    /// The same database with another catalogue, as after `tonghop migrate` and a restart.
    pub(crate) async fn adopting(self, catalogue: impl Fn() -> Catalogue) -> Self {
        Store::migrate(&self.url, &catalogue()).await.unwrap();
        Self {
            store: Store::open(&self.url, catalogue()).await.unwrap(),
            ..self
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.url, DatabaseUrl::Postgres(_))
    }

    /// The URL of its PostgreSQL database.
    pub(crate) fn postgres_url(&self) -> String {
        self.database.url().to_owned()
    }

    /// A handle of the store, for another task.
    pub(crate) fn handle(&self) -> Store {
        self.store.clone()
    }

    /// As many processes as can use the database at once: two with PostgreSQL, one with SQLite.
    pub(crate) async fn processes(&self) -> [Store; 2] {
        let second = if self.is_postgres() {
            let catalogue = Parts::default().catalogue("first");
            Store::open(&self.url, catalogue).await.unwrap()
        } else {
            self.handle()
        };
        [self.handle(), second]
    }

    /// A separate session with the database.
    pub(crate) async fn session(&self) -> Session {
        Session::with(&self.url).await
    }

    /// Runs statements without the store.
    pub(crate) async fn sql(&self, statements: &str) {
        self.session().await.run(statements).await;
    }

    /// Runs statements as the owner of the tables, without their constraints.
    pub(crate) async fn tampers(&self, statements: &str) {
        let unbound = if self.is_postgres() {
            "SET session_replication_role = replica"
        } else {
            "PRAGMA foreign_keys = OFF"
        };
        self.sql(&format!("{unbound}; {statements}")).await;
    }

    /// The number of rows of a table.
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        let query = format!("SELECT count(*) FROM {table}");
        self.session().await.number(&query).await
    }

    pub(crate) fn scope(&self, period: &str) -> Scope {
        self.catalogue().scope(FORM, period.parse().unwrap()).unwrap()
    }

    pub(crate) fn unit_id(&self, unit: &str) -> UnitId {
        self.scope(PERIOD).tree.get(unit).unwrap().id()
    }

    pub(crate) fn key_for(&self, period: &str, unit: &str) -> SubmissionKey {
        SubmissionKey {
            form: FORM.parse().unwrap(),
            period: period.parse().unwrap(),
            unit: self.scope(period).tree.get(unit).unwrap().id(),
        }
    }

    pub(crate) fn total_key(&self, unit: &str) -> TotalKey {
        let SubmissionKey { form, period, unit } = self.key_for(PERIOD, unit);
        TotalKey { form, period, unit }
    }

    /// A report of some figures for [`PERIOD`], without a precondition.
    pub(crate) fn write(&self, unit: &str, figures: impl Into<Vec<Figure>>) -> Write {
        let content = Content {
            figures: figures.into(),
            note: None,
        };
        Write {
            new_id: SubmissionId::generate(),
            key: self.key_for(PERIOD, unit),
            change: Change::Report(content.into()),
            condition: Precondition::None,
            idempotency: None,
            origin: Origin::OPERATOR,
            action: "create_submission".into(),
        }
    }

    pub(crate) fn withdrawal(&self, unit: &str) -> Write {
        Write {
            change: Change::Withdraw,
            ..self.write(unit, [])
        }
    }

    pub(crate) async fn send(&self, write: Write) -> Outcome {
        self.record(write).await.unwrap()
    }

    /// Records a report of one number, which must be a new one.
    pub(crate) async fn reports(&self, unit: &str, flow: i64) -> Revision {
        recorded(self.send(self.write(unit, [figures::flow(flow)])).await)
    }

    pub(crate) async fn withdraws(&self, unit: &str) -> Revision {
        recorded(self.send(self.withdrawal(unit)).await)
    }

    pub(crate) async fn refreshes(&self, unit: &str) -> Refreshed {
        self.refresh(&self.total_key(unit)).await.unwrap()
    }

    /// Refreshes until nothing is marked.
    pub(crate) async fn drain(&self) {
        for _ in 0..100 {
            if self.pending().await.unwrap() == 0 {
                return;
            }
            let soon = self.now().await.unwrap() + Duration::seconds(1);
            let mut keys = self.stale(soon, 1000).await.unwrap();
            keys.sort();
            for refreshed in self.refresh_all(&keys).await {
                refreshed.unwrap();
            }
        }
        panic!("refreshing does not end");
    }

    pub(crate) async fn total_of(&self, unit: &str) -> TotalRead {
        let scope = self.scope(PERIOD);
        self.total(&scope, &unit.parse().unwrap()).await.unwrap()
    }

    /// The number of [`figures::flow`] in a total.
    pub(crate) async fn value(&self, unit: &str) -> Option<i64> {
        self.total_of(unit).await.total.rows[0].value
    }

    pub(crate) async fn pending_below(&self, unit: &str) -> i64 {
        self.total_of(unit).await.freshness.pending
    }

    /// Asserts that all totals of a period equal the sums of the submissions.
    pub(crate) async fn assert_verified(&self, period: &str) {
        let root = "VN".parse().unwrap();
        let verification = self.verify(&self.scope(period), &root).await.unwrap();
        assert_eq!((verification.skipped, verification.differing), (0, vec![]));
        assert!(verification.checked > 0);
    }

    /// Asserts that no table has a row of a change.
    pub(crate) async fn assert_empty(&self) {
        for table in [
            "submissions",
            "revisions",
            "totals",
            "marks",
            "idempotency_keys",
            "outbox",
        ] {
            assert_eq!(self.rows(table).await, 0, "{table}");
        }
    }

    /// Empties the outbox.
    pub(crate) async fn clear_outbox(&self) {
        let published: Vec<_> = self
            .claim(1000)
            .await
            .unwrap()
            .iter()
            .map(|news| news.id)
            .collect();
        self.settle(&published).await.unwrap();
    }
}

/// The revision that was just recorded.
pub(crate) fn recorded(outcome: Outcome) -> Revision {
    match outcome {
        Outcome::Recorded {
            revision,
            replayed: false,
        } => revision,
        other => panic!("not recorded: {other:?}"),
    }
}

/// A key of the one caller in most tests.
pub(crate) fn under(key: &str, request: &str) -> Option<Idempotency> {
    Some(Idempotency {
        caller: "district system".into(),
        key: key.into(),
        request: request.into(),
    })
}

pub(crate) fn period(text: &str) -> Period {
    text.parse().unwrap()
}
