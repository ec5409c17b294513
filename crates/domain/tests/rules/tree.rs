//! Units over time, and the totals between a unit and its province.

use std::sync::Arc;

use tonghop_domain::{Catalogue, CatalogueError, Entry, Level, Tree, Unit, UnitId};

use crate::builder::{Parts, unit};

fn between(from: Option<&str>, to: Option<&str>, unit: Unit) -> Unit {
    Unit {
        valid_from: from.map(|day| day.parse().unwrap()),
        valid_to: to.map(|day| day.parse().unwrap()),
        ..unit
    }
}

fn named(name: &str, unit: Unit) -> Unit {
    let mut unit = unit;
    unit.names.vi = name.into();
    unit
}

fn catalogue(units: Vec<Unit>) -> Catalogue {
    Parts::with(units).checked().unwrap()
}

fn tree(catalogue: &Catalogue, day: &str) -> Arc<Tree> {
    catalogue.tree(day.parse().unwrap())
}

/// The errors of these units, by index.
fn errors(units: Vec<Unit>) -> Vec<(usize, String)> {
    let indexed = |error: CatalogueError| match error.entry {
        Entry::Unit(at) => (at, error.detail),
        other => panic!("{other:?}"),
    };
    let errors = Parts::with(units).checked().unwrap_err();
    errors.into_iter().map(indexed).collect()
}

/// Province 82 was Tiền Giang until 30 June 2025 and has been Đồng Tháp since; 87 no longer exists.
fn reused() -> Vec<Unit> {
    let end = Some("2025-07-01");
    vec![
        unit("VN", Level::Country, None),
        between(
            None,
            end,
            named("Tiền Giang", unit("82", Level::Province, Some("VN"))),
        ),
        between(
            None,
            end,
            named("Đồng Tháp", unit("87", Level::Province, Some("VN"))),
        ),
        between(None, end, unit("866", Level::District, Some("87"))),
        between(
            end,
            None,
            named("Đồng Tháp", unit("82", Level::Province, Some("VN"))),
        ),
        between(end, None, unit("29869", Level::Commune, Some("82"))),
    ]
}

#[test]
fn a_reused_code_resolves_by_day() {
    let catalogue = catalogue(reused());
    let name = |code: &str, day: &str| {
        let tree = tree(&catalogue, day);
        tree.get(code)
            .map(|place| (place.unit().names.vi.clone(), place.id().0))
    };
    assert_eq!(name("82", "1990-01-01"), Some(("Tiền Giang".into(), 2)));
    assert_eq!(name("82", "2025-06-30"), Some(("Tiền Giang".into(), 2)));
    assert_eq!(name("82", "2025-07-01"), Some(("Đồng Tháp".into(), 5)));
    assert_eq!(name("87", "2025-07-01"), None);
    let after = tree(&catalogue, "2025-07-01");
    let commune = after.get("29869").unwrap();
    assert_eq!(commune.province().id(), UnitId(5));
    assert_eq!(after.by_id(UnitId(2)).map(|place| place.id()), None);
}

#[test]
fn database_ids_replace_those_of_the_file() {
    let catalogue = catalogue(reused());
    let with_ids = catalogue.with_ids(|unit| Some(UnitId(unit.id.0 + 100))).unwrap();
    assert_eq!(with_ids.digest(), catalogue.digest());
    let tree = tree(&with_ids, "2021-07-31");
    assert_eq!(tree.get("866").unwrap().id(), UnitId(104));
    assert_eq!(tree.by_id(UnitId(104)).unwrap().code().as_str(), "866");
    let unknown = catalogue.with_ids(|unit| (unit.code.as_str() != "866").then_some(unit.id));
    assert_eq!(unknown.unwrap_err().code.as_str(), "866");
}

#[test]
fn a_parent_exists_as_long_as_its_children() {
    let lasting = between(None, None, unit("866", Level::District, Some("87")));
    let mut units = reused();
    units[3] = lasting;
    assert_eq!(
        errors(units),
        [(
            3,
            "the parent 87 does not exist on 2025-07-01, but this unit does".into()
        )]
    );
    let orphan = vec![
        unit("VN", Level::Country, None),
        unit("01", Level::Province, Some("99")),
    ];
    assert_eq!(errors(orphan).len(), 1);
}

#[test]
fn a_code_belongs_to_one_unit_on_any_day() {
    let mut units = reused();
    units[1] = between(None, Some("2025-07-02"), units[1].clone());
    assert_eq!(
        errors(units),
        [(4, "another unit has this code on the same day".into())]
    );
}

#[test]
fn there_is_one_root() {
    let units = vec![unit("VN", Level::Country, None), unit("LA", Level::Country, None)];
    assert_eq!(
        errors(units),
        [(1, "only one unit may have no parent: the root".into())]
    );
}

#[test]
fn a_cycle_is_reported_for_its_units_but_not_for_those_below() {
    let units = vec![
        unit("VN", Level::Country, None),
        unit("1", Level::Province, Some("2")),
        unit("2", Level::Province, Some("3")),
        unit("3", Level::Province, Some("1")),
        unit("4", Level::District, Some("1")),
        unit("5", Level::Province, Some("5")),
    ];
    let circle = |at| (at, "the unit is its own ancestor".to_owned());
    assert_eq!(errors(units), [circle(1), circle(2), circle(3), circle(5)]);
}

fn country() -> Catalogue {
    catalogue(vec![
        unit("VN", Level::Country, None),
        unit("87", Level::Province, Some("VN")),
        unit("867", Level::District, Some("87")),
        unit("866", Level::District, Some("87")),
        unit("29869", Level::Commune, Some("866")),
        unit("87-SO", Level::Agency, Some("87")),
        unit("01", Level::Province, Some("VN")),
        unit("BO", Level::Agency, Some("VN")),
    ])
}

#[test]
fn a_report_changes_every_total_up_to_its_province() {
    let catalogue = country();
    let tree = tree(&catalogue, "2021-07-31");
    let way = |code: &str| {
        let way = tree.get(code).unwrap().way_to_province();
        way.map(|place| place.code().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(way("29869"), ["866", "87"], "a commune");
    assert_eq!(
        way("866"),
        ["866", "87"],
        "a district with communes has its own total"
    );
    assert_eq!(way("867"), ["87"], "a district without communes");
    assert_eq!(way("87-SO"), ["87"], "an agency of the province");
    assert_eq!(way("87"), ["87"], "the province itself");
    assert_eq!(way("01"), ["VN"], "a province with nothing below has no total");
    assert_eq!(way("BO"), ["VN"], "an agency outside provinces");
    assert_eq!(way("VN"), ["VN"], "the root");
}

#[test]
fn the_province_of_a_unit_outside_provinces_is_the_root() {
    let catalogue = country();
    let tree = tree(&catalogue, "2021-07-31");
    let province = |code: &str| tree.get(code).unwrap().province().code().to_string();
    assert_eq!(
        ["29869", "866", "87", "BO", "VN"].map(province),
        ["87", "87", "87", "VN", "VN"]
    );
}

#[test]
fn children_are_in_the_order_of_the_file() {
    let catalogue = country();
    let tree = tree(&catalogue, "2021-07-31");
    let all: Vec<&str> = tree
        .get("VN")
        .unwrap()
        .at_or_below()
        .map(|place| place.code().as_str())
        .collect();
    assert_eq!(all, ["VN", "87", "867", "866", "29869", "87-SO", "01", "BO"]);
    let in_file: Vec<&str> = tree.places().map(|place| place.code().as_str()).collect();
    assert_eq!(in_file[..4], ["VN", "87", "867", "866"]);
}

#[test]
fn reach_says_of_each_day_what_its_tree_says() {
    let catalogue = catalogue(reused());
    let reach = catalogue.unit_ancestry();
    for day in [
        "2000-01-01",
        "2021-07-31",
        "2025-06-30",
        "2025-07-01",
        "2025-07-02",
        "2199-12-31",
    ] {
        let day: chrono::NaiveDate = day.parse().unwrap();
        let mut said: Vec<(UnitId, UnitId)> = reach
            .iter()
            .filter(|reach| reach.from.is_none_or(|from| from <= day) && reach.to.is_none_or(|to| day < to))
            .map(|reach| (reach.ancestor, reach.unit))
            .collect();
        let tree = catalogue.tree(day);
        let mut wanted: Vec<(UnitId, UnitId)> = tree
            .places()
            .flat_map(|place| place.ancestry().map(move |above| (above.id(), place.id())))
            .collect();
        said.sort();
        wanted.sort();
        assert_eq!(said, wanted, "{day}");
    }
}
