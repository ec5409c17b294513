//! Recounting: the numbers that a total should have, computed from the reports by code that is independent of the
//! roll-up.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::catalogue::Scope;
use crate::code::{IndicatorCode, UnitCode, UnitId};
use crate::completeness::MAX_LISTED_UNITS;
use crate::figure::{CellKey, Figure, Reported};
use crate::form::Expectation;
use crate::indicator::{Indicator, Kind};
use crate::total::{MAX_TOTAL_ITEMS, Report, Total, TotalRow};
use crate::tree::Place;

/// One number, or one list, of a total.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumberKey {
    /// The indicator; none for a number of the completeness.
    pub indicator: Option<IndicatorCode>,
    /// The name of the number: `value`, `reporting`, `items`, `expected` …
    pub number: &'static str,
    /// The breakdown of a cell.
    pub cell: CellKey,
}

/// The numbers of a total, each as text, so that two ways of counting can be compared.
pub type Numbers = BTreeMap<NumberKey, String>;

fn put(numbers: &mut Numbers, indicator: Option<&IndicatorCode>, number: &'static str, value: String) {
    numbers.insert(
        NumberKey {
            indicator: indicator.cloned(),
            number,
            cell: CellKey::new(),
        },
        value,
    );
}

fn put_items(numbers: &mut Numbers, indicator: &IndicatorCode, items: &[String], truncated: bool) {
    if !items.is_empty() {
        let ending = if truncated { "; …" } else { "" };
        put(
            numbers,
            Some(indicator),
            "items",
            format!("{}{ending}", items.join("; ")),
        );
    }
}

/// The numbers of a total as it is served.
pub fn served_numbers(scope: &Scope, total: &Total) -> Numbers {
    let mut numbers = Numbers::new();
    let completeness = &total.completeness;
    put(&mut numbers, None, "expected", completeness.expected.to_string());
    put(&mut numbers, None, "reported", completeness.reported.to_string());
    put(
        &mut numbers,
        None,
        "late_count",
        completeness.late_count.to_string(),
    );
    for (named, codes) in [("missing", &completeness.missing), ("late", &completeness.late)] {
        let codes: Vec<&str> = codes.iter().map(UnitCode::as_str).collect();
        put(&mut numbers, None, named, codes.join(" "));
    }
    for (indicator, row) in scope.form.reportable().zip(&total.rows) {
        put_row(&mut numbers, &indicator.code, row);
    }
    numbers
}

fn put_row(numbers: &mut Numbers, indicator: &IndicatorCode, row: &TotalRow) {
    let counts = &row.counts;
    if let Some(value) = row.value {
        put(numbers, Some(indicator), "value", value.to_string());
    }
    for (state, count) in [
        ("expected", counts.expected),
        ("reporting", counts.reporting),
        ("done_no_number", counts.done_no_number),
        ("not_done", counts.not_done),
        ("not_applicable", counts.not_applicable),
    ] {
        put(numbers, Some(indicator), state, count.to_string());
    }
    put_items(numbers, indicator, &row.items, row.items_truncated);
    for (cell, value) in &row.cells {
        put_cell(numbers, indicator, cell, value.to_string());
    }
}

fn put_cell(numbers: &mut Numbers, indicator: &IndicatorCode, cell: &CellKey, value: String) {
    let key = NumberKey {
        indicator: Some(indicator.clone()),
        number: "value",
        cell: cell.clone(),
    };
    numbers.insert(key, value);
}

/// The numbers that the total of a unit should have, counted over all reports at or below the unit.
pub fn recounted_numbers(scope: &Scope, place: Place<'_>, reports: &HashMap<UnitId, &Report>) -> Numbers {
    let expected: Vec<Place<'_>> = place
        .at_or_below()
        .filter(|unit| scope.form.is_reported_by(unit.unit()))
        .collect();
    let filed: Vec<(Place<'_>, &Report)> = expected
        .iter()
        .filter_map(|unit| Some((*unit, *reports.get(&unit.id())?)))
        .collect();
    let mut numbers = Numbers::new();
    put(&mut numbers, None, "expected", expected.len().to_string());
    put(&mut numbers, None, "reported", filed.len().to_string());
    let in_time =
        |report: &Report| report.first_received_at.timestamp() <= scope.form.due_at(scope.period).timestamp();
    let late: Vec<&str> = filed
        .iter()
        .filter(|(_, report)| !in_time(report))
        .map(|(unit, _)| unit.code().as_str())
        .collect();
    let missing: Vec<&str> = expected
        .iter()
        .filter(|unit| !reports.contains_key(&unit.id()))
        .map(|unit| unit.code().as_str())
        .collect();
    put(&mut numbers, None, "late_count", late.len().to_string());
    for (named, codes) in [("missing", missing), ("late", late)] {
        let codes: Vec<&str> = codes.into_iter().take(MAX_LISTED_UNITS).collect();
        put(&mut numbers, None, named, codes.join(" "));
    }
    let mut by_indicator: HashMap<&str, Vec<(UnitId, &Figure)>> = HashMap::new();
    for (unit, report) in &filed {
        for figure in &report.content.figures {
            let figures = by_indicator.entry(figure.indicator.as_str()).or_default();
            figures.push((unit.id(), figure));
        }
    }
    for indicator in scope.form.reportable() {
        let figures = by_indicator.remove(indicator.code.as_str()).unwrap_or_default();
        let asked = asked_units(scope, indicator, &expected);
        let answered = figures.iter().map(|(unit, _)| *unit);
        let either: HashSet<UnitId> = asked.into_iter().chain(answered).collect();
        put(
            &mut numbers,
            Some(&indicator.code),
            "expected",
            either.len().to_string(),
        );
        let figures: Vec<&Figure> = figures.into_iter().map(|(_, figure)| figure).collect();
        recount_indicator(&mut numbers, indicator, &figures);
    }
    numbers
}

/// Those of the units that are expected to report an indicator: all, unless rules name the indicator.
fn asked_units(scope: &Scope, indicator: &Indicator, units: &[Place<'_>]) -> Vec<UnitId> {
    let rules: Vec<&Expectation> = scope
        .form
        .expectations
        .iter()
        .filter(|rule| rule.indicators.contains(&indicator.code))
        .collect();
    let is_asked = |place: &&Place<'_>| {
        let unit = place.unit();
        let named =
            |rule: &&Expectation| rule.levels.contains(&unit.level) || rule.units.contains(&unit.code);
        rules.is_empty() || rules.iter().any(named)
    };
    units.iter().filter(is_asked).map(|unit| unit.id()).collect()
}

/// Sums use 128 bits, so that an overflow in the served total becomes visible.
fn recount_indicator(numbers: &mut Numbers, indicator: &Indicator, figures: &[&Figure]) {
    let code = &indicator.code;
    let count =
        |wanted: fn(&Reported) -> bool| figures.iter().filter(|figure| wanted(&figure.reported)).count();
    let states = [
        (
            "done_no_number",
            count(|reported| matches!(reported, Reported::DoneNoNumber)),
        ),
        (
            "not_done",
            count(|reported| matches!(reported, Reported::NotDone)),
        ),
        (
            "not_applicable",
            count(|reported| matches!(reported, Reported::NotApplicable)),
        ),
    ];
    let reporting = figures.len() - states.iter().map(|(_, count)| count).sum::<usize>();
    put(numbers, Some(code), "reporting", reporting.to_string());
    for (state, count) in states {
        put(numbers, Some(code), state, count.to_string());
    }
    let values: Vec<i128> = figures
        .iter()
        .filter_map(|figure| match (&figure.reported, &indicator.kind) {
            (Reported::Value(value), _) => Some(i128::from(*value)),
            (Reported::Flag(flag), Kind::Flag) => Some(i128::from(*flag)),
            _ => None,
        })
        .collect();
    if !values.is_empty() {
        put(
            numbers,
            Some(code),
            "value",
            values.iter().sum::<i128>().to_string(),
        );
    }
    let mut cells: BTreeMap<&CellKey, i128> = BTreeMap::new();
    for cell in figures.iter().flat_map(|figure| &figure.cells) {
        *cells.entry(&cell.key).or_default() += i128::from(cell.value);
    }
    for (cell, sum) in cells {
        put_cell(numbers, code, cell, sum.to_string());
    }
    put_items_of(numbers, code, figures);
}

fn put_items_of(numbers: &mut Numbers, code: &IndicatorCode, figures: &[&Figure]) {
    let mut items: Vec<String> = Vec::new();
    for figure in figures {
        if let Reported::Items(reported) = &figure.reported {
            for item in reported {
                if !items.contains(item) {
                    items.push(item.clone());
                }
            }
        }
    }
    let truncated = items.len() > MAX_TOTAL_ITEMS;
    items.truncate(MAX_TOTAL_ITEMS);
    put_items(numbers, code, &items, truncated);
}
