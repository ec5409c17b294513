//! The proof that totals are what the submissions add up to, and that it finds what is not.

use tonghop_storage::{Difference, Verification};

use crate::support::figures::{everything, flow_of, list};
use crate::support::{PERIOD, TestStore, recorded};

on_both!(
    after_all_refreshes_nothing_differs,
    totals_with_changes_pending_are_left_out,
    a_wrong_value_is_named,
    a_wrong_cell_is_named,
    a_wrong_count_is_named,
    a_wrong_completeness_is_named,
    a_wrong_list_is_named,
    a_lost_total_is_found,
    a_change_that_marked_nothing_is_found,
    a_refresh_of_everything_mends_it,
);

async fn verified(store: &TestStore, unit: &str) -> Verification {
    let unit = unit.parse().unwrap();
    store.verify(&store.scope(PERIOD), &unit).await.unwrap()
}

/// Some reports, all refreshed: 777 from 01-A-1, of it 333 for women, and lists.
async fn reported(store: &TestStore) {
    let cells = [([("sex", "nu")], 333), ([("sex", "nam")], 444)];
    let figures = [flow_of(777, &cells), list(&["first", "second"])];
    recorded(store.send(store.write("01-A-1", figures)).await);
    store.reports("01-B-1", 1000).await;
    recorded(store.send(store.write("02-A-1", everything())).await);
    store.drain().await;
}

/// Changes the stored total of 01-A behind the store's back.
async fn tamper(store: &TestStore, from: &str, to: &str) {
    let id = store.unit_id("01-A").0;
    let before = format!("SELECT count(*) FROM totals WHERE unit_id = {id} AND body LIKE '%{from}%'");
    assert_eq!(
        store.session().await.number(&before).await,
        1,
        "there is {from} to change"
    );
    store
        .sql(&format!(
            "UPDATE totals SET body = replace(body, '{from}', '{to}') WHERE unit_id = {id}"
        ))
        .await;
}

/// The one difference that there is, found from 01-A as from the root, and nowhere else.
async fn the_difference(store: &TestStore) -> Difference {
    let at_root = verified(store, "VN").await;
    assert_eq!(verified(store, "01-A").await.differing, at_root.differing);
    for other in ["02", "01-B"] {
        assert_eq!(verified(store, other).await.differing, [], "{other}");
    }
    let [difference] = at_root.differing.as_slice() else {
        panic!("one difference was expected: {:?}", at_root.differing)
    };
    assert_eq!(difference.unit.as_str(), "01-A");
    difference.clone()
}

fn told(difference: &Difference) -> (Option<&str>, &str, Option<&str>, Option<&str>) {
    (
        difference.indicator.as_ref().map(|code| code.as_str()),
        difference.number,
        difference.served.as_deref(),
        difference.recomputed.as_deref(),
    )
}

async fn after_all_refreshes_nothing_differs(store: TestStore) {
    assert_eq!(
        verified(&store, "VN").await.differing,
        [],
        "not even before anyone reported"
    );
    reported(&store).await;
    let whole = verified(&store, "VN").await;
    assert_eq!((whole.skipped, whole.differing.len()), (0, 0));
    let part = verified(&store, "01-A").await;
    assert!(part.checked > 40 && whole.checked > 5 * part.checked);
    let leaf = verified(&store, "01-A-1").await;
    assert_eq!(
        leaf,
        Verification::default(),
        "a report without units below is its own proof"
    );
}

async fn totals_with_changes_pending_are_left_out(store: TestStore) {
    reported(&store).await;
    store.reports("01-A-2", 5).await;
    let verification = verified(&store, "VN").await;
    assert_eq!(
        (verification.skipped, verification.differing.len()),
        (3, 0),
        "01-A, 01, VN"
    );
    assert!(verification.checked > 0);
    assert_eq!(verified(&store, "02").await.skipped, 0);
    store.refreshes("01-A").await;
    assert_eq!(verified(&store, "VN").await.skipped, 2);
    store.drain().await;
    assert_eq!(verified(&store, "VN").await.skipped, 0);
}

async fn a_wrong_value_is_named(store: TestStore) {
    reported(&store).await;
    tamper(&store, "777", "778").await;
    let difference = the_difference(&store).await;
    assert_eq!(
        told(&difference),
        (Some("FLOW"), "value", Some("778"), Some("777"))
    );
    assert!(difference.breakdown.is_empty());
}

async fn a_wrong_cell_is_named(store: TestStore) {
    reported(&store).await;
    tamper(&store, "333", "332").await;
    let difference = the_difference(&store).await;
    assert_eq!(
        told(&difference),
        (Some("FLOW"), "value", Some("332"), Some("333"))
    );
    assert_eq!(difference.breakdown, [("sex".into(), "nu".into())]);
}

async fn a_wrong_count_is_named(store: TestStore) {
    reported(&store).await;
    tamper(&store, r#""v":777,"n":[1,0,0,0]"#, r#""v":777,"n":[1,0,1,0]"#).await;
    let difference = the_difference(&store).await;
    assert_eq!(
        told(&difference),
        (Some("FLOW"), "not_done", Some("1"), Some("0"))
    );
}

async fn a_wrong_completeness_is_named(store: TestStore) {
    reported(&store).await;
    tamper(&store, r#""expected":3"#, r#""expected":4"#).await;
    let difference = the_difference(&store).await;
    assert_eq!(told(&difference), (None, "expected", Some("4"), Some("3")));
}

async fn a_wrong_list_is_named(store: TestStore) {
    reported(&store).await;
    tamper(&store, "second", "zecond").await;
    let difference = the_difference(&store).await;
    assert_eq!(
        told(&difference),
        (
            Some("LIST"),
            "items",
            Some("first; zecond"),
            Some("first; second")
        )
    );
}

async fn a_lost_total_is_found(store: TestStore) {
    reported(&store).await;
    let id = store.unit_id("01-A").0;
    store
        .sql(&format!("DELETE FROM totals WHERE unit_id = {id}"))
        .await;
    let differing = verified(&store, "VN").await.differing;
    assert!(
        differing
            .iter()
            .any(|one| told(one) == (Some("FLOW"), "value", None, Some("777")))
    );
    assert!(differing.iter().all(|one| one.unit.as_str() == "01-A"));
}

async fn a_change_that_marked_nothing_is_found(store: TestStore) {
    reported(&store).await;
    store.reports("01-A-1", 779).await;
    store.sql("DELETE FROM marks").await;
    let differing = verified(&store, "VN").await.differing;
    for unit in ["01-A", "01", "VN"] {
        let named = differing
            .iter()
            .any(|one| one.unit.as_str() == unit && one.number == "value");
        assert!(named, "{unit}");
    }
}

async fn a_refresh_of_everything_mends_it(store: TestStore) {
    reported(&store).await;
    tamper(&store, "777", "778").await;
    store.reports("02-A", 5).await;
    store.sql("DELETE FROM marks").await;
    assert!(!verified(&store, "VN").await.differing.is_empty());
    assert!(store.mark_all().await.unwrap() > 0);
    assert!(store.pending().await.unwrap() > 0);
    store.drain().await;
    store.is_proved(PERIOD).await;
    assert_eq!(store.value("VN").await, Some(777 + 1000 - 7 + 5));
}
