//! Marks, and the refreshes that propagate a change up to the root.

use chrono::Duration;
use tonghop_storage::{Refreshed, Write};

use crate::support::catalogue::EXPECTED;
use crate::support::figures::{everything, flow};
use crate::support::{PAST, PERIOD, TestStore, recorded};

on_both!(
    a_report_marks_the_lowest_total_that_includes_it,
    a_refresh_marks_the_parent_since_the_earliest_change,
    a_refresh_without_marks_writes_nothing,
    a_report_propagates_to_the_root_level_by_level,
    a_unit_with_children_can_report,
    a_correction_replaces_the_figure_it_corrects,
    a_withdrawn_report_no_longer_counts,
    a_hundred_changes_refresh_a_total_once,
    totals_of_all_kinds_are_read_as_they_were_written,
    the_total_of_a_leaf_is_its_report,
    totals_are_per_period,
    the_oldest_marks_are_refreshed_first,
    a_refresh_reads_a_bounded_number_of_marks,
);

async fn a_report_marks_the_lowest_total_that_includes_it(store: TestStore) {
    for (reporting, first) in [
        ("01-A-1", "01-A"),
        ("01-X", "01"),
        ("02-A-1", "02-A"),
        ("02-A", "02-A"),
        ("VN-X", "VN"),
    ] {
        let soon = store.now().await.unwrap() + Duration::seconds(5);
        let revision = store.reports(reporting, 5).await;
        let key = store.total_key(first);
        assert_eq!(store.stale(soon, 10).await.unwrap(), std::slice::from_ref(&key));
        assert_eq!(store.pending().await.unwrap(), 1);
        // Reads of totals share a watermark that may be 20 ms old.
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        for above in ["VN", first] {
            let freshness = store.total_of(above).await.freshness;
            assert_eq!((freshness.pending, freshness.as_of), (1, revision.received_at));
        }
        assert_eq!(
            store.pending_below("01-B").await,
            0,
            "the mark is on no other total"
        );
        store.drain().await;
    }
}

async fn a_refresh_marks_the_parent_since_the_earliest_change(store: TestStore) {
    let first = store.reports("01-A-2", 5).await;
    store.reports("01-A-1", 6).await;
    assert_eq!(store.pending_below("01-A").await, 2);
    for (unit, parent) in [("01-A", Some("01")), ("01", Some("VN")), ("VN", None)] {
        let parent = parent.map(|parent| store.total_key(parent));
        assert_eq!(
            store.refreshes(unit).await,
            Refreshed::Written {
                parent: parent.clone()
            }
        );
        assert_eq!(store.pending_below(unit).await, 0);
        let freshness = store.total_of("VN").await.freshness;
        if parent.is_some() {
            assert_eq!((freshness.pending, freshness.as_of), (1, first.received_at));
        } else {
            assert_eq!(freshness.pending, 0);
            assert!(freshness.as_of > first.received_at);
        }
    }
    assert_eq!(store.pending().await.unwrap(), 0);
}

async fn a_refresh_without_marks_writes_nothing(store: TestStore) {
    assert_eq!(store.refreshes("01-A").await, Refreshed::Clean);
    store.assert_empty().await;
    store.reports("01-A-1", 5).await;
    assert_eq!(store.refreshes("01").await, Refreshed::Clean);
    assert_eq!(store.rows("totals").await, 0);
    store.drain().await;
    let before = store.total_of("01-A").await;
    assert_eq!(store.refreshes("01-A").await, Refreshed::Clean);
    let after = store.total_of("01-A").await;
    assert_eq!((before.version, before.total), (after.version, after.total));
}

async fn a_report_propagates_to_the_root_level_by_level(store: TestStore) {
    for (at, unit) in ["01-A-1", "01-A-2", "01-B-1", "01-X", "02-A-1", "VN-X"]
        .into_iter()
        .enumerate()
    {
        store.reports(unit, 10_i64.pow(at as u32)).await;
    }
    assert_eq!(store.value("VN").await, None, "nothing is refreshed yet");
    store.drain().await;
    for (unit, value, reported, expected) in [
        ("01-A", 11, 2, 3),
        ("01-B", 100, 1, 1),
        ("01", 1_111, 4, 5),
        ("02-A", 10_000, 1, 2),
        ("02", 10_000, 1, 2),
        ("VN", 111_111, 6, EXPECTED),
    ] {
        let read = store.total_of(unit).await;
        let (completeness, line) = (&read.total.completeness, &read.total.rows[0]);
        assert_eq!(line.value, Some(value), "{unit}");
        assert_eq!(
            (completeness.reported, completeness.expected),
            (reported, expected),
            "{unit}"
        );
        assert_eq!(line.counts.reporting, reported, "{unit}");
        assert!(read.version > 0);
    }
    store.assert_verified(PERIOD).await;
}

async fn a_unit_with_children_can_report(store: TestStore) {
    store.reports("02-A", 5).await;
    store.reports("02-A-1", 7).await;
    store.drain().await;
    for unit in ["02-A", "02"] {
        assert_eq!(store.value(unit).await, Some(12), "{unit}");
    }
    store.withdraws("02-A").await;
    store.drain().await;
    assert_eq!(store.value("02").await, Some(7));
    store.assert_verified(PERIOD).await;
}

async fn a_correction_replaces_the_figure_it_corrects(store: TestStore) {
    store.reports("01-A-1", 5).await;
    store.reports("01-A-2", 7).await;
    store.drain().await;
    store.reports("01-A-1", 50).await;
    assert_eq!(
        store.value("VN").await,
        Some(12),
        "the old total is served until it is refreshed"
    );
    assert_eq!(store.pending_below("VN").await, 1, "and says so");
    store.drain().await;
    assert_eq!(store.value("VN").await, Some(57));
    store.assert_verified(PERIOD).await;
}

async fn a_withdrawn_report_no_longer_counts(store: TestStore) {
    store.reports("01-A-1", 5).await;
    store.drain().await;
    store.withdraws("01-A-1").await;
    store.drain().await;
    let total = store.total_of("VN").await.total;
    assert_eq!((total.rows[0].value, total.completeness.reported), (None, 0));
    assert_eq!(total.completeness.counts().missing(), EXPECTED);
    assert_eq!(total.rows[0].counts.reporting, 0);
    store.assert_verified(PERIOD).await;
}

async fn a_hundred_changes_refresh_a_total_once(store: TestStore) {
    for value in 1..=100 {
        store
            .reports(["01-A-1", "01-A-2"][value as usize % 2], value)
            .await;
    }
    store.drain().await;
    for unit in ["01-A", "01", "VN"] {
        assert_eq!(store.total_of(unit).await.version, 1, "{unit}");
    }
    assert_eq!(store.value("VN").await, Some(199));
}

async fn totals_of_all_kinds_are_read_as_they_were_written(store: TestStore) {
    for unit in ["01-A-1", "01-A-2"] {
        recorded(store.send(store.write(unit, everything())).await);
    }
    store.drain().await;
    store.assert_verified(PERIOD).await;
    let lines = store.total_of("01").await.total.rows;
    let values: Vec<Option<i64>> = lines.iter().map(|line| line.value).collect();
    assert_eq!(
        values,
        [
            Some(-14),
            Some(2_000_000_000_000),
            Some(0),
            None,
            None,
            None,
            None,
            None
        ]
    );
    let cells: Vec<i64> = lines[0].cells.values().copied().collect();
    assert_eq!(cells, [-20, 6]);
    assert_eq!(lines[3].items.len(), 3, "each item once");
    let counts: Vec<[u32; 4]> = lines
        .iter()
        .map(|line| {
            [
                line.counts.reporting,
                line.counts.done_no_number,
                line.counts.not_done,
                line.counts.not_applicable,
            ]
        })
        .collect();
    assert!(counts[..5].iter().all(|counts| *counts == [2, 0, 0, 0]));
    assert_eq!(counts[5..], [[0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]]);
}

async fn the_total_of_a_leaf_is_its_report(store: TestStore) {
    let read = store.total_of("01-A-1").await;
    assert_eq!((read.version, read.total.completeness.counts().missing()), (0, 1));
    store.reports("01-A-1", 5).await;
    store.reports("01-A-1", 6).await;
    let read = store.total_of("01-A-1").await;
    assert_eq!(
        (read.version, read.total.rows[0].value, read.freshness.pending),
        (2, Some(6), 0)
    );
}

async fn totals_are_per_period(store: TestStore) {
    store.reports("01-A-1", 5).await;
    let past = Write {
        key: store.key_for(PAST, "01-A-1"),
        ..store.write("01-A-1", [flow(9)])
    };
    recorded(store.send(past).await);
    assert_eq!(store.pending_below("VN").await, 1);
    store.drain().await;
    assert_eq!(store.value("VN").await, Some(5));
    let past = store
        .total(&store.scope(PAST), &"VN".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(past.total.rows[0].value, Some(9));
    assert_eq!(store.scopes().await.unwrap().len(), 2);
}

async fn the_oldest_marks_are_refreshed_first(store: TestStore) {
    let first = store.reports("02-A-1", 1).await;
    store.reports("01-A-1", 2).await;
    let third = store.reports("01-B-1", 3).await;
    store.reports("02-A-1", 4).await;
    let keys = ["02-A", "01-A", "01-B"].map(|unit| store.total_key(unit));
    let soon = store.now().await.unwrap() + Duration::seconds(1);
    assert_eq!(store.stale(soon, 10).await.unwrap(), keys);
    assert_eq!(store.stale(soon, 2).await.unwrap(), keys[..2]);
    assert_eq!(store.stale(third.received_at, 10).await.unwrap(), keys[..2]);
    assert_eq!(store.stale(first.received_at, 10).await.unwrap(), []);
}

async fn a_refresh_reads_a_bounded_number_of_marks(store: TestStore) {
    store.reports("01-A-1", 5).await;
    let copies = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5999) \
        INSERT INTO marks (form, period, unit_id, since) SELECT form, period, unit_id, since FROM marks, n";
    store.sql(copies).await;
    assert_eq!(store.pending().await.unwrap(), 6000);
    store.refreshes("01-A").await;
    let left = store.pending_below("01-A").await;
    assert!((1..6000).contains(&left), "{left} marks are left");
    assert_eq!(store.value("01-A").await, Some(5));
    store.drain().await;
    assert_eq!(store.value("VN").await, Some(5));
}
