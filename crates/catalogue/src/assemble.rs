//! Assembles a catalogue from the bytes of its four files.

use tonghop_domain::{Catalogue, CatalogueError, Dimension, Indicator, Level, Unit};
use unicode_normalization::UnicodeNormalization;

use crate::error::{FileErrors, InvalidCatalogue, line_at};
use crate::forms::Forms;
use crate::table::Entry;
use crate::{digest, dimensions, forms, indicators, units};

/// The bytes of each file, or the reason why it could not be read.
pub(crate) struct Files {
    pub(crate) units: Result<Vec<u8>, String>,
    pub(crate) dimensions: Result<Vec<u8>, String>,
    pub(crate) indicators: Result<Vec<u8>, String>,
    pub(crate) forms: Result<Vec<u8>, String>,
}

/// The entries of each file; none for a file that could not be parsed.
struct Parts {
    units: Option<Vec<Entry<Unit>>>,
    dimensions: Option<Vec<Entry<Dimension>>>,
    indicators: Option<Vec<Entry<Indicator>>>,
    forms: Option<Forms>,
}

/// The errors of each file.
struct AllErrors {
    units: FileErrors,
    dimensions: FileErrors,
    indicators: FileErrors,
    forms: FileErrors,
}

pub(crate) fn assemble(origin: &str, files: Files) -> Result<Catalogue, InvalidCatalogue> {
    let mut errors = AllErrors {
        units: FileErrors::of(units::FILE),
        dimensions: FileErrors::of(dimensions::FILE),
        indicators: FileErrors::of(indicators::FILE),
        forms: FileErrors::of(forms::FILE),
    };
    let units = decode(files.units, &mut errors.units).and_then(|text| units::read(&text, &mut errors.units));
    let dimensions = decode(files.dimensions, &mut errors.dimensions)
        .and_then(|text| dimensions::read(&text, &mut errors.dimensions));
    let indicators = decode(files.indicators, &mut errors.indicators)
        .and_then(|text| indicators::read(&text, &mut errors.indicators));
    let forms = decode(files.forms, &mut errors.forms)
        .and_then(|text| forms::read(&text, indicators.as_deref(), &mut errors.forms));
    let parts = Parts {
        units,
        dimensions,
        indicators,
        forms,
    };
    let catalogue = cross_check(parts, &mut errors);
    let found: Vec<_> = [errors.units, errors.dimensions, errors.indicators, errors.forms]
        .into_iter()
        .flat_map(FileErrors::sorted)
        .collect();
    match catalogue {
        Some(catalogue) if found.is_empty() => Ok(catalogue),
        _ => Err(InvalidCatalogue::new(origin, found)),
    }
}

/// Decodes a file as NFC text without a byte order mark, which some editors prepend.
fn decode(bytes: Result<Vec<u8>, String>, errors: &mut FileErrors) -> Option<String> {
    let bytes = bytes.map_err(|detail| errors.add(None, detail)).ok()?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text).nfc().collect()),
        Err(error) => {
            errors.add(
                line_at(&bytes, error.valid_up_to()),
                "the text is not UTF-8: save the file as UTF-8",
            );
            None
        }
    }
}

fn cross_check(parts: Parts, errors: &mut AllErrors) -> Option<Catalogue> {
    let Parts {
        units,
        dimensions,
        indicators,
        forms,
    } = without_lost_references(parts);
    let units = units.unwrap_or_default();
    let dimensions = dimensions.unwrap_or_default();
    let indicators = indicators.unwrap_or_default();
    let Forms {
        entries: forms,
        lines,
    } = forms.unwrap_or_default();
    let (all_units, all_dimensions) = (values(&units), values(&dimensions));
    let (all_indicators, all_forms) = (values(&indicators), values(&forms));
    let digest = digest::digest(&all_units, &all_dimensions, &all_indicators, &all_forms);
    let checked = Catalogue::new(digest, all_units, all_dimensions, all_indicators, all_forms);
    let add = |error: CatalogueError| match error.entry {
        tonghop_domain::Entry::Unit(at) => add_error(&mut errors.units, units.get(at), error.detail),
        tonghop_domain::Entry::Dimension(at) => {
            add_error(&mut errors.dimensions, dimensions.get(at), error.detail)
        }
        tonghop_domain::Entry::Indicator(at) => {
            add_error(&mut errors.indicators, indicators.get(at), error.detail)
        }
        tonghop_domain::Entry::Form(at) => add_error(&mut errors.forms, forms.get(at), error.detail),
        tonghop_domain::Entry::Expectation(at, number) => {
            if forms.get(at).is_none_or(|form| form.sound) {
                let line = lines.get(at).and_then(|lines| lines.expectations.get(number));
                errors.forms.add(line.copied(), error.detail);
            }
        }
        tonghop_domain::Entry::Check(at, number) => {
            let line = lines.get(at).and_then(|lines| lines.checks.get(number));
            errors.forms.add(line.copied(), error.detail);
        }
    };
    checked.map_err(|found| found.into_iter().for_each(add)).ok()
}

/// Removes the references to files that could not be parsed, so that such a file agrees with every other. Otherwise each
/// line that refers to it would be an error.
fn without_lost_references(mut parts: Parts) -> Parts {
    if parts.dimensions.is_none() {
        for indicator in parts.indicators.iter_mut().flatten() {
            indicator.value.breakdowns.clear();
        }
    }
    for form in parts.forms.iter_mut().flat_map(|forms| &mut forms.entries) {
        let form = &mut form.value;
        if parts.units.is_none() {
            form.reporting_units.clear();
            form.reporting_levels = Level::ALL.to_vec();
            form.expectations.clear();
        }
        if parts.indicators.is_none() {
            form.expectations
                .iter_mut()
                .for_each(|rule| rule.indicators.clear());
        }
        if parts.dimensions.is_none() || parts.indicators.is_none() {
            form.checks.clear();
        }
    }
    parts
}

fn values<T: Clone>(entries: &[Entry<T>]) -> Vec<T> {
    entries.iter().map(|entry| entry.value.clone()).collect()
}

/// Adds an error with the line of its entry, unless the entry's references could not be read.
fn add_error<T>(errors: &mut FileErrors, entry: Option<&Entry<T>>, detail: String) {
    if entry.is_none_or(|entry| entry.sound) {
        errors.add(entry.map(|entry| entry.line), detail);
    }
}
