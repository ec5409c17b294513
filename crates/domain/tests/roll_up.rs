//! Totals, compared with a plain count over all reports below, for arbitrary trees and reports.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod builder;
mod country;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;
use tonghop_domain::{
    Completeness, Figure, Overflow, Reported, Total, TotalRow, UnitCode, sum_of_contributions,
};

use country::{Country, Office, REPORTABLE, Rule, cell, figure, number};

/// A number of people, by sex if `by_sex`.
fn people(nam: i64, nu: i64, by_sex: bool) -> Figure {
    let cells = [cell("nam", nam), cell("nu", nu)];
    Figure {
        cells: if by_sex { cells.to_vec() } else { Vec::new() },
        ..figure("FLOW", Reported::Value(nam + nu))
    }
}

/// The figure of one unit for one indicator, or none. States are as likely as values.
fn figure_of(
    indicator: &'static str,
    content: impl Strategy<Value = Figure> + 'static,
) -> BoxedStrategy<Option<Figure>> {
    let state = prop_oneof![
        Just(Reported::DoneNoNumber),
        Just(Reported::NotDone),
        Just(Reported::NotApplicable)
    ];
    prop_oneof![
        1 => Just(None),
        1 => state.prop_map(move |state| Some(figure(indicator, state))),
        3 => content.prop_map(Some),
    ]
    .boxed()
}

/// A number that is often 0, so that some totals consist only of zeros.
fn amount() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![Just(0), 0..1_000_000_000_000i64]
}

fn office(by_sex: BoxedStrategy<bool>) -> impl Strategy<Value = Office> {
    // Few items or many, so that some lists are complete and others are truncated, on one level or on several.
    let how_many = prop_oneof![0..4usize, 60..100usize];
    let items =
        how_many.prop_flat_map(|n| prop::collection::vec((0..400u16).prop_map(|n| format!("item {n}")), n));
    let figures = (
        figure_of(
            "FLOW",
            (amount(), amount(), by_sex).prop_map(|(nam, nu, by_sex)| people(nam, nu, by_sex)),
        ),
        figure_of(
            "STOCK",
            (-5..5i64).prop_map(|value| figure("STOCK", Reported::Value(value))),
        ),
        figure_of(
            "FLAG",
            any::<bool>().prop_map(|flag| figure("FLAG", Reported::Flag(flag))),
        ),
        figure_of(
            "LIST",
            items.prop_map(|items| figure("LIST", Reported::Items(items))),
        ),
        figure_of("TEXT", Just(figure("TEXT", Reported::Text("lời".into())))),
    );
    let figures = figures.prop_map(|(a, b, c, d, e)| [a, b, c, d, e].into_iter().flatten().collect());
    let report = prop::option::weighted(0.8, (any::<bool>(), figures));
    (prop::bool::weighted(0.8), report)
}

fn country_of(by_sex: BoxedStrategy<bool>) -> impl Strategy<Value = Country> {
    // Codes have no leading zeros: C10 sorts before C2, and neither follows the order of the tree.
    prop::collection::vec((office(by_sex), any::<Index>()), 1..14).prop_flat_map(|offices| {
        let codes = Just((1..=offices.len()).collect::<Vec<_>>()).prop_shuffle();
        (Just(offices), codes, prop::collection::vec(rule(), 0..4)).prop_map(|(offices, codes, rules)| {
            let (offices, parents): (Vec<_>, Vec<_>) = offices.into_iter().unzip();
            Country::with_rules(offices, &codes, |at| parents[at].index(at), rules)
        })
    })
}

/// A rule about expected reporters: of none, of some, or of all.
fn rule() -> impl Strategy<Value = Rule> {
    let indicators = prop::sample::subsequence(REPORTABLE.to_vec(), 1..=REPORTABLE.len());
    let offices = prop::collection::vec(0..14usize, 0..5);
    (indicators, prop::bool::weighted(0.2), offices).prop_map(|(indicators, districts, offices)| Rule {
        indicators,
        districts,
        offices,
    })
}

fn country() -> impl Strategy<Value = Country> {
    country_of(any::<bool>().boxed())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_total_equals_a_count_over_all_reports(country in country()) {
        for place in country.scope.tree.places() {
            prop_assert_eq!(country.total(place).unwrap(), country.counted(place));
        }
    }

    #[test]
    fn the_order_of_children_does_not_matter(country in country(), turns in 0..14usize) {
        let root = country.root();
        let mut parts = country.parts(root).unwrap();
        let total = |parts| Total::roll_up(&country.scope.form, country.own(root), parts).unwrap();
        let in_order = total(parts.clone());
        parts.reverse();
        prop_assert_eq!(&total(parts.clone()), &in_order);
        let middle = turns.min(parts.len());
        parts.rotate_left(middle);
        prop_assert_eq!(&total(parts), &in_order);
    }

    #[test]
    fn the_same_parts_give_the_same_total(country in country()) {
        let first = country.total(country.root()).unwrap();
        prop_assert_eq!(country.total(country.root()).unwrap(), first);
    }

    #[test]
    fn the_number_of_levels_does_not_change_the_numbers(country in country()) {
        let root = country.root();
        let below = root.at_or_below().skip(1);
        let parts = below.map(|place| (place, country.own(place))).collect();
        let flat = Total::roll_up(&country.scope.form, country.own(root), parts).unwrap();
        let nested = country.total(root).unwrap();
        let in_any_order = |mut completeness: Completeness| {
            completeness.missing.sort();
            completeness.late.sort();
            completeness
        };
        prop_assert_eq!(in_any_order(flat.completeness.clone()), in_any_order(nested.completeness.clone()));
        prop_assert_eq!(flat.ratios(&country.scope.form), nested.ratios(&country.scope.form));
        for (flat, nested) in flat.rows.iter().zip(&nested.rows) {
            prop_assert_eq!((flat.value, flat.counts, &flat.cells), (nested.value, nested.counts, &nested.cells));
            prop_assert_eq!((flat.items_truncated, flat.items.len()), (nested.items_truncated, nested.items.len()));
            if !flat.items_truncated {
                let set = |row: &TotalRow| row.items.iter().cloned().collect::<BTreeSet<_>>();
                prop_assert_eq!(set(flat), set(nested));
            }
        }
    }

    #[test]
    fn states_have_no_sum_and_zeros_sum_to_zero(country in country()) {
        let root = country.root();
        let total = country.total(root).unwrap();
        for (row, indicator) in total.rows.iter().zip(REPORTABLE) {
            let numbers: Vec<i64> = country
                .figures(root, indicator)
                .filter_map(|figure| number(&figure?.reported))
                .collect();
            prop_assert_eq!(row.value.is_none(), numbers.is_empty());
            if !numbers.is_empty() && numbers.iter().all(|number| *number == 0) {
                prop_assert_eq!(row.value, Some(0));
            }
        }
    }

    #[test]
    fn cells_add_up_to_the_value_if_every_unit_reports_them(country in country_of(Just(true).boxed())) {
        for place in country.scope.tree.places() {
            let flow = &country.total(place).unwrap().rows[0];
            prop_assert_eq!(flow.value.unwrap_or(0), flow.cells.values().sum::<i64>());
            prop_assert_eq!(flow.cells.len(), if flow.value.is_some() { 2 } else { 0 });
        }
    }

    #[test]
    fn a_sum_is_exact_or_an_error_and_never_wraps(
        numbers in prop::collection::vec(prop_oneof![0..10i64, (i64::MAX - 10)..=i64::MAX], 2..5),
        by_sex in any::<bool>(),
    ) {
        let exact: i128 = numbers.iter().map(|number| i128::from(*number)).sum();
        let country = flat_country(numbers.iter().map(|number| vec![people(*number, 0, by_sex)]).collect());
        let total = country.total(country.root());
        match i64::try_from(exact) {
            Ok(exact) => prop_assert_eq!(total.unwrap().rows[0].value, Some(exact)),
            Err(_) => prop_assert_eq!(total, Err(Overflow("FLOW".parse().unwrap()))),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn five_counts_add_up_to_the_expected_units(country in country()) {
        let root = country.root();
        let below = root.at_or_below().skip(1);
        let parts = below.map(|place| (place, country.own(place))).collect();
        let flat = Total::roll_up(&country.scope.form, country.own(root), parts).unwrap();
        for total in [flat, country.total(root).unwrap()] {
            let completeness = &total.completeness;
            prop_assert_eq!(completeness.counts().missing() + completeness.reported, completeness.expected);
            for (row, indicator) in total.rows.iter().zip(REPORTABLE) {
                let counts = &row.counts;
                let answered = country.figures(root, indicator).flatten().count() as u32;
                prop_assert_eq!(counts.expected, country.asked(root, indicator));
                prop_assert_eq!(counts.not_reported(), counts.expected - answered);
                let said = [counts.reporting, counts.done_no_number, counts.not_done, counts.not_applicable];
                prop_assert_eq!(said.iter().sum::<u32>() + counts.not_reported(), counts.expected);
            }
        }
    }
}

#[test]
fn contributions_are_summed_like_a_total() {
    let flow = "FLOW".parse().unwrap();
    assert_eq!(sum_of_contributions(&flow, [None, None]), Ok(None));
    assert_eq!(sum_of_contributions(&flow, [None, Some(0), None]), Ok(Some(0)));
    assert_eq!(
        sum_of_contributions(&flow, [Some(2), None, Some(-3)]),
        Ok(Some(-1))
    );
    let overflow = Err(Overflow(flow.clone()));
    assert_eq!(
        sum_of_contributions(&flow, [Some(i64::MAX), None, Some(1)]),
        overflow
    );
    assert_eq!(
        sum_of_contributions(&flow, [Some(i64::MAX), Some(1), Some(-1)]),
        overflow
    );
}

/// A root that does not report, with units below that report on time.
fn flat_country(reports: Vec<Vec<Figure>>) -> Country {
    let below = reports.into_iter().map(|figures| (true, Some((false, figures))));
    let offices: Vec<Office> = std::iter::once((false, None)).chain(below).collect();
    let codes: Vec<usize> = (1000..1000 + offices.len()).collect();
    Country::new(offices, &codes, |_| 0)
}

#[test]
fn an_overflow_in_a_cell_is_an_error() {
    let huge = |value| Figure {
        cells: vec![cell("nu", i64::MAX)],
        ..figure("FLOW", Reported::Value(value))
    };
    let country = flat_country(vec![vec![huge(1)], vec![huge(1)]]);
    let overflow = country.total(country.root()).unwrap_err();
    assert_eq!(overflow.to_string(), "the sum of FLOW exceeds 64 bits");
}

fn listed(range: std::ops::Range<u32>) -> Vec<Figure> {
    vec![figure(
        "LIST",
        Reported::Items(range.map(|n| format!("{n}")).collect()),
    )]
}

#[test]
fn a_list_is_truncated_after_200_items_and_marked_as_such() {
    let row = |reports| {
        let country = flat_country(reports);
        country.total(country.root()).unwrap().rows[3].clone()
    };
    let full = row(vec![listed(0..100), listed(100..200), listed(50..150)]);
    assert_eq!((full.items.len(), full.items_truncated), (200, false));
    let over = row(vec![listed(0..100), listed(100..200), listed(150..201)]);
    assert_eq!((over.items.len(), over.items_truncated), (200, true));
    assert_eq!(over.items[199], "199");
    assert_eq!(over.counts.reporting, 3);
}

#[test]
fn a_list_truncated_below_is_marked_as_truncated_above() {
    let below = [listed(0..100), listed(100..200), listed(200..201)].map(|list| (true, Some((false, list))));
    let repeated = (true, Some((false, listed(150..200))));
    let offices: Vec<Office> = [repeated, (false, None)].into_iter().chain(below).collect();
    let country = Country::new(offices, &[1, 2, 3, 4, 5], |at| usize::from(at > 1));
    let total = country.total(country.root()).unwrap();
    assert_eq!(total, country.counted(country.root()));
    assert_eq!(
        (total.rows[3].items.len(), total.rows[3].items_truncated),
        (200, true)
    );
}

#[test]
fn completeness_lists_200_units_but_counts_them_all() {
    let silent = (0..250).map(|_| (true, None));
    let late = (0..250).map(|_| (true, Some((true, Vec::new()))));
    let offices: Vec<Office> = std::iter::once((false, None)).chain(silent).chain(late).collect();
    let codes: Vec<usize> = (0..=500).map(|at| at * 7 % 501).collect();
    // Three levels, so that the listed units are truncated on intermediate levels as well.
    let country = Country::new(offices, &codes, |at| if at % 2 == 0 { 1 } else { 0 });
    let total = country.total(country.root()).unwrap();
    assert_eq!(total, country.counted(country.root()));
    let completeness = &total.completeness;
    assert_eq!((completeness.expected, completeness.reported), (500, 250));
    assert_eq!(
        (completeness.missing.len(), completeness.counts().missing()),
        (200, 250)
    );
    assert_eq!((completeness.late.len(), completeness.late_count), (200, 250));
}

#[test]
fn a_total_without_reports_lists_all_expected_units_as_missing() {
    let offices: Vec<Office> = (0..250).map(|at| (at % 5 > 0, None)).collect();
    let codes: Vec<usize> = (0..250).map(|at| at * 7 % 250).collect();
    let country = Country::new(offices, &codes, |at| at / 2);
    for place in country.scope.tree.places() {
        let total = Total::without_reports(&country.scope, place);
        assert_eq!(total, country.counted(place));
    }
}

#[test]
fn a_report_in_the_last_second_is_on_time() {
    let country = Country::new(
        vec![
            (true, Some((false, Vec::new()))),
            (true, Some((true, Vec::new()))),
        ],
        &[1, 2],
        |_| 0,
    );
    let completeness = country.total(country.root()).unwrap().completeness;
    let late: Vec<&str> = completeness.late.iter().map(UnitCode::as_str).collect();
    assert_eq!(
        (completeness.reported, completeness.late_count, late),
        (2, 1, vec!["C2"])
    );
}

#[test]
fn a_report_of_a_unit_that_is_not_expected_does_not_count() {
    let sent = vec![people(1, 2, true)];
    let country = Country::new(vec![(false, Some((false, sent)))], &[1], |_| 0);
    let total = country.total(country.root()).unwrap();
    assert_eq!(total.completeness, Completeness::default());
    assert!(total.rows.iter().all(|row| *row == TotalRow::default()));
}

#[test]
fn a_ratio_is_computed_from_totals_and_empty_over_zero() {
    let ratio = |reports: [(Reported, Reported); 2]| {
        let reports = reports.map(|(flow, stock)| vec![figure("FLOW", flow), figure("STOCK", stock)]);
        let country = flat_country(reports.to_vec());
        let total = country.total(country.root()).unwrap();
        let ratios = total.ratios(&country.scope.form);
        assert_eq!((ratios.len(), ratios[0].0.as_str()), (1, "RATIO"));
        ratios[0].1
    };
    use Reported::{NotDone, Value};
    assert_eq!(
        ratio([(Value(1), Value(1)), (Value(0), Value(3))]),
        Some(25.0),
        "a ratio is not a mean of rates"
    );
    assert_eq!(ratio([(Value(0), Value(4)), (NotDone, NotDone)]), Some(0.0));
    assert_eq!(ratio([(Value(1), Value(0)), (Value(1), Value(0))]), None);
    assert_eq!(ratio([(Value(1), NotDone), (Value(1), NotDone)]), None);
    assert_eq!(ratio([(NotDone, Value(1)), (NotDone, Value(1))]), None);
    assert_eq!(
        ratio([(Value(1), Value(3)), (Value(1), Value(3))]),
        Some(33.3333),
        "four decimals"
    );
    assert_eq!(ratio([(Value(1), Value(3)), (Value(3), Value(3))]), Some(66.6667));
}
