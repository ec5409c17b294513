//! A key reaches the rows of its units only, whatever the code of the service does. PostgreSQL only, since a SQLite file
//! belongs to one process.

use futures_util::future::join_all;
use tokio_postgres::Client;
use tonghop_domain::{KeyId, Origin, Role};
use tonghop_storage::{AGGREGATOR_ROLE, API_ROLE, NewKey, StoreError, SubmissionFilter, Write};

use crate::support::catalogue::{Parts, unit};
use crate::support::figures::flow;
use crate::support::site::{Site, session};
use crate::support::{PERIOD, TestStore, new_key, recorded};

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
