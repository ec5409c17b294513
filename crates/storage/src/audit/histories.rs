//! Honest histories: whatever the service does, and however the clock jumps, verification reports nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tonghop_domain::{
    Actor, AuditEntry, Change, Content, Figure, KeyId, Origin, Precondition, Reported, Role, SubmissionKey,
    TokenDigest, UnitId,
};
use tonghop_testkit::{TestDatabase, sqlite_database};

use crate::database::clock::tests::OFFSET;
use crate::database::url::DatabaseUrl;
use crate::model::Write;
use crate::queries::access_keys::NewKey;
use crate::store::Store;

/// The histories that a run tries; `AUDIT_HISTORIES` sets another number.
const HISTORIES: u64 = 200;

/// The histories of one database, after which another one begins.
const PER_DATABASE: u64 = 25;

const SECOND: i64 = 1_000_000;

struct Service {
    _database: TestDatabase,
    url: DatabaseUrl,
    store: Store,
    units: Vec<UnitId>,
    keys: Vec<KeyId>,
    known: Vec<tonghop_domain::SealHead>,
    random: fastrand::Rng,
    /// Counts values and keys.
    number: i64,
}

impl Service {
    async fn new(seed: u64) -> Self {
        let database = sqlite_database();
        let url: DatabaseUrl = database.url().parse().unwrap();
        let catalogue = tonghop_catalogue::built_in().unwrap();
        Store::migrate(&url, &catalogue).await.unwrap();
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
        OFFSET.fetch_add(step, Ordering::Relaxed);
        if self.chance(10) {
            let jump = self.random.i64(-7_200 * SECOND..3_600 * SECOND);
            OFFSET.fetch_add(jump, Ordering::Relaxed);
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
async fn nothing_is_reported_of_honest_histories() {
    let text = std::env::var("AUDIT_HISTORIES").ok();
    let histories = text.map_or(HISTORIES, |text| text.parse().unwrap());
    for first in (0..histories).step_by(PER_DATABASE as usize) {
        let mut service = Service::new(first).await;
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
    }
}
