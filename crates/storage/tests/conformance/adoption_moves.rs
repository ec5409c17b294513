//! Changed trees: the totals of the old and new parents become right.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tonghop_domain::{Catalogue, Level};
use tonghop_storage::{Outcome, Store, StoreError};

use crate::support::catalogue::{EXPECTED, Parts, unit};
use crate::support::figures::flow;
use crate::support::{PERIOD, TestStore};

on_both!(
    a_district_that_moves_takes_its_figures_with_it,
    a_unit_that_gains_children_keeps_its_own_report,
    the_total_of_a_unit_that_loses_its_children_is_its_own_report,
    a_new_unit_is_missing_in_the_totals_above_it,
    pending_changes_reach_the_totals_of_the_new_tree,
    marks_on_units_that_lost_their_children_are_deleted,
    a_change_during_adoption_is_recorded_by_one_catalogue_or_refused,
);

async fn values<const N: usize>(store: &TestStore, units: [&str; N]) -> [Option<i64>; N] {
    let mut values = [None; N];
    for (value, unit) in values.iter_mut().zip(units) {
        *value = store.value(unit).await;
    }
    values
}

async fn all_report(store: &TestStore) {
    let units = [
        "01-A-1", "01-A-2", "01-A-3", "01-B-1", "01-X", "02-A", "02-A-1", "VN-X",
    ];
    for (at, unit) in units.into_iter().enumerate() {
        store.reports(unit, 10_i64.pow(at as u32)).await;
    }
}

const PLACES: [&str; 6] = ["VN", "01", "02", "01-A", "01-B", "02-A"];

fn moved() -> Catalogue {
    Parts::default().moved("01-B", "02").catalogue("moved")
}

async fn a_district_that_moves_takes_its_figures_with_it(store: TestStore) {
    all_report(&store).await;
    store.drain().await;
    let store = store.adopting(moved).await;
    store.drain().await;
    let expected = [11_111_111, 10_111, 1_101_000, 111, 1_000, 1_100_000];
    assert_eq!(values(&store, PLACES).await, expected.map(Some));
    store.assert_verified(PERIOD).await;
    store.reports("01-B-1", 9_000).await;
    store.drain().await;
    assert_eq!(
        values(&store, ["01", "02"]).await,
        [Some(10_111), Some(1_109_000)]
    );

    let store = store.adopting(|| Parts::default().catalogue("back")).await;
    store.drain().await;
    assert_eq!(
        values(&store, ["01", "02"]).await,
        [Some(19_111), Some(1_100_000)]
    );
    store.assert_verified(PERIOD).await;
}

fn with_children() -> Catalogue {
    Parts::default()
        .with(unit("01-X-1", Level::Agency, Some("01-X")))
        .catalogue("with children")
}

async fn a_unit_that_gains_children_keeps_its_own_report(store: TestStore) {
    all_report(&store).await;
    store.drain().await;
    let store = store.adopting(with_children).await;
    store.drain().await;
    assert_eq!(values(&store, ["01-X", "01"]).await, [Some(10_000), Some(11_111)]);
    assert_eq!(store.total_of("01-X").await.total.completeness.expected, 2);
    store.assert_verified(PERIOD).await;
    store.reports("01-X-1", 5).await;
    store.drain().await;
    assert_eq!(values(&store, ["01-X", "01"]).await, [Some(10_005), Some(11_116)]);
    store.assert_verified(PERIOD).await;
}

async fn the_total_of_a_unit_that_loses_its_children_is_its_own_report(store: TestStore) {
    all_report(&store).await;
    store.drain().await;
    let moved = || Parts::default().moved("02-A-1", "02").catalogue("moved");
    let store = store.adopting(moved).await;
    store.drain().await;
    assert_eq!(
        values(&store, ["02-A", "02"]).await,
        [Some(100_000), Some(1_100_000)]
    );
    let rows = format!("totals WHERE unit_id = {}", store.unit_id("02-A").0);
    assert_eq!(store.rows(&rows).await, 0);
    store.assert_verified(PERIOD).await;
    store.reports("02-A", 3).await;
    store.drain().await;
    assert_eq!(values(&store, ["02-A", "02"]).await, [Some(3), Some(1_000_003)]);
}

async fn a_new_unit_is_missing_in_the_totals_above_it(store: TestStore) {
    all_report(&store).await;
    store.drain().await;
    let more = || {
        Parts::default()
            .with(unit("02-B", Level::District, Some("02")))
            .with(unit("02-B-1", Level::Commune, Some("02-B")))
            .catalogue("more")
    };
    let store = store.adopting(more).await;
    store.drain().await;
    for (unit, expected) in [("VN", EXPECTED + 1), ("02", 3), ("02-B", 1), ("01", 5)] {
        let completeness = store.total_of(unit).await.total.completeness;
        let missing = u32::from(unit != "01");
        assert_eq!(
            (completeness.expected, completeness.counts().missing()),
            (expected, missing),
            "{unit}"
        );
    }
    store.assert_verified(PERIOD).await;
}

async fn pending_changes_reach_the_totals_of_the_new_tree(store: TestStore) {
    all_report(&store).await;
    store.refreshes("01-B").await;
    store.refreshes("02-A").await;
    let store = store.adopting(moved).await;
    assert!(store.pending_below("02").await > 0);
    store.drain().await;
    let expected = [11_111_111, 10_111, 1_101_000, 111, 1_000, 1_100_000];
    assert_eq!(values(&store, PLACES).await, expected.map(Some));
    store.assert_verified(PERIOD).await;
}

/// A mark that no refresh can process would stay pending forever.
async fn marks_on_units_that_lost_their_children_are_deleted(store: TestStore) {
    all_report(&store).await;
    let moved = || {
        Parts::default()
            .moved("01-B-1", "01-A")
            .moved("02-A-1", "02")
            .catalogue("moved")
    };
    let store = store.adopting(moved).await;
    store.drain().await;
    assert_eq!(
        values(&store, ["01-A", "01-B", "01", "02"]).await,
        [Some(1_111), None, Some(11_111), Some(1_100_000)]
    );
    store.assert_verified(PERIOD).await;
}

/// A catalogue is adopted while reports arrive: none is lost between the two.
async fn a_change_during_adoption_is_recorded_by_one_catalogue_or_refused(store: TestStore) {
    let old = store.handle();
    let is_over = AtomicBool::new(false);
    let write = |value| store.write("01-B-1", [flow(value)]);
    let writing = async {
        let (mut recorded, mut refused) = (0, 0);
        for value in 1.. {
            match old.record(write(value)).await {
                Ok(Outcome::Recorded { .. }) => {
                    assert_eq!(refused, 0, "recorded after it was refused");
                    recorded = value;
                }
                Err(StoreError::CatalogueMismatch) => refused += 1,
                other => panic!("{other:?}"),
            }
            if is_over.load(Ordering::SeqCst) {
                break;
            }
        }
        (recorded, refused)
    };
    let refreshing = async {
        while !is_over.load(Ordering::SeqCst) {
            for unit in ["01-B", "01", "VN"] {
                match old.refresh(&store.total_key(unit)).await {
                    Ok(_) | Err(StoreError::CatalogueMismatch) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    let adopting = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Store::migrate(&store.url, &moved()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        is_over.store(true, Ordering::SeqCst);
    };
    let ((last, refused), (), ()) = tokio::join!(writing, refreshing, adopting);
    assert!(last > 0 && refused > 0);
    let store = store.adopting(moved).await;
    store.drain().await;
    assert_eq!(values(&store, ["01", "02"]).await, [None, Some(last)]);
    store.assert_verified(PERIOD).await;
}
