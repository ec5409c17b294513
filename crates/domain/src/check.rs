//! Checks a submission against the catalogue and finds all errors at once.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use crate::catalogue::{Catalogue, Scope};
use crate::code::{DimensionCode, UnitCode};
use crate::field_error::{BodyPath, FieldError, FieldErrorKind, ValueType};
use crate::figure::{Cell, CellKey, Content, Figure, MAX_VALUE, Reported};
use crate::indicator::{Indicator, Kind};
use crate::names::Names;
use crate::period::Period;
use crate::submission::SubmissionKey;
use crate::text::{has_control, has_reordering_control, one_line, without_invisible};

/// The maximum length of texts and notes, in characters.
pub const MAX_TEXT_CHARS: usize = 10_000;
/// The maximum number of items of a list in one report.
pub const MAX_ITEMS: usize = 100;
/// The maximum length of an item, in characters.
pub const MAX_ITEM_CHARS: usize = 500;
/// The maximum number of cells of a figure.
pub const MAX_CELLS: usize = 200;

/// A submission as it was sent. `None` means that a part is absent or that an error in it was already found.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The form's code.
    pub form: Option<String>,
    /// The period.
    pub period: Option<String>,
    /// The unit's code.
    pub unit: Option<String>,
    /// The figures.
    pub figures: Vec<DraftFigure>,
    /// The note.
    pub note: Option<String>,
}

/// A figure as it was sent.
#[derive(Clone, Debug, Default)]
pub struct DraftFigure {
    /// The indicator's code.
    pub indicator: Option<String>,
    /// The content.
    pub reported: Option<Reported>,
    /// The cells.
    pub cells: Vec<DraftCell>,
}

/// A cell as it was sent.
#[derive(Clone, Debug, Default)]
pub struct DraftCell {
    /// Dimension and category codes.
    pub key: Option<Vec<(String, String)>>,
    /// The value.
    pub value: Option<i64>,
}

/// A submission without errors.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The form, period and tree.
    pub scope: Scope,
    /// The form, period and unit.
    pub key: SubmissionKey,
    /// The unit's code.
    pub unit: UnitCode,
    /// The content.
    pub content: Content,
}

/// Checks a submission that is sent at `now` against the catalogue.
///
/// # Errors
/// Every error, in the order of the body.
pub fn check(draft: Draft, catalogue: &Catalogue, now: DateTime<Utc>) -> Result<Submission, Vec<FieldError>> {
    let root = BodyPath::ROOT;
    let mut errors = Errors::default();
    let scope = check_scope(&draft, catalogue, &mut errors);
    if let Some(scope) = &scope {
        // A year that is mistyped, such as 2062, would otherwise wait unnoticed until it begins.
        let first_day = scope.period.first_day(scope.form.calendar);
        if first_day > catalogue.today(now) {
            errors.add(&root.field("period"), FieldErrorKind::PeriodNotBegun(first_day));
        }
    }
    let place = scope
        .as_ref()
        .zip(draft.unit.as_deref())
        .and_then(|(scope, unit)| {
            let place = scope.tree.get(unit);
            match place {
                None => errors.add(&root.field("unit"), FieldErrorKind::UnknownUnit),
                Some(place) if !scope.form.is_reported_by(place.unit()) => {
                    errors.add(&root.field("unit"), FieldErrorKind::UnitDoesNotReport);
                }
                Some(_) => {}
            }
            place
        });
    let note = draft
        .note
        .map(|note| checked_text(&root.field("note"), note, MAX_TEXT_CHARS, &mut errors));
    let repeated = repeated(&draft.figures);
    let list = root.field("figures");
    let mut figures = Vec::with_capacity(draft.figures.len());
    for (at, figure) in draft.figures.into_iter().enumerate() {
        let path = list.index(at);
        if repeated.contains(&at) {
            errors.add(&path.field("indicator"), FieldErrorKind::RepeatedIndicator);
        }
        if let Some(scope) = &scope {
            figures.extend(check_figure(&path, figure, scope, catalogue, &mut errors));
        }
    }
    match (scope.as_ref(), place) {
        (Some(scope), Some(place)) if errors.0.is_empty() => Ok(Submission {
            key: SubmissionKey {
                form: scope.form.code.clone(),
                period: scope.period,
                unit: place.id(),
            },
            unit: place.code().clone(),
            scope: scope.clone(),
            content: Content { figures, note },
        }),
        _ => Err(errors.0),
    }
}

#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn add(&mut self, path: &BodyPath<'_>, kind: FieldErrorKind) {
        self.0.push(FieldError::new(path, kind));
    }
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

fn check_scope(draft: &Draft, catalogue: &Catalogue, errors: &mut Errors) -> Option<Scope> {
    let form = draft.form.as_deref();
    let known = form.is_some_and(|form| catalogue.has_form(form));
    if form.is_some() && !known {
        errors.add(&BodyPath::ROOT.field("form"), FieldErrorKind::UnknownForm);
    }
    let period = draft.period.as_deref().and_then(|text| {
        let period = text.parse::<Period>();
        if period.is_err() {
            errors.add(&BodyPath::ROOT.field("period"), FieldErrorKind::InvalidPeriod);
        }
        period.ok()
    });
    let (form, period) = (form.filter(|_| known)?, period?);
    let scope = catalogue.scope(form, period);
    if scope.is_none() {
        errors.add(&BodyPath::ROOT.field("period"), FieldErrorKind::PeriodNotExpected);
    }
    scope
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

/// Checks a text and returns it in NFC, without invisible characters.
fn checked_text(path: &BodyPath<'_>, text: String, max: usize, errors: &mut Errors) -> String {
    check_characters(path, &text, errors);
    checked_length(path, without_invisible(&text), max, errors)
}

fn check_characters(path: &BodyPath<'_>, text: &str, errors: &mut Errors) {
    if has_control(text) {
        errors.add(path, FieldErrorKind::ControlCharacter);
    }
    if has_reordering_control(text) {
        errors.add(path, FieldErrorKind::ReorderingControl);
    }
}

fn checked_length(path: &BodyPath<'_>, text: String, max: usize, errors: &mut Errors) -> String {
    if text.trim().is_empty() {
        errors.add(path, FieldErrorKind::Empty);
    }
    if text.chars().count() > max {
        errors.add(path, FieldErrorKind::TooLong(max));
    }
    text
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
    let before = errors.0.len();
    let count = cells.len();
    let mut checked = Vec::with_capacity(count);
    let mut seen = HashSet::new();
    for (at, cell) in cells.into_iter().enumerate() {
        let path = list.index(at);
        if let Some(value) = cell.value {
            check_bounds(&path.field("value"), value, indicator, errors);
        }
        let Some(key) = cell.key else { continue };
        let before_key = errors.0.len();
        let key = check_key(&path.field("by"), key, indicator, catalogue, errors);
        // An invalid part is missing from the key, so the key could look like another cell's.
        if errors.0.len() == before_key && !seen.insert(key.clone()) {
            errors.add(&path, FieldErrorKind::RepeatedCell);
        }
        checked.extend(cell.value.map(|value| Cell { key, value }));
    }
    // Without the values in which errors were found, the sums would be wrong.
    if errors.0.len() == before && checked.len() == count {
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
