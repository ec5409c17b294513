//! From the bytes of the four files to a catalogue.

use tonghop_domain::{Catalogue, CatalogueFault, Dimension, Form, Indicator, Level, Unit};
use unicode_normalization::UnicodeNormalization;

use crate::fault::{CatalogueFaults, Faults, line_at};
use crate::table::Entry;
use crate::{digest, dimensions, forms, indicators, units};

/// The bytes of each file, or why there are none.
pub(crate) struct Files {
    pub(crate) units: Result<Vec<u8>, String>,
    pub(crate) dimensions: Result<Vec<u8>, String>,
    pub(crate) indicators: Result<Vec<u8>, String>,
    pub(crate) forms: Result<Vec<u8>, String>,
}

/// What was read of a catalogue; none for a file that could not be read as what it should be.
struct Parts {
    units: Option<Vec<Entry<Unit>>>,
    dimensions: Option<Vec<Entry<Dimension>>>,
    indicators: Option<Vec<Entry<Indicator>>>,
    forms: Option<Vec<Entry<Form>>>,
}

/// The faults of each file.
struct AllFaults {
    units: Faults,
    dimensions: Faults,
    indicators: Faults,
    forms: Faults,
}

pub(crate) fn assemble(origin: &str, files: Files) -> Result<Catalogue, CatalogueFaults> {
    let mut faults = AllFaults {
        units: Faults::of(units::FILE),
        dimensions: Faults::of(dimensions::FILE),
        indicators: Faults::of(indicators::FILE),
        forms: Faults::of(forms::FILE),
    };
    let units = decode(files.units, &mut faults.units).and_then(|text| units::read(&text, &mut faults.units));
    let dimensions = decode(files.dimensions, &mut faults.dimensions)
        .and_then(|text| dimensions::read(&text, &mut faults.dimensions));
    let indicators = decode(files.indicators, &mut faults.indicators)
        .and_then(|text| indicators::read(&text, &mut faults.indicators));
    let forms = decode(files.forms, &mut faults.forms)
        .and_then(|text| forms::read(&text, indicators.as_deref(), &mut faults.forms));
    let parts = Parts {
        units,
        dimensions,
        indicators,
        forms,
    };
    let catalogue = cross_check(parts, &mut faults);
    let found: Vec<_> = [faults.units, faults.dimensions, faults.indicators, faults.forms]
        .into_iter()
        .flat_map(Faults::sorted)
        .collect();
    match catalogue {
        Some(catalogue) if found.is_empty() => Ok(catalogue),
        _ => Err(CatalogueFaults::new(origin, found)),
    }
}

/// The text in NFC, without the byte order mark that some editors put in front.
fn decode(bytes: Result<Vec<u8>, String>, faults: &mut Faults) -> Option<String> {
    let bytes = bytes.map_err(|detail| faults.add(None, detail)).ok()?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text).nfc().collect()),
        Err(error) => {
            faults.add(
                line_at(&bytes, error.valid_up_to()),
                "the text is not UTF-8: save the file as UTF-8",
            );
            None
        }
    }
}

fn cross_check(parts: Parts, faults: &mut AllFaults) -> Option<Catalogue> {
    let Parts {
        units,
        dimensions,
        mut indicators,
        mut forms,
    } = parts;
    // A file that could not be read agrees with everything, lest every line of the others be told for its sake.
    if dimensions.is_none() {
        for indicator in indicators.iter_mut().flatten() {
            indicator.value.breakdowns.clear();
        }
    }
    if units.is_none() {
        for form in forms.iter_mut().flatten() {
            form.value.reporting_units.clear();
            form.value.reporting_levels = Level::ALL.to_vec();
        }
    }
    let units = units.unwrap_or_default();
    let dimensions = dimensions.unwrap_or_default();
    let indicators = indicators.unwrap_or_default();
    let forms = forms.unwrap_or_default();
    let (all_units, all_dimensions) = (values(&units), values(&dimensions));
    let (all_indicators, all_forms) = (values(&indicators), values(&forms));
    let digest = digest::digest(&all_units, &all_dimensions, &all_indicators, &all_forms);
    let checked = Catalogue::new(digest, all_units, all_dimensions, all_indicators, all_forms);
    let place = |fault: CatalogueFault| match fault.entry {
        tonghop_domain::Entry::Unit(at) => tell(&mut faults.units, units.get(at), fault.detail),
        tonghop_domain::Entry::Dimension(at) => {
            tell(&mut faults.dimensions, dimensions.get(at), fault.detail)
        }
        tonghop_domain::Entry::Indicator(at) => {
            tell(&mut faults.indicators, indicators.get(at), fault.detail)
        }
        tonghop_domain::Entry::Form(at) => tell(&mut faults.forms, forms.get(at), fault.detail),
    };
    checked.map_err(|found| found.into_iter().for_each(place)).ok()
}

fn values<T: Clone>(entries: &[Entry<T>]) -> Vec<T> {
    entries.iter().map(|entry| entry.value.clone()).collect()
}

fn tell<T>(faults: &mut Faults, entry: Option<&Entry<T>>, detail: String) {
    if entry.is_none_or(|entry| entry.sound) {
        faults.add(entry.map(|entry| entry.line), detail);
    }
}
