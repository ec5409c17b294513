//! Reads of totals: contributions, completeness, and whether a revision is aggregated.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tonghop_domain::{Expectation, Level, ReportStatus, Reported, Revision};
use tonghop_storage::{Contribution, StoreError, Write};

use crate::support::catalogue::Parts;
use crate::support::figures::{figure, flow, list, text};
use crate::support::{PAST, PERIOD, TestStore, recorded};

on_both!(
    contributions_add_up_to_the_total_and_name_their_submissions,
    children_with_totals_contribute_their_totals,
    units_without_a_report_contribute_nothing,
    contributions_include_flags_lists_and_texts_as_reported,
    a_long_list_is_truncated_and_marked,
    completeness_lists_every_expected_unit_once,
    rules_decide_who_is_expected_to_report_an_indicator,
    a_report_after_the_due_time_is_late_until_it_is_withdrawn,
    a_revision_is_aggregated_once_its_province_includes_it,
    a_revision_outside_provinces_is_aggregated_in_the_root,
    an_unknown_unit_is_an_error_and_no_panic,
);

async fn contributions(store: &TestStore, unit: &str, indicator: &str) -> Vec<Contribution> {
    let scope = store.scope(PERIOD);
    let (unit, indicator) = (unit.parse().unwrap(), indicator.parse().unwrap());
    store.contributions(&scope, &unit, &indicator).await.unwrap()
}

fn units(contributions: &[Contribution]) -> Vec<&str> {
    contributions.iter().map(|one| one.unit.as_str()).collect()
}

async fn contributions_add_up_to_the_total_and_name_their_submissions(store: TestStore) {
    store.reports("01-A-1", 4).await;
    let corrected = store.reports("01-A-1", 5).await;
    let other = store.reports("01-A-3", -2).await;
    store.drain().await;
    let parts = contributions(&store, "01-A", "FLOW").await;
    assert_eq!(units(&parts), ["01-A-1", "01-A-2", "01-A-3"]);
    assert_eq!(parts[0].submission, Some((corrected.id, 2)));
    assert_eq!(parts[0].reported, Some(Reported::Value(5)));
    assert_eq!(parts[2].submission, Some((other.id, 1)));
    let sum: i64 = parts.iter().filter_map(|part| part.value).sum();
    assert_eq!(Some(sum), store.value("01-A").await);
}

async fn children_with_totals_contribute_their_totals(store: TestStore) {
    let own = store.reports("02-A", 1).await;
    store.reports("02-A-1", 10).await;
    store.reports("01-A-1", 100).await;
    let agency = store.reports("01-X", 1000).await;
    store.drain().await;

    let parts = contributions(&store, "02-A", "FLOW").await;
    assert_eq!(units(&parts), ["02-A", "02-A-1"], "the unit's own part first");
    assert_eq!(parts[0].submission, Some((own.id, 1)));
    assert_eq!(parts[0].value, Some(1), "its own part, not its total");

    let parts = contributions(&store, "02", "FLOW").await;
    assert_eq!(units(&parts), ["02-A"]);
    assert_eq!(parts[0].value, Some(11));
    assert_eq!((&parts[0].submission, &parts[0].reported), (&None, &None));

    let parts = contributions(&store, "01", "FLOW").await;
    assert_eq!(units(&parts), ["01-A", "01-B", "01-X"]);
    let values: Vec<Option<i64>> = parts.iter().map(|part| part.value).collect();
    assert_eq!(values, [Some(100), None, Some(1000)]);
    assert_eq!(parts[2].submission, Some((agency.id, 1)));

    let parts = contributions(&store, "VN", "FLOW").await;
    assert_eq!(units(&parts), ["01", "02", "VN-X"]);
    let sum: i64 = parts.iter().filter_map(|part| part.value).sum();
    assert_eq!(Some(sum), store.value("VN").await);

    let parts = contributions(&store, "01-X", "FLOW").await;
    assert_eq!(units(&parts), ["01-X"], "a leaf is its own part");
}

async fn units_without_a_report_contribute_nothing(store: TestStore) {
    recorded(store.send(store.write("01-A-1", [text("chỉ lời văn")])).await);
    recorded(
        store
            .send(store.write("01-A-2", [figure("FLOW", Reported::DoneNoNumber)]))
            .await,
    );
    store.reports("01-A-3", 5).await;
    store.withdraws("01-A-3").await;
    store.drain().await;
    let parts = contributions(&store, "01-A", "FLOW").await;
    let said: Vec<_> = parts.iter().map(|part| (part.value, &part.reported)).collect();
    assert_eq!(
        said,
        [
            (None, &None),
            (None, &Some(Reported::DoneNoNumber)),
            (None, &None)
        ]
    );
    assert!(parts[0].submission.is_some(), "it reported, if not of this");
    assert_eq!(
        parts[2].submission, None,
        "a withdrawn report contributes nothing"
    );
}

async fn contributions_include_flags_lists_and_texts_as_reported(store: TestStore) {
    for (unit, flag, item) in [
        ("01-A-1", true, "b"),
        ("01-A-2", false, "a"),
        ("01-A-3", true, "b"),
    ] {
        let figures = [
            figure("FLAG", Reported::Flag(flag)),
            list(&[item, "c"]),
            text(unit),
        ];
        recorded(store.send(store.write(unit, figures)).await);
    }
    store.drain().await;
    let total = store.total_of("01-A").await.total;
    let flags = contributions(&store, "01-A", "FLAG").await;
    let yes: i64 = flags.iter().filter_map(|part| part.value).sum();
    assert_eq!((yes, total.rows[2].value), (2, Some(2)));
    assert_eq!(flags[1].reported, Some(Reported::Flag(false)));

    let lists = contributions(&store, "01-A", "LIST").await;
    assert_eq!(lists[0].items, ["b", "c"]);
    assert_eq!(
        total.rows[3].items,
        ["b", "c", "a"],
        "in the order of the units, without duplicates"
    );

    let texts = contributions(&store, "01-A", "TEXT").await;
    let words: Vec<_> = texts.iter().map(|part| part.reported.clone()).collect();
    assert_eq!(
        words,
        ["01-A-1", "01-A-2", "01-A-3"].map(|unit| Some(Reported::Text(unit.into())))
    );
    assert_eq!((total.rows[4].value, total.rows[4].counts.reporting), (None, 3));
}

async fn a_long_list_is_truncated_and_marked(store: TestStore) {
    for unit in ["01-A-1", "01-A-2", "01-A-3"] {
        let items: Vec<String> = (0..100).map(|at| format!("{unit} {at}")).collect();
        let items: Vec<&str> = items.iter().map(String::as_str).collect();
        recorded(store.send(store.write(unit, [list(&items)])).await);
    }
    store.drain().await;
    for unit in ["01-A", "VN"] {
        let line = &store.total_of(unit).await.total.rows[3];
        assert_eq!((line.items.len(), line.items_truncated), (200, true), "{unit}");
    }
    store.assert_verified(PERIOD).await;
}

async fn completeness_lists_every_expected_unit_once(store: TestStore) {
    let first = store.reports("02-A", 1).await;
    let last = store.reports("02-A", 2).await;
    store.reports("01-A-1", 3).await;
    store.withdraws("01-A-1").await;
    let scope = store.scope(PERIOD);
    let rows = store.completeness(&scope, &"VN".parse().unwrap()).await.unwrap();
    let codes: Vec<&str> = rows.iter().map(|row| row.unit.as_str()).collect();
    assert_eq!(
        codes,
        [
            "01-A-1", "01-A-2", "01-A-3", "01-B-1", "01-X", "02-A", "02-A-1", "VN-X"
        ]
    );
    for row in &rows {
        match (row.unit.as_str(), &row.report) {
            ("02-A", Some(times)) => {
                assert_eq!((times.submission, times.revision), (first.id, 2));
                assert_eq!(times.first_received_at, first.received_at);
                assert_eq!(times.last_received_at, last.received_at);
                assert_eq!(row.status, ReportStatus::OnTime);
            }
            (_, report) => assert_eq!(report, &None, "withdrawn is missing too"),
        }
    }
    let below = store
        .completeness(&scope, &"01-B".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(below.len(), 1);
}

async fn rules_decide_who_is_expected_to_report_an_indicator(store: TestStore) {
    let expected_of = |indicator: &str, levels: &[Level], units: &[&str]| Expectation {
        indicators: vec![indicator.parse().unwrap()],
        levels: levels.to_vec(),
        units: units.iter().map(|unit| unit.parse().unwrap()).collect(),
    };
    let ruled = || {
        let mut parts = Parts::default();
        parts.forms[0].expectations = vec![
            expected_of("FLOW", &[Level::Agency], &[]),
            expected_of("FLOW", &[], &["01-A-2"]),
            expected_of("STOCK", &[], &[]),
        ];
        parts.catalogue("ruled")
    };
    let expected = async |store: &TestStore, unit: &str| -> Vec<u32> {
        let rows = store.total_of(unit).await.total.rows;
        rows.iter().take(3).map(|row| row.counts.expected).collect()
    };
    let store = store.adopting(ruled).await;
    assert_eq!(expected(&store, "VN").await, [3, 0, 8], "without reports");
    store.reports("01-A-1", 5).await;
    store.drain().await;
    assert_eq!(
        expected(&store, "VN").await,
        [4, 0, 8],
        "with one that was not asked"
    );
    assert_eq!(expected(&store, "01-A").await, [2, 0, 3]);
    assert_eq!(expected(&store, "01-A-1").await, [1, 0, 1]);
    assert_eq!(
        units(&contributions(&store, "01-A", "FLOW").await),
        ["01-A-1", "01-A-2"]
    );
    assert_eq!(
        units(&contributions(&store, "01", "FLOW").await),
        ["01-A", "01-X"]
    );
    assert_eq!(
        units(&contributions(&store, "01", "STOCK").await),
        Vec::<&str>::new()
    );
    let rows = store
        .completeness(&store.scope(PERIOD), &"01-A".parse().unwrap())
        .await
        .unwrap();
    let answers: Vec<(u32, u32)> = rows
        .iter()
        .map(|row| (row.indicators.expected, row.indicators.answered))
        .collect();
    assert_eq!(
        answers,
        [(6, 0), (7, 0), (6, 0)],
        "what was not asked is no answer"
    );
    store.reports("01-A-2", 5).await;
    let rows = store
        .completeness(&store.scope(PERIOD), &"01-A-2".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(rows[0].indicators.answered, 1);
    store.drain().await;
    store.assert_verified(PERIOD).await;

    let store = store.adopting(|| Parts::default().catalogue("first")).await;
    store.drain().await;
    assert_eq!(
        expected(&store, "VN").await,
        [8, 8, 8],
        "without rules, of all who report the form"
    );
    store.assert_verified(PERIOD).await;
}

async fn a_report_after_the_due_time_is_late_until_it_is_withdrawn(store: TestStore) {
    let late = Write {
        key: store.key_for(PAST, "01-A-1"),
        ..store.write("01-A-1", [flow(9)])
    };
    recorded(store.send(late.clone()).await);
    store.drain().await;
    let (scope, unit) = (store.scope(PAST), "01-A".parse().unwrap());
    let rows = store.completeness(&scope, &unit).await.unwrap();
    assert_eq!(rows[0].status, ReportStatus::Late);
    let completeness = store.total(&scope, &unit).await.unwrap().total.completeness;
    assert_eq!((completeness.reported, completeness.late_count), (1, 1));
    assert_eq!(completeness.late, [rows[0].unit.clone()]);
    assert_eq!(completeness.missing.len(), 2);

    let withdrawal = Write {
        change: tonghop_domain::Change::Withdraw,
        ..late
    };
    recorded(store.send(withdrawal).await);
    store.drain().await;
    let completeness = store.total(&scope, &unit).await.unwrap().total.completeness;
    assert_eq!(
        (
            completeness.late_count,
            completeness.late.len(),
            completeness.missing.len()
        ),
        (0, 0, 3)
    );
}

async fn arrived(store: &TestStore, revisions: &[&Revision]) -> Vec<Option<DateTime<Utc>>> {
    let asked = revisions
        .iter()
        .map(|revision| (revision.key.clone(), revision.received_at));
    store.aggregated_at(asked.collect()).await.unwrap()
}

async fn a_revision_is_aggregated_once_its_province_includes_it(store: TestStore) {
    let first = store.reports("01-A-1", 5).await;
    let agency = store.reports("01-X", 6).await;
    assert_eq!(arrived(&store, &[&first, &agency]).await, [None, None]);
    store.refreshes("01").await;
    let [None, Some(_)] = arrived(&store, &[&first, &agency]).await[..] else {
        panic!("the province was refreshed without the pending report of its district")
    };
    store.refreshes("01-A").await;
    assert_eq!(arrived(&store, &[&first]).await, [None]);
    store.refreshes("01").await;
    let both = arrived(&store, &[&first, &agency]).await;
    assert!(both[0].unwrap() >= agency.received_at);
    assert_eq!(both[0], both[1]);
    assert!(store.pending_below("VN").await > 0, "whatever the root holds");

    let later = store.reports("01-B-1", 7).await;
    let elsewhere = store.reports("02-A-1", 8).await;
    assert_eq!(
        arrived(&store, &[&elsewhere, &first, &later]).await,
        [None, both[0], None],
        "aggregated revisions stay aggregated"
    );
    store.drain().await;
    let all = arrived(&store, &[&first, &agency, &later, &elsewhere]).await;
    assert!(all.iter().all(Option::is_some));
    assert!(arrived(&store, &[]).await.is_empty());
}

async fn a_revision_outside_provinces_is_aggregated_in_the_root(store: TestStore) {
    let revision = store.reports("VN-X", 5).await;
    assert_eq!(arrived(&store, &[&revision]).await, [None]);
    store.refreshes("VN").await;
    assert!(arrived(&store, &[&revision]).await[0].is_some());
}

async fn an_unknown_unit_is_an_error_and_no_panic(store: TestStore) {
    let (scope, unit) = (store.scope(PERIOD), "99".parse().unwrap());
    let indicator = "FLOW".parse().unwrap();
    let is_corrupt = |error: Option<StoreError>| assert!(matches!(error, Some(StoreError::Corrupt(_))));
    is_corrupt(store.total(&scope, &unit).await.err());
    is_corrupt(store.completeness(&scope, &unit).await.err());
    is_corrupt(store.verify(&scope, &unit).await.err());
    is_corrupt(store.contributions(&scope, &unit, &indicator).await.err());
    let nothing = "NO.SUCH".parse().unwrap();
    let unit = "01".parse().unwrap();
    is_corrupt(store.contributions(&scope, &unit, &nothing).await.err());
}

/// A plan that was made while a table was small is kept while it grows, so it must never scan much of it.
#[tokio::test(flavor = "multi_thread")]
async fn lookups_by_key_cost_the_same_in_large_tables() {
    let store = TestStore::on_postgres().await;
    let revision = store.reports("01-A-1", 7).await;
    store.drain().await;
    let read = async || {
        assert_eq!(store.value("01-A").await, Some(7));
        contributions(&store, "01", "FLOW").await;
        assert!(store.submission(revision.id).await.unwrap().is_some());
    };
    // Now the planner knows how small they are.
    let mut session = store.session().await;
    session.run("ANALYZE").await;
    for _ in 0..20 {
        read().await;
    }
    session
        .run(
            "SET session_replication_role = replica; \
             INSERT INTO totals SELECT DISTINCT ON (n) form, period, 1000000 + n, 1, refreshed_at, body \
             FROM totals, generate_series(1, 5000) AS n; \
             INSERT INTO marks (form, period, unit_id, since) \
             SELECT form, period, unit_id, refreshed_at FROM totals WHERE unit_id > 1000000",
        )
        .await;
    let of =
        |what: &str, table: &str| format!("SELECT {what} FROM pg_stat_user_tables WHERE relname = '{table}'");
    let (scans, rows) = ("seq_scan + idx_scan", "seq_tup_read + idx_tup_fetch");
    let mut before = Vec::new();
    for table in ["totals", "marks"] {
        let (scans, rows) = (of(scans, table), of(rows, table));
        before.push((table, session.number(&scans).await, session.number(&rows).await));
    }
    // The server reports a session's scans a second later.
    let start = Instant::now();
    while session.number(&of(scans, "marks")).await < before[1].1 + 20 {
        assert!(start.elapsed() < Duration::from_secs(30), "nothing is counted");
        read().await;
    }
    for (table, scans_before, rows_before) in before {
        let scans = session.number(&of(scans, table)).await - scans_before;
        let rows = session.number(&of(rows, table)).await - rows_before;
        // The INSERT of the many rows is reported late as well: it read them once.
        assert!(rows <= 2 * scans + 6000, "{table}: {rows} rows in {scans} scans");
    }
}
