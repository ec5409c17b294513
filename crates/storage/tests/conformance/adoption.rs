//! Adoption of a changed catalogue: what stays, what is refused, and which processes can continue.

use chrono::NaiveDate;
use tonghop_domain::{Catalogue, Cell, Figure, Indicator, Kind, Level, Outbox as _, Reported, UnitId};
use tonghop_storage::{Store, StoreError};

use crate::support::catalogue::{Parts, names, unit};
use crate::support::figures::{figure, flow, text};
use crate::support::{PAST, PERIOD, TestStore, recorded};

on_both!(
    a_unit_keeps_its_id_when_its_attributes_change,
    a_unit_that_returns_gets_its_old_id,
    a_unit_split_in_time_keeps_its_id_for_its_first_days,
    adopting_the_same_catalogue_again_does_nothing,
    a_process_with_another_catalogue_cannot_write,
    units_and_indicators_in_use_cannot_be_dropped,
    a_form_in_use_cannot_be_dropped,
    a_code_in_use_keeps_its_meaning,
    categories_and_bounds_in_use_are_kept,
    unused_units_and_indicators_can_be_dropped,
);

/// A disk that stalls, or a table that is long to read.
#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_may_take_longer_than_a_statement_of_a_caller() {
    let store = TestStore::on_postgres().await;
    store
        .sql(
            "CREATE FUNCTION stall() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM pg_sleep(5); RETURN NULL; END $$; \
             CREATE TRIGGER stall BEFORE INSERT ON units FOR EACH STATEMENT EXECUTE FUNCTION stall()",
        )
        .await;
    let new = || {
        let added = unit("01-A-4", Level::Commune, Some("01-A"));
        Parts::default().with(added).catalogue("second")
    };
    let store = store.adopting(new).await;
    assert_eq!(store.reports("01-A-4", 5).await.revision, 1);
}

fn first() -> Catalogue {
    Parts::default().catalogue("first")
}

fn ids(store: &Store) -> Vec<(String, UnitId)> {
    let units = store.catalogue().units();
    let mut ids: Vec<_> = units
        .iter()
        .map(|unit| (unit.code.to_string(), unit.id))
        .collect();
    ids.sort();
    ids
}

async fn a_unit_keeps_its_id_when_its_attributes_change(store: TestStore) {
    let before = ids(&store);
    let revision = store.reports("01-A-1", 5).await;
    let changed = || {
        let mut parts = Parts::default();
        let unit = parts.unit("01-A-1");
        unit.names = names("renamed");
        unit.valid_from = NaiveDate::from_ymd_opt(2020, 1, 1);
        unit.level = Level::Agency;
        parts.unit("01-A").valid_to = NaiveDate::from_ymd_opt(2300, 1, 1);
        for below in ["01-A-1", "01-A-2", "01-A-3"] {
            parts.unit(below).valid_to = NaiveDate::from_ymd_opt(2300, 1, 1);
        }
        parts.units.reverse();
        parts.catalogue("second")
    };
    let store = store.adopting(changed).await;
    assert_eq!(ids(&store), before);
    let found = store.submission(revision.id).await.unwrap().unwrap();
    assert_eq!(found.key.unit, store.unit_id("01-A-1"));
    assert_eq!(store.reports("01-A-1", 6).await.revision, 2);
    store.drain().await;
    assert_eq!(store.value("VN").await, Some(6));

    let store = store.adopting(first).await;
    assert_eq!(ids(&store), before, "and back");
    store.drain().await;
    store.assert_verified(PERIOD).await;
}

async fn a_unit_that_returns_gets_its_old_id(store: TestStore) {
    let before = ids(&store);
    let without = || Parts::default().without("01-A-3").catalogue("without");
    let store = store.adopting(without).await;
    assert_eq!(ids(&store).len(), before.len() - 1);
    let other = || {
        let other = unit("01-A-4", Level::Commune, Some("01-A"));
        Parts::default().without("01-A-3").with(other).catalogue("other")
    };
    let store = store.adopting(other).await;
    let used: Vec<UnitId> = before.iter().map(|(_, id)| *id).collect();
    assert!(!used.contains(&store.unit_id("01-A-4")), "ids are never reused");
    let store = store.adopting(first).await;
    assert_eq!(ids(&store), before);
}

/// As in 2025, when existing codes were assigned to other places.
async fn a_unit_split_in_time_keeps_its_id_for_its_first_days(store: TestStore) {
    let turn = NaiveDate::from_ymd_opt(2100, 1, 1);
    let open = unit("01-A-3", Level::Commune, Some("01-A"));
    let until = || tonghop_domain::Unit {
        valid_to: turn,
        ..open.clone()
    };
    let from = || tonghop_domain::Unit {
        valid_from: turn,
        ..open.clone()
    };
    let id = store.unit_id("01-A-3");
    let later_first = || {
        let parts = Parts::default().without("01-A-3");
        parts.with(from()).with(until()).catalogue("later first")
    };
    let past = tonghop_storage::Write {
        key: store.key_for(PAST, "01-A-3"),
        ..store.write("01-A-3", [flow(5)])
    };
    recorded(store.send(past).await);
    let store = store.adopting(later_first).await;
    assert_eq!(store.key_for(PAST, "01-A-3").unit, id);
    assert_ne!(store.key_for(PERIOD, "01-A-3").unit, id);
    store.drain().await;
    store.assert_verified(PAST).await;
}

async fn adopting_the_same_catalogue_again_does_nothing(store: TestStore) {
    store.reports("01-A-1", 5).await;
    store.drain().await;
    let version = store.total_of("VN").await.version;
    let store = store.adopting(first).await;
    assert_eq!(store.pending().await.unwrap(), 0);
    assert_eq!(store.total_of("VN").await.version, version);
}

async fn a_process_with_another_catalogue_cannot_write(store: TestStore) {
    store.reports("01-A-1", 5).await;
    let old = store.handle();
    let write = store.write("01-A-1", [flow(6)]);
    let key = store.total_key("01-A");
    let store = store.adopting(|| Parts::default().catalogue("second")).await;
    let rows = async || {
        (
            store.rows("revisions").await,
            store.rows("marks").await,
            store.rows("totals").await,
        )
    };
    let before = rows().await;
    let refused = [
        old.ping().await.err(),
        old.record(write.clone()).await.err(),
        old.rehearse(write).await.err(),
        old.refresh(&key).await.err(),
        old.mark_all().await.err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(StoreError::CatalogueMismatch)), "{error:?}");
    }
    assert_eq!(rows().await, before);
    assert_eq!(
        old.claim(10).await.unwrap().len(),
        1,
        "the outbox can be published"
    );
    if store.is_postgres() {
        let opened = Store::open(&store.url, first()).await;
        assert!(matches!(opened, Err(StoreError::CatalogueMismatch)), "{opened:?}");
    }
    store.ping().await.unwrap();
    store.drain().await;
    assert_eq!(store.value("VN").await, Some(5));
}

/// Asserts that a catalogue is refused with an error that names what it lacks, and that nothing has changed.
async fn is_refused(store: &TestStore, parts: Parts, what: &str) {
    match Store::migrate(&store.url, &parts.catalogue("other")).await {
        Err(StoreError::CatalogueInUse(named)) => assert!(named.contains(what), "{named}"),
        other => panic!("{what}: {other:?}"),
    }
    store.ping().await.unwrap();
    assert_eq!(store.pending().await.unwrap(), 0);
    assert_eq!(store.rows("units").await, 13);
}

async fn units_and_indicators_in_use_cannot_be_dropped(store: TestStore) {
    let figures = [flow(5), text("lời")];
    recorded(store.send(store.write("01-A-1", figures)).await);
    store.reports("02-A", 5).await;
    store.reports("01-A-2", 5).await;
    store.withdraws("01-A-2").await;
    store.drain().await;
    let parts = Parts::default;
    is_refused(&store, parts().without("01-A-1"), "01-A-1").await;
    is_refused(&store, parts().without("01-A-2"), "01-A-2").await;
    is_refused(&store, parts().without_indicator("TEXT"), "TEXT").await;
    let mut silent = parts();
    silent.forms[0].reporting_units.clear();
    is_refused(&store, silent, "02-A").await;
    let mut ended = parts();
    ended.unit("01-A-1").valid_to = NaiveDate::from_ymd_opt(2100, 1, 1);
    is_refused(&store, ended, "01-A-1").await;
    store.reports("01-A-1", 6).await;
    store.drain().await;
    assert_eq!(store.value("VN").await, Some(11));
}

async fn a_form_in_use_cannot_be_dropped(store: TestStore) {
    store.reports("01-A-1", 5).await;
    store.drain().await;
    let mut other = Parts::default();
    other.forms.remove(0);
    is_refused(&store, other, "mau").await;
    let mut other = Parts::default();
    other.forms[0].numbers = vec![8];
    is_refused(&store, other, "mau").await;
}

async fn a_code_in_use_keeps_its_meaning(store: TestStore) {
    store.reports("01-A-1", 5).await;
    store.reports("01-A-2", 7).await;
    store.drain().await;
    let with = |change: fn(&mut Indicator)| {
        let mut parts = Parts::default();
        change(parts.indicator("FLOW"));
        parts
    };
    let flag = with(|one| {
        one.kind = Kind::Flag;
        one.breakdowns.clear();
    });
    let change = "FLOW, whose kind changes from \"flow\" to \"flag\" (2 reports)";
    is_refused(&store, flag, change).await;
    is_refused(
        &store,
        with(|one| {
            one.kind = Kind::Stock;
            one.breakdowns.clear();
        }),
        "kind",
    )
    .await;
    is_refused(&store, with(|one| one.value_type = "money".into()), "value_type").await;
    is_refused(&store, with(|one| one.measure.vi = "đồng".into()), "measure_vi").await;
    is_refused(
        &store,
        with(|one| one.across_time = "other".into()),
        "across_time",
    )
    .await;
    // Names explain a code, and unused codes have no meaning yet.
    let renamed = || {
        let mut parts = Parts::default();
        parts.indicator("FLOW").names = names("renamed");
        parts.indicator("STOCK").kind = Kind::Flow;
        parts.catalogue("renamed")
    };
    let store = store.adopting(renamed).await;
    let stock = figure("STOCK", Reported::Value(1));
    recorded(store.send(store.write("01-A-3", [stock])).await);
    store.drain().await;
    let back = Parts::default();
    is_refused(
        &store,
        back,
        "STOCK, whose kind changes from \"flow\" to \"stock\" (1 report)",
    )
    .await;
}

async fn categories_and_bounds_in_use_are_kept(store: TestStore) {
    let cell = |category: &str, value| Cell {
        key: vec![("sex".parse().unwrap(), category.parse().unwrap())],
        value,
    };
    let figure = Figure {
        cells: vec![cell("nu", 5), cell("nam", -2)],
        ..flow(3)
    };
    recorded(store.send(store.write("01-A-1", [figure])).await);
    store.drain().await;
    let mut fewer = Parts::default();
    fewer
        .dimension("sex")
        .categories
        .retain(|one| one.code.as_str() != "nam");
    is_refused(
        &store,
        fewer,
        "the category sex=nam of the indicator FLOW (1 report)",
    )
    .await;
    let mut undivided = Parts::default();
    undivided.indicator("FLOW").breakdowns.clear();
    is_refused(&store, undivided, "sex=nu").await;
    for (min, max, what) in [
        (Some(-1), None, "min -1"),
        (Some(0), None, "min 0"),
        (None, Some(4), "max 4"),
    ] {
        let mut narrow = Parts::default();
        let flow = narrow.indicator("FLOW");
        (flow.min, flow.max) = (min, max);
        is_refused(&store, narrow, what).await;
    }
    let wide = || {
        let mut parts = Parts::default();
        let flow = parts.indicator("FLOW");
        (flow.min, flow.max) = (Some(-2), Some(5));
        parts.catalogue("wide")
    };
    let store = store.adopting(wide).await;
    store.drain().await;
    store.assert_verified(PERIOD).await;
}

async fn unused_units_and_indicators_can_be_dropped(store: TestStore) {
    let done = figure("DONE", Reported::DoneNoNumber);
    recorded(store.send(store.write("01-A-1", [flow(5), done])).await);
    store.reports("01-A-1", 6).await;
    store.drain().await;
    let fewer = || {
        let mut parts = Parts::default().without("VN-X").without_indicator("DONE");
        parts.forms.truncate(1);
        parts.catalogue("fewer")
    };
    let store = store.adopting(fewer).await;
    let listed = store
        .submissions(Default::default(), 10)
        .await
        .unwrap()
        .revisions
        .remove(0);
    let history = store.revisions(listed.id, None, 10).await.unwrap().revisions;
    assert_eq!(history[1].content.figures.len(), 2, "earlier revisions are kept");
    store.drain().await;
    store.assert_verified(PERIOD).await;
    assert_eq!(store.value("VN").await, Some(6));
}
