//! Verification: totals equal the sums of the submissions, and every difference is reported.

use tonghop_storage::{Difference, Verification};

use crate::support::figures::{everything, flow_of, list};
use crate::support::{PERIOD, TestStore, recorded};

on_both!(
    refreshed_totals_pass_verification,
    totals_with_pending_changes_are_skipped,
    verification_reports_a_wrong_value,
    verification_reports_a_wrong_cell,
    verification_reports_a_wrong_count,
    verification_reports_a_wrong_completeness,
    verification_reports_a_wrong_number_of_expected_units,
    verification_reports_a_wrong_list,
    verification_reports_a_lost_total,
    verification_reports_a_change_without_a_mark,
    refreshing_everything_repairs_wrong_totals,
);

async fn verified(store: &TestStore, unit: &str) -> Verification {
    let unit = unit.parse().unwrap();
    store.verify(&store.scope(PERIOD), &unit).await.unwrap()
}

/// Refreshed reports: 777 from 01-A-1, of which 333 for women, and lists.
async fn reported(store: &TestStore) {
    let cells = [([("sex", "nu")], 333), ([("sex", "nam")], 444)];
    let figures = [flow_of(777, &cells), list(&["first", "second"])];
    recorded(store.send(store.write("01-A-1", figures)).await);
    store.reports("01-B-1", 1000).await;
    recorded(store.send(store.write("02-A-1", everything())).await);
    store.drain().await;
}

/// Changes the stored total of 01-A without the store.
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

/// The only difference, found from 01-A and from the root, and nowhere else.
async fn only_difference(store: &TestStore) -> Difference {
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

async fn refreshed_totals_pass_verification(store: TestStore) {
    assert_eq!(
        verified(&store, "VN").await.differing,
        [],
        "not even without reports"
    );
    reported(&store).await;
    let whole = verified(&store, "VN").await;
    assert_eq!((whole.skipped, whole.differing.len()), (0, 0));
    let part = verified(&store, "01-A").await;
    assert!(part.checked > 40 && whole.checked > 5 * part.checked);
    let leaf = verified(&store, "01-A-1").await;
    assert_eq!(leaf, Verification::default(), "a leaf has no total to verify");
}

async fn totals_with_pending_changes_are_skipped(store: TestStore) {
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

async fn verification_reports_a_wrong_value(store: TestStore) {
    reported(&store).await;
    tamper(&store, "777", "778").await;
    let difference = only_difference(&store).await;
    assert_eq!(
        told(&difference),
        (Some("FLOW"), "value", Some("778"), Some("777"))
    );
    assert!(difference.breakdown.is_empty());
}

async fn verification_reports_a_wrong_cell(store: TestStore) {
    reported(&store).await;
    tamper(&store, "333", "332").await;
    let difference = only_difference(&store).await;
    assert_eq!(
        told(&difference),
        (Some("FLOW"), "value", Some("332"), Some("333"))
    );
    assert_eq!(difference.breakdown, [("sex".into(), "nu".into())]);
}

async fn verification_reports_a_wrong_count(store: TestStore) {
    reported(&store).await;
    tamper(&store, r#""v":777,"n":[1,0,0,0]"#, r#""v":777,"n":[1,0,1,0]"#).await;
    let difference = only_difference(&store).await;
    assert_eq!(
        told(&difference),
        (Some("FLOW"), "not_done", Some("1"), Some("0"))
    );
}

/// The number of expected units is stored once for all indicators without rules, so each of them is wrong, too.
async fn verification_reports_a_wrong_completeness(store: TestStore) {
    reported(&store).await;
    tamper(&store, r#""expected":3"#, r#""expected":4"#).await;
    let differing = verified(&store, "VN").await.differing;
    let indicators = store.catalogue().indicators();
    let all = std::iter::once(None).chain(indicators.iter().map(|one| Some(one.code.as_str())));
    let expected: Vec<_> = all
        .map(|indicator| (indicator, "expected", Some("4"), Some("3")))
        .collect();
    let mut found: Vec<_> = differing.iter().map(told).collect();
    found.sort_by_key(|(indicator, ..)| {
        indicators
            .iter()
            .position(|one| Some(one.code.as_str()) == *indicator)
    });
    assert_eq!(found, expected);
}

async fn verification_reports_a_wrong_number_of_expected_units(store: TestStore) {
    reported(&store).await;
    tamper(
        &store,
        r#""late_count":0,"#,
        r#""late_count":0,"e":{"4":["FLOW"]},"#,
    )
    .await;
    let difference = only_difference(&store).await;
    assert_eq!(
        told(&difference),
        (Some("FLOW"), "expected", Some("4"), Some("3"))
    );
}

async fn verification_reports_a_wrong_list(store: TestStore) {
    reported(&store).await;
    tamper(&store, "second", "zecond").await;
    let difference = only_difference(&store).await;
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

async fn verification_reports_a_lost_total(store: TestStore) {
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

async fn verification_reports_a_change_without_a_mark(store: TestStore) {
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

async fn refreshing_everything_repairs_wrong_totals(store: TestStore) {
    reported(&store).await;
    tamper(&store, "777", "778").await;
    store.reports("02-A", 5).await;
    store.sql("DELETE FROM marks").await;
    assert!(!verified(&store, "VN").await.differing.is_empty());
    assert!(store.mark_all().await.unwrap() > 0);
    assert!(store.pending().await.unwrap() > 0);
    store.drain().await;
    store.assert_verified(PERIOD).await;
    assert_eq!(store.value("VN").await, Some(777 + 1000 - 7 + 5));
}
