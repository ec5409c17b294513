//! Checks the figures of a report against the catalogue and against each other.

use std::collections::{BTreeMap, HashSet};

use crate::catalogue::{Catalogue, Scope};
use crate::check_text::{MAX_TEXT_CHARS, check_characters, checked_length, checked_text};
use crate::code::DimensionCode;
use crate::draft::{DraftCell, DraftFigure};
use crate::field_error::{BodyPath, Errors, FieldErrorKind, ValueType};
use crate::figure::{Cell, CellKey, Figure, MAX_VALUE, Reported};
use crate::form_check::{FigureIndex, FormCheck, Severity, failed_checks};
use crate::indicator::{Indicator, Kind};
use crate::names::Names;
use crate::text::one_line;

/// The maximum number of items of a list in one report.
pub const MAX_ITEMS: usize = 100;
/// The maximum length of an item, in characters.
pub const MAX_ITEM_CHARS: usize = 500;
/// The maximum number of cells of a figure.
pub const MAX_CELLS: usize = 200;

/// Checks all figures, and the form's checks between those without an error.
pub(crate) fn check_figures(
    drafts: Vec<DraftFigure>,
    scope: Option<&Scope>,
    catalogue: &Catalogue,
    errors: &mut Errors,
) -> Vec<Figure> {
    let root = BodyPath::ROOT;
    let (list, repeated) = (root.field("figures"), repeated(&drafts));
    let is_strict = |check: &FormCheck| check.severity == Severity::Error;
    let strict = scope.is_some_and(|scope| scope.form.checks.iter().any(is_strict));
    let mut figures = Vec::with_capacity(drafts.len());
    // For checks that reject: the figures without errors with their places, and the indicators of the others.
    let (mut sound, mut wrong) = (Vec::new(), HashSet::new());
    for (at, draft) in drafts.into_iter().enumerate() {
        let (path, before) = (list.index(at), errors.count());
        let code = draft.indicator.clone().filter(|_| strict);
        if repeated.contains(&at) {
            errors.add(&path.field("indicator"), FieldErrorKind::RepeatedIndicator);
        }
        let Some(scope) = scope else { continue };
        let checked = check_figure(&path, draft, scope, catalogue, errors);
        match checked.is_some() && errors.count() == before {
            true => sound.push((at, figures.len())),
            false => wrong.extend(code),
        }
        figures.extend(checked);
    }
    if let Some(scope) = scope.filter(|_| strict) {
        let sound = sound
            .iter()
            .filter_map(|(at, figure)| Some((*at, figures.get(*figure)?)));
        let figures = FigureIndex::new(sound);
        let checks = scope.form.checks.iter();
        // A figure with an error could make a check wrong.
        let checks =
            checks.filter(|check| check.rule.indicators().all(|code| !wrong.contains(code.as_str())));
        errors.extend(failed_checks(checks, Severity::Error, &figures));
    }
    figures
}

/// The figures whose indicator also occurs in an earlier figure.
fn repeated(figures: &[DraftFigure]) -> HashSet<usize> {
    let mut seen = HashSet::with_capacity(figures.len());
    let coded = figures.iter().enumerate();
    coded
        .filter_map(|(at, figure)| Some((at, figure.indicator.as_deref()?)))
        .filter(|(_, code)| !seen.insert(*code))
        .map(|(at, _)| at)
        .collect()
}

fn check_figure(
    path: &BodyPath<'_>,
    draft: DraftFigure,
    scope: &Scope,
    catalogue: &Catalogue,
    errors: &mut Errors,
) -> Option<Figure> {
    let code = draft.indicator?;
    let Some(indicator) = scope.form.indicator(&code) else {
        errors.add(&path.field("indicator"), FieldErrorKind::UnknownIndicator);
        return None;
    };
    if matches!(indicator.kind, Kind::Ratio(_)) {
        errors.add(&path.field("indicator"), FieldErrorKind::ComputedIndicator);
        return None;
    }
    let reported = check_reported(path, draft.reported?, indicator, errors);
    let cells = check_cells(path, draft.cells, &reported, indicator, catalogue, errors);
    Some(Figure {
        indicator: indicator.code.clone(),
        reported,
        cells,
    })
}

/// The field with a content of the wrong type for the indicator, and the right type.
fn wrong_type(reported: &Reported, kind: &Kind) -> Option<(&'static str, ValueType)> {
    match (reported, kind) {
        (Reported::Value(_), Kind::Flow | Kind::Stock)
        | (Reported::Flag(_), Kind::Flag)
        | (Reported::Items(_), Kind::List)
        | (Reported::Text(_), Kind::Text)
        | (Reported::DoneNoNumber | Reported::NotDone | Reported::NotApplicable, _) => None,
        (_, kind) => {
            let field = match reported {
                Reported::Items(_) => "items",
                Reported::Text(_) => "text",
                _ => "value",
            };
            let expected = match kind {
                Kind::Flag => ValueType::Flag,
                Kind::List => ValueType::Items,
                Kind::Text => ValueType::Text,
                Kind::Flow | Kind::Stock | Kind::Ratio(_) => ValueType::Integer,
            };
            Some((field, expected))
        }
    }
}

fn check_reported(
    path: &BodyPath<'_>,
    reported: Reported,
    indicator: &Indicator,
    errors: &mut Errors,
) -> Reported {
    if let Some((field, expected)) = wrong_type(&reported, &indicator.kind) {
        errors.add(&path.field(field), FieldErrorKind::WrongValueType(expected));
        return reported;
    }
    match reported {
        Reported::Value(value) => {
            check_bounds(&path.field("value"), value, indicator, errors);
            Reported::Value(value)
        }
        Reported::Text(text) => {
            Reported::Text(checked_text(&path.field("text"), text, MAX_TEXT_CHARS, errors))
        }
        Reported::Items(items) => {
            let list = path.field("items");
            if items.len() > MAX_ITEMS {
                errors.add(&list, FieldErrorKind::TooMany(MAX_ITEMS));
            }
            let checked = |(at, item): (usize, String)| {
                let path = list.index(at);
                check_characters(&path, &item, errors);
                checked_length(&path, one_line(&item), MAX_ITEM_CHARS, errors)
            };
            Reported::Items(items.into_iter().enumerate().map(checked).collect())
        }
        other => other,
    }
}

fn check_bounds(path: &BodyPath<'_>, value: i64, indicator: &Indicator, errors: &mut Errors) {
    let min = indicator.min.unwrap_or(-MAX_VALUE).max(-MAX_VALUE);
    let max = indicator.max.unwrap_or(MAX_VALUE).min(MAX_VALUE);
    if value < min {
        errors.add(path, FieldErrorKind::BelowMinimum(min));
    } else if value > max {
        errors.add(path, FieldErrorKind::AboveMaximum(max));
    }
}

fn check_cells(
    path: &BodyPath<'_>,
    cells: Vec<DraftCell>,
    reported: &Reported,
    indicator: &Indicator,
    catalogue: &Catalogue,
    errors: &mut Errors,
) -> Vec<Cell> {
    let list = path.field("breakdowns");
    if cells.is_empty() {
        return Vec::new();
    }
    let Reported::Value(value) = *reported else {
        errors.add(&list, FieldErrorKind::BreakdownNotNumeric);
        return Vec::new();
    };
    if cells.len() > MAX_CELLS {
        errors.add(&list, FieldErrorKind::TooMany(MAX_CELLS));
        return Vec::new();
    }
    let before = errors.count();
    let count = cells.len();
    let mut checked = Vec::with_capacity(count);
    let mut seen = HashSet::new();
    for (at, cell) in cells.into_iter().enumerate() {
        let path = list.index(at);
        if let Some(value) = cell.value {
            check_bounds(&path.field("value"), value, indicator, errors);
        }
        let Some(key) = cell.key else { continue };
        let before_key = errors.count();
        let key = check_key(&path.field("by"), key, indicator, catalogue, errors);
        // An invalid part is missing from the key, so the key could look like another cell's.
        if errors.count() == before_key && !seen.insert(key.clone()) {
            errors.add(&path, FieldErrorKind::RepeatedCell);
        }
        checked.extend(cell.value.map(|value| Cell { key, value }));
    }
    // Without the values in which errors were found, the sums would be wrong.
    if errors.count() == before && checked.len() == count {
        check_sums(&list, &checked, value, catalogue, errors);
    }
    checked
}

fn check_key(
    path: &BodyPath<'_>,
    key: Vec<(String, String)>,
    indicator: &Indicator,
    catalogue: &Catalogue,
    errors: &mut Errors,
) -> CellKey {
    if key.is_empty() {
        errors.add(path, FieldErrorKind::BreakdownWithoutDimension);
    }
    let mut checked = CellKey::new();
    for (dimension, category) in key {
        let is_allowed = |allowed: &DimensionCode| allowed.as_str() == dimension;
        let known = catalogue
            .dimension(&dimension)
            .filter(|_| indicator.breakdowns.iter().any(is_allowed));
        let Some(known) = known else {
            let field = path.named_field(&dimension);
            errors.add(&field, FieldErrorKind::BreakdownNotAllowed(dimension.clone()));
            continue;
        };
        match known
            .categories
            .iter()
            .find(|other| other.code.as_str() == category)
        {
            Some(category) => checked.push((known.code.clone(), category.code.clone())),
            None => {
                let codes = known.categories.iter().map(|category| category.code.clone());
                let kind = FieldErrorKind::UnknownCategory {
                    category,
                    known: codes.collect(),
                };
                errors.add(&path.named_field(&dimension), kind);
            }
        }
    }
    checked.sort();
    checked
}

/// Checks that the cells of each set of dimensions add up to the value of the figure.
fn check_sums(path: &BodyPath<'_>, cells: &[Cell], value: i64, catalogue: &Catalogue, errors: &mut Errors) {
    let mut sums: BTreeMap<Vec<&DimensionCode>, i64> = BTreeMap::new();
    for cell in cells {
        let dimensions = cell.key.iter().map(|(dimension, _)| dimension).collect();
        // At most 200 cells within ±10^12: the sum does not overflow.
        *sums.entry(dimensions).or_default() += cell.value;
    }
    for (dimensions, sum) in sums.into_iter().filter(|(_, sum)| *sum != value) {
        let names = |code: &DimensionCode| -> Option<Names> {
            let dimension = catalogue.dimension(code.as_str())?;
            Some(dimension.names.clone())
        };
        let kind = FieldErrorKind::BreakdownSum {
            dimensions: dimensions.into_iter().filter_map(names).collect(),
            sum,
            value,
        };
        errors.add(path, kind);
    }
}
