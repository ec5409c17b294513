//! A PostgreSQL database whose processes have only the rights of their roles.

use tokio_postgres::{Client, NoTls};
use tonghop_domain::{Actor, KeyId, Origin, Role, SubmissionId, UnitId};
use tonghop_storage::{AGGREGATOR_ROLE, API_ROLE, NewKey, Refreshed, Store, Write};
use tonghop_testkit::postgres_member;

use super::catalogue::Parts;
use super::figures::flow;
use super::{TestStore, new_key, recorded};

/// A database with the stores of an api and of an aggregator, neither of which owns it.
pub(crate) struct Site {
    pub(crate) owner: TestStore,
    pub(crate) api: Store,
    pub(crate) aggregator: Store,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let owner = TestStore::on_postgres().await;
        Self::with(owner, || Parts::default().catalogue("first")).await
    }

    pub(crate) async fn with(owner: TestStore, catalogue: impl Fn() -> tonghop_domain::Catalogue) -> Self {
        let owner = owner.adopting(&catalogue).await;
        assert!(Store::grant(&owner.url).await.unwrap());
        assert!(Store::grant(&owner.url).await.unwrap(), "granting is repeatable");
        let store = async |role: &str| {
            let url = owner.member(role).await.parse().unwrap();
            Store::open(&url, catalogue()).await.unwrap()
        };
        Self {
            api: store(API_ROLE).await,
            aggregator: store(AGGREGATOR_ROLE).await,
            owner,
        }
    }

    pub(crate) async fn key(&self, role: Role, unit: UnitId) -> KeyId {
        let (id, digest) = new_key();
        let new = NewKey {
            role,
            unit,
            within: Vec::new(),
            label: String::new(),
            expires_at: None,
        };
        self.owner
            .create_key(id, digest, new, Origin::OPERATOR)
            .await
            .unwrap()
            .id
    }

    pub(crate) async fn key_of(&self, role: Role, unit: &str) -> KeyId {
        self.key(role, self.owner.unit_id(unit)).await
    }

    pub(crate) fn by(&self, key: &KeyId, write: Write) -> Write {
        Write {
            origin: Origin {
                actor: Actor::Key(key.clone()),
                ..Origin::OPERATOR
            },
            ..write
        }
    }

    /// Reports one number with a key of the unit.
    pub(crate) async fn reports(&self, unit: &str, number: i64) -> SubmissionId {
        let key = self.key_of(Role::Submitter, unit).await;
        let write = self.by(&key, self.owner.write(unit, [flow(number)]));
        recorded(self.api.record(write).await.unwrap()).id
    }

    /// Refreshes with the aggregator's rights until nothing is marked.
    pub(crate) async fn drain(&self) {
        while self.owner.pending().await.unwrap() > 0 {
            let soon = self.owner.now().await.unwrap() + chrono::Duration::seconds(1);
            for key in self.aggregator.stale(soon, 1000).await.unwrap() {
                assert_ne!(self.aggregator.refresh(&key).await.unwrap(), Refreshed::Clean);
            }
        }
    }
}

impl TestStore {
    /// The database's URL for a user with a role.
    pub(crate) async fn member(&self, role: &str) -> String {
        postgres_member(&self.postgres_url(), role).await
    }
}

/// A connection without the code of the store.
pub(crate) async fn session(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
