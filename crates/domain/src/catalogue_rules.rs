//! The rules by which the entries of a catalogue agree with each other.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;

use crate::code::DimensionCode;
use crate::form::Form;
use crate::form_check::Term;
use crate::indicator::{Dimension, Indicator, Kind};
use crate::period::Frequency;
use crate::tree::Tree;
use crate::unit::Unit;

/// An entry of a catalogue, by its index in the list that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// A unit.
    Unit(usize),
    /// An indicator.
    Indicator(usize),
    /// A dimension.
    Dimension(usize),
    /// A form.
    Form(usize),
    /// A rule about expected reporters, by the index of its form and its own in that form.
    Expectation(usize, usize),
    /// A check across indicators, by the index of its form and its own in that form.
    Check(usize, usize),
}

/// An entry that breaks a rule of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueError {
    /// The entry.
    pub entry: Entry,
    /// An explanation for the person who maintains the catalogue.
    pub detail: String,
}

/// Builds the tree of each interval without a change of units, with the interval's first day (none for the first).
pub(crate) fn build_trees(
    units: &[Arc<Unit>],
    errors: &mut Vec<CatalogueError>,
) -> Vec<(Option<NaiveDate>, Arc<Tree>)> {
    let changes: BTreeSet<NaiveDate> = units
        .iter()
        .flat_map(|u| [u.valid_from, u.valid_to])
        .flatten()
        .collect();
    let before_all = changes
        .first()
        .map_or(NaiveDate::default(), |first| *first - chrono::Days::new(1));
    let firsts = std::iter::once(None).chain(changes.iter().copied().map(Some));
    let mut trees = Vec::new();
    let mut seen = HashSet::new();
    for first in firsts {
        match Tree::build(units, first.unwrap_or(before_all)) {
            Ok(tree) => trees.push((first, Arc::new(tree))),
            Err(found) => {
                for (index, error) in found {
                    // An error that occurs in several intervals is reported once.
                    if seen.insert((index, std::mem::discriminant(&error))) {
                        errors.push(CatalogueError {
                            entry: Entry::Unit(index),
                            detail: error.to_string(),
                        });
                    }
                }
            }
        }
    }
    trees
}

/// Checks that codes are unique and usable as names of fields.
pub(crate) fn check_dimensions(dimensions: &[Dimension], errors: &mut Vec<CatalogueError>) {
    let mut codes = HashSet::new();
    for (at, dimension) in dimensions.iter().enumerate() {
        let mut add = |detail| {
            errors.push(CatalogueError {
                entry: Entry::Dimension(at),
                detail,
            })
        };
        if !codes.insert(&dimension.code) {
            add(format!("the dimension {} is defined twice", dimension.code));
        }
        if dimension.code.as_str() == "value" {
            add("a dimension cannot be called value".into());
        }
        let mut categories = HashSet::new();
        for category in &dimension.categories {
            if !categories.insert(&category.code) {
                add(format!(
                    "the category {} of {} is defined twice",
                    category.code, dimension.code
                ));
            }
        }
    }
}

/// Checks codes, breakdowns, bounds and formulas.
pub(crate) fn check_indicators(
    indicators: &[Indicator],
    dimensions: &[Dimension],
    errors: &mut Vec<CatalogueError>,
) {
    let known: HashSet<&DimensionCode> = dimensions.iter().map(|dimension| &dimension.code).collect();
    let by_code: HashMap<_, _> = indicators
        .iter()
        .map(|indicator| (&indicator.code, indicator))
        .collect();
    let mut codes = HashSet::new();
    for (at, indicator) in indicators.iter().enumerate() {
        let mut add = |detail| {
            errors.push(CatalogueError {
                entry: Entry::Indicator(at),
                detail,
            })
        };
        if !codes.insert(&indicator.code) {
            add(format!("the indicator {} is defined twice", indicator.code));
        }
        let adds_up = matches!(indicator.kind, Kind::Flow | Kind::Stock);
        if !adds_up && !indicator.breakdowns.is_empty() {
            add(format!("a {} cannot have breakdowns", indicator.kind.as_str()));
        }
        for dimension in indicator
            .breakdowns
            .iter()
            .filter(|dimension| !known.contains(dimension))
        {
            add(format!("the dimension {dimension} does not exist"));
        }
        if let (Some(min), Some(max)) = (indicator.min, indicator.max)
            && min > max
        {
            add(format!("min {min} is above max {max}"));
        }
        if let Kind::Ratio(formula) = &indicator.kind {
            for part in [&formula.numerator, &formula.denominator] {
                match by_code.get(part).map(|indicator| &indicator.kind) {
                    Some(Kind::Flow | Kind::Stock | Kind::Flag) => {}
                    Some(_) => add(format!("{part} in the formula is not a number")),
                    None => add(format!("the indicator {part} in the formula does not exist")),
                }
            }
        }
    }
}

/// Checks versions, reporting units, indicators, time zone and periods.
pub(crate) fn check_forms(
    forms: &[Form],
    units: &[Unit],
    dimensions: &[Dimension],
    errors: &mut Vec<CatalogueError>,
) {
    for (at, form) in forms.iter().enumerate() {
        let mut add = |detail| {
            errors.push(CatalogueError {
                entry: Entry::Form(at),
                detail,
            })
        };
        if forms[..at]
            .iter()
            .any(|other| other.code == form.code && other.overlaps(form))
        {
            add(format!(
                "two versions of the form {} are valid on the same day",
                form.code
            ));
        }
        if form.reporting_levels.is_empty() && form.reporting_units.is_empty() {
            add("no unit reports the form: set reporting_levels or reporting_units".into());
        }
        for code in form
            .reporting_units
            .iter()
            .filter(|code| units.iter().all(|unit| unit.code != **code))
        {
            add(format!("the reporting unit {code} does not exist"));
        }
        check_form_indicators(form, &mut add);
        check_expectations(at, form, units, errors);
        check_checks(at, form, dimensions, errors);
        let mut add = |detail| {
            errors.push(CatalogueError {
                entry: Entry::Form(at),
                detail,
            })
        };
        if form.offset != forms[0].offset {
            add(format!(
                "utc_offset is {}, but {} in the first form: a catalogue has one time zone",
                form.offset, forms[0].offset
            ));
        }
        let most = match form.frequency {
            Frequency::Yearly | Frequency::NineMonthly => 1,
            Frequency::HalfYearly => 2,
            Frequency::Quarterly => 4,
            Frequency::Monthly => 12,
        };
        for number in form.numbers.iter().filter(|number| !(1..=most).contains(*number)) {
            add(format!("a year has no period {number} at this frequency"));
        }
    }
}

/// Checks that each rule names indicators that are reported, and units that report the form.
fn check_expectations(at: usize, form: &Form, units: &[Unit], errors: &mut Vec<CatalogueError>) {
    let reporting = || units.iter().filter(|unit| form.is_reported_by(unit));
    for (number, rule) in form.expectations.iter().enumerate() {
        let mut add = |detail| {
            errors.push(CatalogueError {
                entry: Entry::Expectation(at, number),
                detail,
            })
        };
        for code in &rule.indicators {
            match form.indicator(code.as_str()).map(|indicator| &indicator.kind) {
                None => add(format!("the indicator {code} is not on the form")),
                Some(Kind::Ratio(_)) => add(format!("{code} is computed, so no unit reports it")),
                Some(_) => {}
            }
        }
        for level in &rule.levels {
            if reporting().all(|unit| unit.level != *level) {
                add(format!(
                    "no unit of the level {} reports the form",
                    level.as_str()
                ));
            }
        }
        for code in &rule.units {
            if reporting().all(|unit| unit.code != *code) {
                add(format!("the unit {code} does not report the form"));
            }
        }
    }
}

/// Checks that each check compares numbers of the form.
fn check_checks(at: usize, form: &Form, dimensions: &[Dimension], errors: &mut Vec<CatalogueError>) {
    for (number, check) in form.checks.iter().enumerate() {
        let mut add = |detail| {
            errors.push(CatalogueError {
                entry: Entry::Check(at, number),
                detail,
            })
        };
        for term in check.rule.terms() {
            let Some(code) = term.indicator() else { continue };
            let indicator = form.indicator(code.as_str());
            match indicator.map(|indicator| &indicator.kind) {
                None => add(format!("the indicator {code} is not on the form")),
                Some(Kind::Flow | Kind::Stock | Kind::Flag) => {}
                Some(_) => add(format!("{code} is not a number that units report")),
            }
            if let (Some(indicator), Term::Cells(_, dimension, category)) = (indicator, term) {
                let known = dimensions.iter().find(|known| known.code == *dimension);
                if !indicator.breakdowns.contains(dimension) {
                    add(format!("{code} cannot be broken down by {dimension}"));
                } else if known.is_some_and(|known| known.categories.iter().all(|one| one.code != *category))
                {
                    add(format!("{dimension} has no category {category}"));
                }
            }
        }
        for code in check.rule.answered() {
            match form.indicator(code.as_str()).map(|indicator| &indicator.kind) {
                None => add(format!("the indicator {code} is not on the form")),
                Some(Kind::Ratio(_)) => add(format!("{code} is computed, so no unit reports it")),
                Some(_) => {}
            }
        }
    }
}

fn check_form_indicators(form: &Form, mut add: impl FnMut(String)) {
    let mut seen = HashSet::new();
    for indicator in form.indicators.iter() {
        if !seen.insert(&indicator.code) {
            add(format!(
                "the form contains the indicator {} twice",
                indicator.code
            ));
        }
        if let Kind::Ratio(formula) = &indicator.kind {
            for part in [&formula.numerator, &formula.denominator] {
                if form.indicator(part.as_str()).is_none() {
                    add(format!(
                        "{} is computed from {part}, which is not on the form",
                        indicator.code
                    ));
                }
            }
        }
    }
}
