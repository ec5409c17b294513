//! Unreadable rows: an error, never a panic, and no harm to other rows.

use futures_util::future::join_all;
use tonghop_domain::{Outbox as _, Revision};
use tonghop_storage::{Refreshed, StoreError, SubmissionFilter};

use crate::support::figures::flow;
use crate::support::{PERIOD, TestStore, recorded};

on_both!(
    unreadable_figures_are_corrupt,
    a_failing_total_does_not_block_its_group,
    an_unreadable_total_is_corrupt_until_it_is_refreshed,
    an_unreadable_head_fails_only_its_own_changes,
    a_mark_on_an_unknown_total_is_corrupt,
    an_unreadable_announcement_does_not_block_others,
);

fn is_corrupt<T: std::fmt::Debug>(what: &str, result: Result<T, StoreError>) {
    assert!(
        matches!(result, Err(StoreError::Corrupt(_))),
        "{what}: {result:?}"
    );
}

async fn unreadable_figures_are_corrupt(store: TestStore) {
    let revision = store.reports("01-A-1", 5).await;
    let id = revision.id;
    let (scope, district, leaf) = (
        store.scope(PERIOD),
        "01-A".parse().unwrap(),
        "01-A-1".parse().unwrap(),
    );
    for figures in [
        "",
        "no json",
        "{}",
        r#"[{"i":"FLOW"}]"#,
        r#"[{"i":"FLOW","v":"5"}]"#,
        r#"[{"i":"FLOW","v":99999999999999999999}]"#,
        r#"[{"i":"lower case","v":5}]"#,
        r#"[{"i":"FLOW","s":"perhaps"}]"#,
        r#"[{"i":"FLOW","v":5,"c":[[[["Sex","nu"]],5]]}]"#,
    ] {
        store
            .sql(&format!("UPDATE revisions SET figures = '{figures}'"))
            .await;
        is_corrupt(figures, store.submission(id).await);
        is_corrupt(figures, store.revision(id, 1).await);
        is_corrupt(figures, store.revisions(id, None, 10).await);
        is_corrupt(figures, store.submissions(SubmissionFilter::default(), 10).await);
        is_corrupt(figures, store.total(&scope, &leaf).await);
        is_corrupt(figures, store.completeness(&scope, &leaf).await);
        is_corrupt(figures, store.verify(&scope, &district).await);
        is_corrupt(figures, store.refresh(&store.total_key("01-A")).await);
    }
    assert_eq!(store.rows("marks").await, 1, "the change is still to be done");
    assert_eq!(store.rows("totals").await, 0);
    store.reports("02-A-1", 7).await;
    store.refreshes("02-A").await;
    assert_eq!(store.value("02-A").await, Some(7), "others go on");
    store.reports("01-A-1", 6).await;
    store.drain().await;
    assert_eq!(store.value("VN").await, Some(13), "and a correction mends it");
}

async fn a_failing_total_does_not_block_its_group(store: TestStore) {
    for (unit, value) in [("01-A-1", 5), ("01-B-1", 7), ("02-A-1", 11)] {
        store.reports(unit, value).await;
    }
    let id = store.reports("01-A-2", 1).await.id;
    let break_it = format!("UPDATE revisions SET figures = 'x' WHERE submission_id = '{id}'");
    store.sql(&break_it).await;
    let mut keys = ["01-A", "01-B", "02", "02-A"].map(|unit| store.total_key(unit));
    keys.sort();
    let done = store.refresh_all(&keys).await;
    for (key, refreshed) in keys.iter().zip(done) {
        if *key == store.total_key("01-A") {
            is_corrupt("01-A", refreshed);
        } else {
            assert!(
                matches!(refreshed, Ok(Refreshed::Written { .. } | Refreshed::Clean)),
                "{key:?}: {refreshed:?}"
            );
        }
    }
    assert_eq!(store.value("01-B").await, Some(7));
    assert_eq!(store.value("02-A").await, Some(11));
    store.reports("01-A-2", 2).await;
    store.drain().await;
    assert_eq!(store.value("VN").await, Some(25));
}

async fn an_unreadable_total_is_corrupt_until_it_is_refreshed(store: TestStore) {
    store.reports("01-A-1", 5).await;
    store.drain().await;
    let (scope, unit) = (store.scope(PERIOD), "01-A".parse().unwrap());
    for body in [
        "",
        "{}",
        r#"{"expected":-1,"reported":0,"missing":[],"late":[],"late_count":0,"rows":{}}"#,
        r#"{"expected":1,"reported":0,"missing":["a b"],"late":[],"late_count":0,"rows":{}}"#,
        r#"{"expected":1,"reported":0,"missing":[],"late":[],"late_count":0,"rows":{"FLOW":{"n":[1]}}}"#,
    ] {
        let id = store.unit_id("01-A").0;
        store
            .sql(&format!("UPDATE totals SET body = '{body}' WHERE unit_id = {id}"))
            .await;
        is_corrupt(body, store.total(&scope, &unit).await);
        let proof = store.verify(&scope, &"VN".parse().unwrap()).await.unwrap();
        let named: Vec<_> = proof
            .differing
            .iter()
            .map(|one| (one.unit.as_str(), one.number, one.served.as_deref()))
            .collect();
        assert_eq!(named, [("01-A", "total", Some("unreadable"))], "{body}");
        assert!(proof.checked > 100, "the others are compared: {}", proof.checked);
    }
    store.mark_all().await.unwrap();
    store.refreshes("01-A").await;
    assert_eq!(store.value("01-A").await, Some(5));
    store.drain().await;
    store.assert_verified(PERIOD).await;
}

async fn an_unreadable_head_fails_only_its_own_changes(store: TestStore) {
    store.reports("01-A-1", 5).await;
    let revision: Revision = store.reports("01-A-2", 5).await;
    // A table without its constraints would permit this.
    let unchecked = if store.is_postgres() {
        "ALTER TABLE submissions DROP CONSTRAINT submissions_status_check; SET session_replication_role = replica"
    } else {
        "PRAGMA ignore_check_constraints = ON"
    };
    let break_it = format!(
        "UPDATE submissions SET status = 'x' WHERE submission_id = '{}'",
        revision.id
    );
    store.sql(&format!("{unchecked}; {break_it}")).await;
    let sent =
        (0..40).map(|at| store.record(store.write(["01-A-1", "01-A-2"][at % 2], [flow(at as i64 + 100)])));
    for (at, outcome) in join_all(sent).await.into_iter().enumerate() {
        match at % 2 {
            0 => drop(recorded(outcome.unwrap())),
            _ => is_corrupt("a head", outcome),
        }
    }
}

async fn a_mark_on_an_unknown_total_is_corrupt(store: TestStore) {
    store.reports("01-A-1", 5).await;
    store.sql("UPDATE marks SET unit_id = 4711").await;
    let soon = store.now().await.unwrap() + chrono::Duration::seconds(1);
    let key = store.stale(soon, 10).await.unwrap().remove(0);
    is_corrupt("no such unit", store.refresh(&key).await);
    store.sql("UPDATE marks SET form = 'keine'").await;
    let key = store.stale(soon, 10).await.unwrap().remove(0);
    is_corrupt("no such form", store.refresh(&key).await);
    store.sql("UPDATE marks SET period = 'July'").await;
    assert_eq!(store.stale(soon, 10).await.unwrap(), []);
    assert_eq!(store.rows("totals").await, 0);
    // It blocks no other total.
    store.reports("01-A-2", 5).await;
    let soon = store.now().await.unwrap() + chrono::Duration::seconds(1);
    assert_eq!(store.stale(soon, 10).await.unwrap().len(), 1);
}

async fn an_unreadable_announcement_does_not_block_others(store: TestStore) {
    store.reports("01-A-1", 5).await;
    store.sql("UPDATE outbox SET announcement = '{}'").await;
    store.reports("01-A-2", 5).await;
    let claimed = store.claim(1).await.unwrap().len() + store.claim(1).await.unwrap().len();
    assert_eq!(claimed, 1);
}
