//! Rules that the database itself enforces, whatever the code of the service does: rows outside a key's units, and
//! rights that a role does not need. PostgreSQL only, since a SQLite file belongs to one process.

use futures_util::future::join_all;
use tokio_postgres::{Client, NoTls};
use tonghop_domain::{Actor, KeyId, Origin, Role, SubmissionId, UnitId};
use tonghop_storage::{
    AGGREGATOR_ROLE, API_ROLE, NewKey, Refreshed, Store, StoreError, SubmissionFilter, Write,
};
use tonghop_testkit::postgres_member;

use crate::support::catalogue::{Parts, unit};
use crate::support::figures::flow;
use crate::support::{FORM, PERIOD, TestStore, new_key, recorded};

/// A database with the stores of an api and of an aggregator, neither of which owns it.
struct Site {
    owner: TestStore,
    api: Store,
    aggregator: Store,
}

impl Site {
    async fn new() -> Self {
        let owner = TestStore::on_postgres().await;
        Self::with(owner, || Parts::default().catalogue("first")).await
    }

    async fn with(owner: TestStore, catalogue: impl Fn() -> tonghop_domain::Catalogue) -> Self {
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

    async fn key(&self, role: Role, unit: UnitId) -> KeyId {
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

    async fn key_of(&self, role: Role, unit: &str) -> KeyId {
        self.key(role, self.owner.unit_id(unit)).await
    }

    fn by(&self, key: &KeyId, write: Write) -> Write {
        Write {
            origin: Origin {
                actor: Actor::Key(key.clone()),
                ..Origin::OPERATOR
            },
            ..write
        }
    }

    /// Reports one number with a key of the unit.
    async fn reports(&self, unit: &str, number: i64) -> SubmissionId {
        let key = self.key_of(Role::Submitter, unit).await;
        let write = self.by(&key, self.owner.write(unit, [flow(number)]));
        recorded(self.api.record(write).await.unwrap()).id
    }

    /// Refreshes with the aggregator's rights until nothing is marked.
    async fn drain(&self) {
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
    async fn member(&self, role: &str) -> String {
        postgres_member(&self.postgres_url(), role).await
    }
}

async fn session(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn visible(client: &Client, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table}");
    client.query_one(&query, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_reads_only_its_units_even_if_nobody_checks() {
    let site = Site::new().await;
    let own = site.reports("01-A-1", 3).await;
    let others = site.reports("02-A-1", 5).await;
    site.drain().await;
    assert!(site.api.has_row_security().await.unwrap());
    assert!(!site.owner.has_row_security().await.unwrap());
    let district = site.key_of(Role::Reader, "01-A").await;
    let store = site.api.on_behalf_of(&district);
    assert!(store.submission(own).await.unwrap().is_some());
    assert!(store.revision(own, 1).await.unwrap().is_some());
    assert_eq!(store.submission(others).await.unwrap(), None);
    assert_eq!(store.revision(others, 1).await.unwrap(), None);
    assert_eq!(store.revisions(others, None, 10).await.unwrap().revisions, []);
    let listed = store
        .submissions(SubmissionFilter::default(), 10)
        .await
        .unwrap()
        .revisions;
    assert_eq!(
        listed.iter().map(|revision| revision.id).collect::<Vec<_>>(),
        [own]
    );
    let scope = site.owner.scope(PERIOD);
    let value = async |unit: &str| {
        let read = store.total(&scope, &unit.parse().unwrap()).await.unwrap();
        (read.total.rows[0].value, read.version)
    };
    assert_eq!(value("01-A").await.0, Some(3));
    for unit in ["VN", "01", "02", "02-A", "02-A-1"] {
        assert_eq!(value(unit).await, (None, 0), "{unit}");
    }
    let parts = async |unit: &str| {
        let (unit, code) = (unit.parse().unwrap(), "FLOW".parse().unwrap());
        let parts = store.contributions(&scope, &unit, &code).await.unwrap();
        parts.into_iter().filter_map(|part| part.value).sum::<i64>()
    };
    assert_eq!(
        (parts("01-A").await, parts("02-A").await, parts("VN").await),
        (3, 0, 0)
    );
    let completeness = store.completeness(&scope, &"VN".parse().unwrap()).await.unwrap();
    let reported = completeness.iter().filter(|unit| unit.report.is_some()).count();
    assert_eq!(reported, 1);
    // The service itself reads all, a key of the root as well, and an unknown key nothing.
    let root = site.api.on_behalf_of(&site.key_of(Role::Reader, "VN").await);
    assert_eq!(
        root.submissions(SubmissionFilter::default(), 10)
            .await
            .unwrap()
            .revisions
            .len(),
        2
    );
    let nobody = site.api.on_behalf_of(&new_key().0);
    assert_eq!(
        nobody
            .submissions(SubmissionFilter::default(), 10)
            .await
            .unwrap()
            .revisions,
        []
    );
}

in_both_languages!(a_key_changes_only_its_units_even_if_nobody_checks);

async fn a_key_changes_only_its_units_even_if_nobody_checks(owner: TestStore) {
    let site = Site::with(owner, || Parts::default().catalogue("first")).await;
    let before = site.reports("02-A-1", 5).await;
    let submitter = site.key_of(Role::Submitter, "01-A").await;
    let reader = site.key_of(Role::Reader, "02-A").await;
    let own = |unit: &str, number| site.by(&submitter, site.owner.write(unit, [flow(number)]));
    // One batch also contains changes of the key's own units, which are recorded.
    let writes = [
        own("01-A-1", 1),
        own("02-A-1", 1),
        own("01-A-2", 2),
        own("02-A", 2),
        site.by(&submitter, site.owner.withdrawal("02-A-1")),
        site.by(&reader, site.owner.write("02-A-1", [flow(9)])),
        site.by(&new_key().0, site.owner.write("02-A-1", [flow(9)])),
        own("01-A-3", 3),
    ];
    let outcomes = join_all(writes.map(|write| site.api.record(write))).await;
    for (at, outcome) in outcomes.into_iter().enumerate() {
        match at {
            0 | 2 | 7 => drop(recorded(outcome.unwrap())),
            _ => assert!(
                matches!(outcome, Err(StoreError::ConstraintViolated(_))),
                "{at}: {outcome:?}"
            ),
        }
    }
    let dry_run = site.api.rehearse(own("02-A-1", 1)).await;
    assert!(
        matches!(dry_run, Err(StoreError::ConstraintViolated(_))),
        "{dry_run:?}"
    );
    let unchanged = site.owner.submission(before).await.unwrap().unwrap();
    assert_eq!(unchanged.revision, 1);
    assert_eq!(site.owner.rows("revisions").await, 4);
    site.drain().await;
    assert_eq!(site.owner.value("VN").await, Some(11));
    site.owner.assert_verified(PERIOD).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_covers_units_by_the_tree_of_the_period() {
    let moved = || {
        let turn = "2022-01-01".parse().unwrap();
        let mut parts = Parts::default().with(unit("01-B", tonghop_domain::Level::District, Some("02")));
        let mut halves = parts.units.iter_mut().filter(|unit| unit.code.as_str() == "01-B");
        halves.next().unwrap().valid_to = Some(turn);
        halves.next().unwrap().valid_from = Some(turn);
        parts.catalogue("moved")
    };
    let site = Site::with(TestStore::on_postgres().await, moved).await;
    let mut value = 0;
    let (first, second) = (
        site.key_of(Role::Admin, "01").await,
        site.key_of(Role::Admin, "02").await,
    );
    // A key of the unit itself, which the administrator of its second province created.
    let (id, digest) = new_key();
    let new = NewKey {
        role: Role::Submitter,
        unit: site.owner.unit_id("01-B"),
        within: vec![site.owner.unit_id("02")],
        label: String::new(),
        expires_at: None,
    };
    let created = site.owner.create_key(id, digest, new, Origin::OPERATOR);
    let within = created.await.unwrap().id;
    for (period, may, may_not) in [
        ("2021-07", &first, &second),
        (PERIOD, &second, &first),
        ("2021-07", &first, &within),
        (PERIOD, &within, &first),
    ] {
        value += 1;
        let write = |key: &KeyId| Write {
            key: site.owner.key_for(period, "01-B-1"),
            ..site.by(key, site.owner.write("01-A-1", [flow(value)]))
        };
        let refused = site.api.record(write(may_not)).await;
        assert!(
            matches!(refused, Err(StoreError::ConstraintViolated(_))),
            "{period}: {refused:?}"
        );
        let id = recorded(site.api.record(write(may)).await.unwrap()).id;
        assert!(site.api.on_behalf_of(may).submission(id).await.unwrap().is_some());
        assert_eq!(
            site.api.on_behalf_of(may_not).submission(id).await.unwrap(),
            None,
            "{period}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_without_a_subject_reads_nothing() {
    let site = Site::new().await;
    site.reports("01-A-1", 3).await;
    site.drain().await;
    for role in [API_ROLE, AGGREGATOR_ROLE] {
        let client = session(&site.owner.member(role).await).await;
        for table in ["submissions", "revisions", "totals"] {
            assert_eq!(visible(&client, table).await, 0, "{role}: {table}");
        }
        client.batch_execute("SET tonghop.key = '*'").await.unwrap();
        for table in ["submissions", "revisions", "totals"] {
            assert!(visible(&client, table).await > 0, "{role}: {table}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_have_no_rights_beyond_their_needs() {
    let site = Site::new().await;
    site.reports("01-A-1", 3).await;
    site.drain().await;
    let owner = session(&site.owner.postgres_url()).await;
    let rows = owner
        .query(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
            &[],
        )
        .await
        .unwrap();
    let tables: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(tables.len() > 12, "{tables:?}");
    let (api, aggregator) = (
        session(&site.owner.member(API_ROLE).await).await,
        session(&site.owner.member(AGGREGATOR_ROLE).await).await,
    );
    let denied = async |client: &Client, statement: String| {
        let refused = client
            .batch_execute(&format!("SET tonghop.key = '*'; {statement}"))
            .await;
        let error = refused.expect_err(&statement);
        let code = error.code().map(|code| code.code().to_owned());
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {error:?}");
    };
    let untouchable = [
        "submissions",
        "revisions",
        "audit_batches",
        "audit_seals",
        "units",
        "unit_ancestry",
        "form_periods",
    ];
    for table in &tables {
        for client in [&api, &aggregator] {
            denied(client, format!("TRUNCATE {table}")).await;
            denied(client, format!("DROP TABLE {table}")).await;
            if untouchable.contains(&table.as_str()) {
                denied(client, format!("DELETE FROM {table}")).await;
            }
        }
    }
    for (table, column) in [
        ("revisions", "figures"),
        ("audit_batches", "entries"),
        ("audit_batches", "digest"),
        ("audit_seals", "head"),
        ("catalogue", "digest"),
        ("access_keys", "unit_id"),
        ("access_keys", "role"),
        ("access_keys", "digest"),
        ("access_keys", "created_by"),
        ("submissions", "submission_id"),
        ("submissions", "form"),
        ("submissions", "period"),
        ("submissions", "unit_id"),
    ] {
        denied(&api, format!("UPDATE {table} SET {column} = {column}")).await;
        denied(&aggregator, format!("UPDATE {table} SET {column} = {column}")).await;
    }
    // The api refreshes no totals; the aggregator records no reports and reads no keys.
    denied(&api, "UPDATE totals SET body = ''".into()).await;
    denied(&api, "DELETE FROM totals".into()).await;
    denied(&api, "INSERT INTO totals SELECT * FROM totals".into()).await;
    denied(&api, "DELETE FROM marks".into()).await;
    denied(&api, "DELETE FROM access_keys".into()).await;
    for statement in [
        "INSERT INTO submissions SELECT * FROM submissions",
        "UPDATE submissions SET status = 'withdrawn'",
        "INSERT INTO revisions SELECT * FROM revisions",
        "SELECT * FROM access_keys",
        "SELECT * FROM audit_batches",
        "SELECT request FROM idempotency_keys",
        "UPDATE idempotency_keys SET revision = 1",
    ] {
        denied(&aggregator, statement.into()).await;
    }
    // A head must match its revision, whether it is updated or inserted.
    for statement in [
        "UPDATE submissions SET status = 'withdrawn'",
        "INSERT INTO submissions (submission_id, form, period, unit_id, revision, status, digest, first_received_at, \
             received_at) \
         SELECT gen_random_uuid(), form, 'made up', unit_id, revision, status, digest, first_received_at, received_at \
         FROM submissions LIMIT 1",
    ] {
        let hidden = api
            .batch_execute(&format!("SET tonghop.key = '*'; {statement}"))
            .await;
        let message = format!("{:?}", hidden.expect_err(statement));
        assert!(message.contains("says what no revision says"), "{message}");
    }
}

/// What an api process never does is refused even to its own role.
#[tokio::test(flavor = "multi_thread")]
async fn heads_only_advance_and_revoked_keys_stay_revoked() {
    let site = Site::new().await;
    let key = site.key_of(Role::Submitter, "01-A-1").await;
    for number in 1..=3 {
        let write = site.by(&key, site.owner.write("01-A-1", [flow(number)]));
        recorded(site.api.record(write).await.unwrap());
    }
    site.api.revoke_key(key.clone(), Origin::OPERATOR).await.unwrap();
    let api = session(&site.owner.member(API_ROLE).await).await;
    let refused = async |statement: &str, expected: &str| {
        let refused = api
            .batch_execute(&format!("SET tonghop.key = '*'; {statement}"))
            .await;
        let error = refused.expect_err(statement);
        let code = error.code().map(|code| code.code().to_owned());
        assert_eq!(code.as_deref(), Some(expected), "{statement}: {error:?}");
    };
    for number in [1, 2, 3] {
        let back = format!(
            "UPDATE submissions SET (revision, received_at) = (SELECT revision, received_at FROM revisions \
             WHERE revision = {number})"
        );
        refused(&back, "23514").await;
    }
    // Nothing hides a gap in the numbers, and a temporary table does not take the place of a real one.
    for number in [5, i32::MAX] {
        let columns = "status, received_at, figures, note, actor, salt";
        let gap = format!(
            "INSERT INTO revisions (submission_id, revision, {columns}) \
             SELECT submission_id, {number}, {columns} FROM revisions WHERE revision = 3"
        );
        refused(&gap, "23514").await;
        let shadowed = format!(
            "CREATE TEMPORARY TABLE revisions AS \
             SELECT submission_id, {number} AS revision, status FROM public.revisions WHERE revision = 3; \
             UPDATE public.submissions SET revision = {number}"
        );
        refused(&shadowed, "23514").await;
    }
    for revoked_at in ["NULL", "'2199-01-01'"] {
        refused(
            &format!("UPDATE access_keys SET revoked_at = {revoked_at}"),
            "23514",
        )
        .await;
    }
    assert_eq!(site.owner.audit_faults().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_process_creates_keys_only_for_administrators() {
    let site = Site::new().await;
    let (admin, reader) = (
        site.key_of(Role::Admin, "01").await,
        site.key_of(Role::Reader, "VN").await,
    );
    let create = async |by: Actor, role: Role, unit: &str| {
        let (id, digest) = new_key();
        let new = NewKey {
            role,
            unit: site.owner.unit_id(unit),
            within: vec![site.owner.unit_id("01")],
            label: String::new(),
            expires_at: None,
        };
        let origin = Origin {
            actor: by,
            ..Origin::OPERATOR
        };
        site.api.create_key(id, digest, new, origin).await
    };
    let by_admin = || Actor::Key(admin.clone());
    assert!(create(by_admin(), Role::Admin, "01").await.is_ok());
    assert!(create(by_admin(), Role::Submitter, "01-A-1").await.is_ok());
    let monitor = create(by_admin(), Role::Metrics, "01").await;
    assert!(
        matches!(monitor, Err(StoreError::ConstraintViolated(_))),
        "{monitor:?}"
    );
    let (id, digest) = new_key();
    let everywhere = NewKey {
        role: Role::Reader,
        unit: site.owner.unit_id("01-A-1"),
        within: Vec::new(),
        label: String::new(),
        expires_at: None,
    };
    let origin = Origin {
        actor: by_admin(),
        ..Origin::OPERATOR
    };
    let unbound = site.api.create_key(id, digest, everywhere, origin).await;
    assert!(
        matches!(unbound, Err(StoreError::ConstraintViolated(_))),
        "{unbound:?}"
    );
    let refusals = [
        (by_admin(), "02-A-1"),
        (by_admin(), "VN"),
        (Actor::Key(reader), "01-A-1"),
        (Actor::Operator, "01-A-1"),
        (Actor::Key("nobody00".parse().unwrap()), "01-A-1"),
    ];
    for (by, unit) in refusals {
        let refused = create(by.clone(), Role::Reader, unit).await;
        assert!(
            matches!(refused, Err(StoreError::ConstraintViolated(_))),
            "{by} {unit}: {refused:?}"
        );
    }
    site.owner
        .revoke_key(admin.clone(), Origin::OPERATOR)
        .await
        .unwrap();
    assert!(create(by_admin(), Role::Reader, "01").await.is_err());
    assert_eq!(site.owner.audit_faults().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_hold_for_every_role() {
    let site = Site::new().await;
    site.reports("01-A-1", 3).await;
    let owner = session(&site.owner.postgres_url()).await;
    for statement in [
        "INSERT INTO revisions SELECT gen_random_uuid(), revision, status, received_at, figures, note, actor, salt FROM revisions",
        "UPDATE submissions SET unit_id = 9999999",
    ] {
        let refused = owner.batch_execute(statement).await.expect_err(statement);
        let code = refused.code().map(|code| code.code().to_owned());
        assert_eq!(code.as_deref(), Some("23503"), "{statement}: {refused:?}");
    }
    assert_eq!(site.owner.rows("revisions").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_have_the_rights_that_their_tasks_need() {
    let site = Site::new().await;
    let district = site.key_of(Role::Submitter, "01-A-1").await;
    let keyed = Write {
        idempotency: crate::support::under("k", "one"),
        ..site.by(&district, site.owner.write("01-A-1", [flow(1)]))
    };
    let revision = recorded(site.api.record(keyed.clone()).await.unwrap());
    site.api.record(keyed).await.unwrap();
    let conflict = Write {
        condition: tonghop_domain::Precondition::Current(9),
        ..site.by(&district, site.owner.write("01-A-1", [flow(2)]))
    };
    site.api.record(conflict).await.unwrap();
    site.drain().await;
    let told = site
        .api
        .aggregated_at(vec![(revision.key.clone(), revision.received_at)])
        .await
        .unwrap();
    assert!(told[0].is_some());
    site.api
        .note_key_uses(vec![(district.clone(), revision.received_at)])
        .await
        .unwrap();
    assert!(site.api.revoke_key(district, Origin::OPERATOR).await.unwrap());
    assert_eq!(site.api.keys().await.unwrap().len(), 1);
    for store in [&site.api, &site.aggregator] {
        store.ping().await.unwrap();
        store.backlog().await.unwrap();
        use tonghop_domain::Outbox as _;
        let published: Vec<_> = store
            .claim(100)
            .await
            .unwrap()
            .iter()
            .map(|news| news.id)
            .collect();
        store.settle(&published).await.unwrap();
    }
    assert_eq!(site.owner.rows("outbox").await, 0);
    site.aggregator.forget_old_keys().await.unwrap();
    assert!(site.api.seal().await.unwrap().is_some());
    assert_eq!(site.api.verify_audit(Vec::new()).await.unwrap().faults, []);
    assert_eq!(site.api.scopes().await.unwrap().len(), 1);
    let scope = site.owner.scope(PERIOD);
    let verified = site.api.verify(&scope, &"VN".parse().unwrap()).await.unwrap();
    assert_eq!((verified.skipped, verified.differing.len()), (0, 0));
    assert_eq!(scope.form.code.as_str(), FORM);
}
