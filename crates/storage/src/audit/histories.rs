//! Honest histories: whatever the service does, and however the clock jumps, verification reports nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio_postgres::{Client, NoTls};
use tonghop_domain::{
    Actor, AuditEntry, Change, Content, Figure, KeyId, Origin, Precondition, Reported, Role, SubmissionId,
    SubmissionKey, TokenDigest, UnitId,
};
use tonghop_testkit::{TestDatabase, postgres_database, sqlite_database};

use crate::database::clock::tests::OFFSET;
use crate::database::url::DatabaseUrl;
use crate::model::Write;
use crate::queries::access_keys::NewKey;
use crate::store::Store;

/// The histories that a run tries; `AUDIT_HISTORIES` sets another number.
const ON_SQLITE: u64 = 200;
const ON_POSTGRES: u64 = 25;

/// The histories of one database, after which another one begins.
const PER_DATABASE: u64 = 25;

const SECOND: i64 = 1_000_000;

/// What replaces the clock of a PostgreSQL server in one database.
const JUMPING_CLOCK: &str = "
    CREATE SCHEMA jumping;
    CREATE TABLE jumping.clock (ahead INTERVAL NOT NULL);
    INSERT INTO jumping.clock VALUES ('0');
    CREATE FUNCTION jumping.clock_timestamp() RETURNS TIMESTAMPTZ LANGUAGE sql VOLATILE AS
        'SELECT pg_catalog.clock_timestamp() + ahead FROM jumping.clock';
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET search_path = jumping, pg_catalog, public', current_database());
    END $$";

/// The clock by which the service orders changes.
enum Clock {
    OfProcess,
    OfServer(Client),
}

impl Clock {
    /// A clock of a server that can be set, for sessions that begin later.
    async fn of_server(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(JUMPING_CLOCK).await.unwrap();
        Self::OfServer(client)
    }

    async fn advance(&self, microseconds: i64) {
        match self {
            Self::OfProcess => {
                OFFSET.fetch_add(microseconds, Ordering::Relaxed);
            }
            Self::OfServer(client) => {
                let moved = format!("UPDATE jumping.clock SET ahead = ahead + '{microseconds} microseconds'");
                client.batch_execute(&moved).await.unwrap();
            }
        }
    }
}

/// Asserts that the service seals by the clock that is set, not by that of the server.
async fn assert_sealed_by(clock: &Clock) {
    if let Clock::OfServer(client) = clock {
        let apart = "SELECT abs(extract(epoch FROM max(sealed_at) - pg_catalog.clock_timestamp() AT TIME ZONE 'UTC'))::float8 \
            FROM public.audit_seals";
        let apart: f64 = client.query_one(apart, &[]).await.unwrap().get(0);
        assert!(apart > 60.0, "{apart} s apart");
    }
}

struct Service {
    _database: TestDatabase,
    url: DatabaseUrl,
    store: Store,
    clock: Clock,
    units: Vec<UnitId>,
    keys: Vec<KeyId>,
    known: Vec<tonghop_domain::SealHead>,
    random: fastrand::Rng,
    /// Counts values and keys.
    number: i64,
}

impl Service {
    async fn new(database: TestDatabase, seed: u64) -> Self {
        let url: DatabaseUrl = database.url().parse().unwrap();
        let catalogue = tonghop_catalogue::built_in().unwrap();
        Store::migrate(&url, &catalogue).await.unwrap();
        let clock = match url {
            DatabaseUrl::Postgres(_) => Clock::of_server(database.url()).await,
            DatabaseUrl::Sqlite(_) => Clock::OfProcess,
        };
        let store = Store::open(&url, catalogue).await.unwrap();
        let scope = store
            .catalogue()
            .scope("ngay-30-7", "2021-07".parse().unwrap())
            .unwrap();
        let reporting = scope
            .tree
            .places()
            .filter(|place| scope.form.is_reported_by(place.unit()));
        let units = reporting.map(|place| place.id()).take(5).collect();
        Self {
            _database: database,
            url,
            store,
            clock,
            units,
            keys: Vec::new(),
            known: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
            number: 0,
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.u32(0..100) < percent
    }

    fn origin() -> Origin {
        Origin {
            actor: Actor::Key("8kQ2vY1c".parse().unwrap()),
            ..Origin::OPERATOR
        }
    }

    async fn restart(&mut self) {
        self.store.close().await;
        let catalogue = tonghop_catalogue::built_in().unwrap();
        self.store = Store::open(&self.url, catalogue).await.unwrap();
    }

    async fn records(&mut self) {
        self.number += 1;
        let unit = self.units[self.random.usize(0..self.units.len())];
        let figure = Figure {
            indicator: "TT.PT".parse().unwrap(),
            reported: Reported::Value(self.number),
            cells: Vec::new(),
        };
        let change = if self.chance(20) {
            Change::Withdraw
        } else {
            Change::Report(Arc::new(Content {
                figures: vec![figure],
                note: None,
            }))
        };
        let write = Write {
            new_id: SubmissionId::generate(),
            key: SubmissionKey {
                form: "ngay-30-7".parse().unwrap(),
                period: "2021-07".parse().unwrap(),
                unit,
            },
            change,
            condition: Precondition::None,
            idempotency: None,
            origin: Self::origin(),
            action: "create_submission".into(),
        };
        self.store.record(write).await.unwrap();
    }

    async fn changes_keys(&mut self) {
        if self.chance(40)
            && let Some(id) = self.keys.pop()
        {
            self.store.revoke_key(id, Self::origin()).await.unwrap();
            return;
        }
        self.number += 1;
        let id: KeyId = format!("{:08}", self.number).parse().unwrap();
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&self.number.to_be_bytes());
        let new = NewKey {
            role: Role::Reader,
            unit: self.units[0],
            within: Vec::new(),
            label: String::new(),
            expires_at: None,
        };
        let created = self
            .store
            .create_key(id.clone(), TokenDigest::new(digest), new, Self::origin());
        created.await.unwrap();
        self.keys.push(id);
    }

    /// About a second of a service, at whose end it usually seals.
    async fn lives_a_second(&mut self) {
        let step = self.random.i64(SECOND / 10..SECOND * 2);
        self.clock.advance(step).await;
        if self.chance(10) {
            let jump = self.random.i64(-7_200 * SECOND..3_600 * SECOND);
            self.clock.advance(jump).await;
        }
        for _ in 0..self.random.u32(0..4) {
            match self.random.u32(0..5) {
                0 => self.changes_keys().await,
                1 => {
                    let entry = AuditEntry::new(Self::origin(), "get_total", "read");
                    self.store.note(vec![entry]).await.unwrap();
                }
                _ => self.records().await,
            }
        }
        if self.chance(5) {
            self.restart().await;
        }
        if self.chance(90) {
            self.known.extend(self.store.seal().await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reported_of_honest_histories_on_sqlite() {
    nothing_is_reported_of_honest_histories(ON_SQLITE, async || sqlite_database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reported_of_honest_histories_on_postgres() {
    nothing_is_reported_of_honest_histories(ON_POSTGRES, postgres_database).await;
}

async fn nothing_is_reported_of_honest_histories(
    unless_told: u64,
    new_database: impl AsyncFn() -> TestDatabase,
) {
    let text = std::env::var("AUDIT_HISTORIES").ok();
    let histories = text.map_or(unless_told, |text| text.parse().unwrap());
    for first in (0..histories).step_by(PER_DATABASE as usize) {
        let mut service = Service::new(new_database().await, first).await;
        for history in first..(first + PER_DATABASE).min(histories) {
            for _ in 0..8 {
                service.lives_a_second().await;
            }
            let found = service.store.verify_audit(service.known.clone()).await.unwrap();
            assert_eq!(found.faults, [], "history {history}");
            assert_eq!(
                service.store.lagging_heads().await.unwrap(),
                [],
                "history {history}"
            );
        }
        // Whatever the clock did, nothing is left unsealed for good.
        service.known.extend(service.store.seal().await.unwrap());
        let found = service.store.verify_audit(service.known.clone()).await.unwrap();
        assert_eq!((found.unsealed, found.faults), (0, vec![]));
        assert_sealed_by(&service.clock).await;
    }
}
