//! Recounting: what totals should be, straight from the reports, by code that shares nothing with the roll-up.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{CellKey, IndicatorCode, Kind, Place, Report, Reported, Scope, Total, UnitId};

/// One number, or one list, of a total.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumberKey {
    /// The indicator; none for a number of the coverage.
    pub indicator: Option<IndicatorCode>,
    /// Which number: `value`, `reporting`, `items`, `expected` …
    pub number: &'static str,
    /// The breakdown of a cell.
    pub cell: CellKey,
}

/// The numbers of a total, each with its value as text, so that two ways of counting can be compared.
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
    let coverage = &total.coverage;
    put(&mut numbers, None, "expected", coverage.expected.to_string());
    put(&mut numbers, None, "reported", coverage.reported.to_string());
    put(&mut numbers, None, "late_count", coverage.late_count.to_string());
    for (named, codes) in [("missing", &coverage.missing), ("late", &coverage.late)] {
        let codes: Vec<&str> = codes.iter().map(crate::UnitCode::as_str).collect();
        put(&mut numbers, None, named, codes.join(" "));
    }
    for (indicator, line) in scope.form.reportable().zip(&total.lines) {
        let code = Some(&indicator.code);
        if let Some(value) = line.value {
            put(&mut numbers, code, "value", value.to_string());
        }
        put(&mut numbers, code, "reporting", line.counts.reporting.to_string());
        put(
            &mut numbers,
            code,
            "done_no_number",
            line.counts.done_no_number.to_string(),
        );
        put(&mut numbers, code, "not_done", line.counts.not_done.to_string());
        put(
            &mut numbers,
            code,
            "not_applicable",
            line.counts.not_applicable.to_string(),
        );
        put_items(&mut numbers, &indicator.code, &line.items, line.items_truncated);
        for (cell, value) in &line.cells {
            let key = NumberKey {
                indicator: code.cloned(),
                number: "value",
                cell: cell.clone(),
            };
            numbers.insert(key, value.to_string());
        }
    }
    numbers
}

/// The numbers that the total of a unit should have, counted over every report at or below it.
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
    let due_at = scope.form.due_at(scope.period);
    let late: BTreeSet<&str> = filed
        .iter()
        .filter(|(_, report)| report.first_received_at > due_at)
        .map(|(unit, _)| unit.code().as_str())
        .collect();
    let missing: BTreeSet<&str> = expected
        .iter()
        .filter(|unit| !reports.contains_key(&unit.id()))
        .map(|unit| unit.code().as_str())
        .collect();
    put(&mut numbers, None, "late_count", late.len().to_string());
    for (named, codes) in [("missing", missing), ("late", late)] {
        let codes: Vec<&str> = codes.into_iter().take(crate::MAX_NAMED_UNITS).collect();
        put(&mut numbers, None, named, codes.join(" "));
    }
    let mut said: HashMap<&str, Vec<&crate::Figure>> = HashMap::new();
    for figure in filed.iter().flat_map(|(_, report)| &report.content.figures) {
        said.entry(figure.indicator.as_str()).or_default().push(figure);
    }
    for indicator in scope.form.reportable() {
        let figures = said.get(indicator.code.as_str()).map_or(&[][..], Vec::as_slice);
        recount_indicator(&mut numbers, indicator, figures);
    }
    numbers
}

/// Sums are taken in 128 bits, so that an overflow of the served total would show.
fn recount_indicator(numbers: &mut Numbers, indicator: &crate::Indicator, figures: &[&crate::Figure]) {
    let code = &indicator.code;
    let count =
        |wanted: fn(&Reported) -> bool| figures.iter().filter(|figure| wanted(&figure.reported)).count();
    let states = [
        (
            "done_no_number",
            count(|said| matches!(said, Reported::DoneNoNumber)),
        ),
        ("not_done", count(|said| matches!(said, Reported::NotDone))),
        (
            "not_applicable",
            count(|said| matches!(said, Reported::NotApplicable)),
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
        let key = NumberKey {
            indicator: Some(code.clone()),
            number: "value",
            cell: cell.clone(),
        };
        numbers.insert(key, sum.to_string());
    }
    let mut items: Vec<String> = Vec::new();
    for figure in figures {
        if let Reported::Items(said) = &figure.reported {
            for item in said {
                if !items.contains(item) {
                    items.push(item.clone());
                }
            }
        }
    }
    let truncated = items.len() > crate::MAX_TOTAL_ITEMS;
    items.truncate(crate::MAX_TOTAL_ITEMS);
    put_items(numbers, code, &items, truncated);
}
