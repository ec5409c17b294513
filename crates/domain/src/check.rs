//! From what a caller sent to what may be recorded, with every fault at once.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;

use unicode_normalization::UnicodeNormalization;

use crate::catalogue::{Catalogue, Scope};
use crate::code::UnitCode;
use crate::field_error::{Fault, FaultKind};
use crate::figure::{Cell, CellKey, Content, Figure, MAX_VALUE, Reported};
use crate::indicator::{Indicator, Kind};
use crate::period::Period;
use crate::submission::SubmissionKey;

/// The longest text and note, in characters.
pub const MAX_TEXT_CHARS: usize = 10_000;
/// The most items of a list in one report.
pub const MAX_ITEMS: usize = 100;
/// The longest item, in characters.
pub const MAX_ITEM_CHARS: usize = 500;
/// The most cells of a figure.
pub const MAX_CELLS: usize = 200;

/// A report as it was sent. `None` stands for what is absent or was already found faulty.
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
    /// What is said.
    pub reported: Option<Reported>,
    /// The cells.
    pub cells: Vec<DraftCell>,
}

/// A cell as it was sent.
#[derive(Clone, Debug, Default)]
pub struct DraftCell {
    /// Dimension and category codes.
    pub key: Vec<(String, String)>,
    /// The value.
    pub value: Option<i64>,
}

/// A report that may be recorded.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The form, period and tree.
    pub scope: Scope,
    /// What it is about.
    pub key: SubmissionKey,
    /// The unit's code.
    pub unit: UnitCode,
    /// What it says.
    pub content: Content,
}

/// Checks a report against the catalogue.
///
/// # Errors
/// Every fault, in the order of the body.
pub fn check(draft: Draft, catalogue: &Catalogue) -> Result<Submission, Vec<Fault>> {
    let mut faults = Faults::default();
    let scope = check_scope(&draft, catalogue, &mut faults);
    let place = scope
        .as_ref()
        .zip(draft.unit.as_deref())
        .and_then(|(scope, unit)| {
            let place = scope.tree.get(unit);
            match place {
                None => faults.add("/unit", FaultKind::UnknownUnit),
                Some(place) if !scope.form.is_reported_by(place.unit()) => {
                    faults.add("/unit", FaultKind::UnitDoesNotReport);
                }
                Some(_) => {}
            }
            place
        });
    let note = draft
        .note
        .map(|note| checked_text("/note", note, MAX_TEXT_CHARS, &mut faults));
    let repeated = repeated(&draft.figures);
    let mut figures = Vec::with_capacity(draft.figures.len());
    for (at, figure) in draft.figures.into_iter().enumerate() {
        if repeated.contains(&at) {
            faults.add(
                format_args!("/figures/{at}/indicator"),
                FaultKind::RepeatedIndicator,
            );
        }
        if let Some(scope) = &scope {
            let pointer = format_args!("/figures/{at}");
            figures.extend(check_figure(pointer, figure, scope, catalogue, &mut faults));
        }
    }
    match (scope.as_ref(), place) {
        (Some(scope), Some(place)) if faults.0.is_empty() => Ok(Submission {
            key: SubmissionKey {
                form: scope.form.code.clone(),
                period: scope.period,
                unit: place.id(),
            },
            unit: place.code().clone(),
            scope: scope.clone(),
            content: Content { figures, note },
        }),
        _ => Err(faults.0),
    }
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, pointer: impl Display, kind: FaultKind) {
        self.0.push(Fault {
            pointer: pointer.to_string(),
            kind,
        });
    }
}

/// Which figures are of an indicator that one before them is of.
fn repeated(figures: &[DraftFigure]) -> HashSet<usize> {
    let mut seen = HashSet::with_capacity(figures.len());
    let coded = figures.iter().enumerate();
    coded
        .filter_map(|(at, figure)| Some((at, figure.indicator.as_deref()?)))
        .filter(|(_, code)| !seen.insert(*code))
        .map(|(at, _)| at)
        .collect()
}

fn check_scope(draft: &Draft, catalogue: &Catalogue, faults: &mut Faults) -> Option<Scope> {
    let form = draft.form.as_deref();
    let known = form.is_some_and(|form| catalogue.has_form(form));
    if form.is_some() && !known {
        faults.add("/form", FaultKind::UnknownForm);
    }
    let period = draft.period.as_deref().and_then(|text| {
        let period = text.parse::<Period>();
        if period.is_err() {
            faults.add("/period", FaultKind::InvalidPeriod);
        }
        period.ok()
    });
    let (form, period) = (form.filter(|_| known)?, period?);
    let scope = catalogue.scope(form, period);
    if scope.is_none() {
        faults.add("/period", FaultKind::PeriodNotOfForm);
    }
    scope
}

fn check_figure(
    pointer: impl Display + Copy,
    draft: DraftFigure,
    scope: &Scope,
    catalogue: &Catalogue,
    faults: &mut Faults,
) -> Option<Figure> {
    let code = draft.indicator?;
    let Some(indicator) = scope.form.indicator(&code) else {
        faults.add(format_args!("{pointer}/indicator"), FaultKind::UnknownIndicator);
        return None;
    };
    if matches!(indicator.kind, Kind::Ratio(_)) {
        faults.add(format_args!("{pointer}/indicator"), FaultKind::ComputedIndicator);
        return None;
    }
    let reported = check_reported(pointer, draft.reported?, indicator, faults);
    let cells = check_cells(pointer, draft.cells, &reported, indicator, catalogue, faults);
    Some(Figure {
        indicator: indicator.code.clone(),
        reported,
        cells,
    })
}

fn check_reported(
    pointer: impl Display + Copy,
    reported: Reported,
    indicator: &Indicator,
    faults: &mut Faults,
) -> Reported {
    let (place, expected) = match (&reported, &indicator.kind) {
        (Reported::Value(_), Kind::Flow | Kind::Stock)
        | (Reported::Flag(_), Kind::Flag)
        | (Reported::Items(_), Kind::List)
        | (Reported::Text(_), Kind::Text)
        | (Reported::DoneNoNumber | Reported::NotDone | Reported::NotApplicable, _) => (None, ""),
        (_, kind) => {
            let place = match reported {
                Reported::Items(_) => "items",
                Reported::Text(_) => "text",
                _ => "value",
            };
            let expected = match kind {
                Kind::Flag => "true or false",
                Kind::List => "items",
                Kind::Text => "text",
                Kind::Flow | Kind::Stock | Kind::Ratio(_) => "integer",
            };
            (Some(place), expected)
        }
    };
    if let Some(place) = place {
        faults.add(
            format_args!("{pointer}/{place}"),
            FaultKind::WrongContent(expected),
        );
        return reported;
    }
    match reported {
        Reported::Value(value) => {
            check_bounds(format_args!("{pointer}/value"), value, indicator, faults);
            Reported::Value(value)
        }
        Reported::Text(text) => Reported::Text(checked_text(
            format_args!("{pointer}/text"),
            text,
            MAX_TEXT_CHARS,
            faults,
        )),
        Reported::Items(items) => {
            if items.len() > MAX_ITEMS {
                faults.add(format_args!("{pointer}/items"), FaultKind::TooMany(MAX_ITEMS));
            }
            let checked =
                |(at, item)| checked_text(format_args!("{pointer}/items/{at}"), item, MAX_ITEM_CHARS, faults);
            Reported::Items(items.into_iter().enumerate().map(checked).collect())
        }
        other => other,
    }
}

fn check_bounds(pointer: impl Display + Copy, value: i64, indicator: &Indicator, faults: &mut Faults) {
    let min = indicator.min.unwrap_or(-MAX_VALUE).max(-MAX_VALUE);
    let max = indicator.max.unwrap_or(MAX_VALUE).min(MAX_VALUE);
    if value < min {
        faults.add(pointer, FaultKind::BelowMinimum(min));
    } else if value > max {
        faults.add(pointer, FaultKind::AboveMaximum(max));
    }
}

/// The text in NFC.
fn checked_text(pointer: impl Display + Copy, text: String, max: usize, faults: &mut Faults) -> String {
    let text: String = text.nfc().collect();
    if text.trim().is_empty() {
        faults.add(pointer, FaultKind::Empty);
    }
    if text.chars().count() > max {
        faults.add(pointer, FaultKind::TooLong(max));
    }
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        faults.add(pointer, FaultKind::ControlCharacter);
    }
    text
}

fn check_cells(
    pointer: impl Display + Copy,
    cells: Vec<DraftCell>,
    reported: &Reported,
    indicator: &Indicator,
    catalogue: &Catalogue,
    faults: &mut Faults,
) -> Vec<Cell> {
    let all = format_args!("{pointer}/breakdowns");
    if cells.is_empty() {
        return Vec::new();
    }
    let Reported::Value(value) = *reported else {
        faults.add(all, FaultKind::BreakdownOfNoNumber);
        return Vec::new();
    };
    if cells.len() > MAX_CELLS {
        faults.add(all, FaultKind::TooMany(MAX_CELLS));
        return Vec::new();
    }
    let before = faults.0.len();
    let count = cells.len();
    let mut checked = Vec::with_capacity(count);
    let mut seen = HashSet::new();
    for (at, cell) in cells.into_iter().enumerate() {
        let pointer = format_args!("{all}/{at}");
        let before_key = faults.0.len();
        let key = check_key(pointer, cell.key, indicator, catalogue, faults);
        // A faulty key lacks its faulty part, without which it may look like another.
        if faults.0.len() == before_key && !seen.insert(key.clone()) {
            faults.add(pointer, FaultKind::RepeatedCell);
        }
        if let Some(value) = cell.value {
            check_bounds(format_args!("{pointer}/value"), value, indicator, faults);
            checked.push(Cell { key, value });
        }
    }
    // A value that was found faulty before is not there to be summed.
    if faults.0.len() == before && checked.len() == count {
        check_sums(all, &checked, value, faults);
    }
    checked
}

fn check_key(
    pointer: impl Display + Copy,
    key: Vec<(String, String)>,
    indicator: &Indicator,
    catalogue: &Catalogue,
    faults: &mut Faults,
) -> CellKey {
    if key.is_empty() {
        faults.add(pointer, FaultKind::NoDimension);
    }
    let mut checked = CellKey::new();
    for (dimension, category) in key {
        let place = format!("{pointer}/{}", dimension.replace('~', "~0").replace('/', "~1"));
        if !indicator
            .breakdowns
            .iter()
            .any(|allowed| allowed.as_str() == dimension)
        {
            faults.add(place, FaultKind::BreakdownNotAllowed(dimension));
            continue;
        }
        let known = catalogue.dimension(&dimension).and_then(|known| {
            let category = known
                .categories
                .iter()
                .find(|other| other.code.as_str() == category)?;
            Some((known.code.clone(), category.code.clone()))
        });
        match known {
            Some(pair) => checked.push(pair),
            None => faults.add(place, FaultKind::UnknownCategory(category)),
        }
    }
    checked.sort();
    checked
}

/// The cells of one set of dimensions add up to the figure.
fn check_sums(pointer: impl Display + Copy, cells: &[Cell], value: i64, faults: &mut Faults) {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for cell in cells {
        let dimensions: Vec<&str> = cell.key.iter().map(|(dimension, _)| dimension.as_str()).collect();
        // At most 200 cells within ±10^12: the sum fits.
        *sums.entry(dimensions.join(",")).or_default() += cell.value;
    }
    for (dimensions, sum) in sums.into_iter().filter(|(_, sum)| *sum != value) {
        faults.add(
            pointer,
            FaultKind::BreakdownSum {
                dimensions,
                sum,
                value,
            },
        );
    }
}
