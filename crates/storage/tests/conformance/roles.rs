//! The role of a process has the rights that its tasks need and no others. PostgreSQL only, since a SQLite file belongs to
//! one process.

use tokio_postgres::Client;
use tonghop_domain::{Actor, Origin, Role};
use tonghop_storage::{AGGREGATOR_ROLE, API_ROLE, NewKey, StoreError, Write};

use crate::support::figures::flow;
use crate::support::site::{Site, session};
use crate::support::{FORM, PERIOD, new_key, recorded, under};

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
        idempotency: under("k", "one"),
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
