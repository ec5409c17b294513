//! The digest of a catalogue's content.
//!
//! The digest is the SHA-256 of the parsed content: units, dimensions, indicators and forms in file order, each field with
//! its name and length. It does not depend on comments, line endings, quotation marks, the order of columns and keys, the
//! columns that the service ignores (`note`, `type`), or the folder's path.

use chrono::NaiveDate;
use sha2::{Digest, Sha256};
use tonghop_domain::{Calendar, Dimension, Form, Frequency, Indicator, Kind, Names, Unit};

/// The digest in hexadecimal.
pub(crate) fn digest(
    units: &[Unit],
    dimensions: &[Dimension],
    indicators: &[Indicator],
    forms: &[Form],
) -> String {
    let mut content = Content(Sha256::new());
    units.iter().for_each(|unit| content.unit(unit));
    dimensions
        .iter()
        .for_each(|dimension| content.dimension(dimension));
    indicators
        .iter()
        .for_each(|indicator| content.indicator(indicator));
    forms.iter().for_each(|form| content.form(form));
    base16ct::lower::encode_string(&content.0.finalize())
}

struct Content(Sha256);

impl Content {
    /// Hashes a labelled text with its length, so that different fields never produce the same bytes.
    fn text(&mut self, label: &str, text: &str) {
        self.0.update(label.as_bytes());
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
    }

    fn names(&mut self, names: &Names) {
        self.text("name_vi", &names.vi);
        self.text("name_en", &names.en);
    }

    fn validity(&mut self, from: Option<NaiveDate>, to: Option<NaiveDate>) {
        for (label, day) in [("valid_from", from), ("valid_to", to)] {
            if let Some(day) = day {
                self.text(label, &day.to_string());
            }
        }
    }

    fn unit(&mut self, unit: &Unit) {
        self.text("unit", unit.code.as_str());
        self.names(&unit.names);
        self.text("level", unit.level.as_str());
        if let Some(parent) = &unit.parent {
            self.text("parent_code", parent.as_str());
        }
        self.validity(unit.valid_from, unit.valid_to);
    }

    fn dimension(&mut self, dimension: &Dimension) {
        self.text("dimension", dimension.code.as_str());
        self.names(&dimension.names);
        for category in &dimension.categories {
            self.text("category", category.code.as_str());
            self.names(&category.names);
        }
    }

    fn indicator(&mut self, indicator: &Indicator) {
        self.text("indicator", indicator.code.as_str());
        self.names(&indicator.names);
        self.text("unit_vi", &indicator.measure.vi);
        self.text("unit_en", &indicator.measure.en);
        self.text("kind", indicator.kind.as_str());
        if let Kind::Ratio(formula) = &indicator.kind {
            self.text("formula", &formula.to_string());
        }
        self.text("value_type", &indicator.value_type);
        self.text("across_time", &indicator.across_time);
        for dimension in &indicator.breakdowns {
            self.text("breakdown", dimension.as_str());
        }
        for (label, bound) in [("min", indicator.min), ("max", indicator.max)] {
            if let Some(bound) = bound {
                self.text(label, &bound.to_string());
            }
        }
        if indicator.confidential {
            self.text("confidential", "yes");
        }
    }

    fn form(&mut self, form: &Form) {
        self.text("form", form.code.as_str());
        self.text("version", &form.version.to_string());
        self.names(&form.names);
        self.validity(form.valid_from, form.valid_to);
        self.text("frequency", frequency_word(form.frequency));
        for number in &form.numbers {
            self.text("period", &number.to_string());
        }
        self.text("calendar", calendar_word(form.calendar));
        if form.opens_days > 0 {
            self.text("opens_days", &form.opens_days.to_string());
        }
        self.text("due_days", &form.due_days.to_string());
        self.text("utc_offset", &form.offset.to_string());
        for level in &form.reporting_levels {
            self.text("reporting_level", level.as_str());
        }
        for unit in &form.reporting_units {
            self.text("reporting_unit", unit.as_str());
        }
        for indicator in form.indicators.iter() {
            self.text("form_indicator", indicator.code.as_str());
        }
        for check in &form.checks {
            self.text("check", &check.rule.to_string());
            self.text("severity", check.severity.as_str());
            self.names(&check.texts);
        }
        for rule in &form.expectations {
            self.text("expect", "");
            for indicator in &rule.indicators {
                self.text("expected_indicator", indicator.as_str());
            }
            for level in &rule.levels {
                self.text("expected_level", level.as_str());
            }
            for unit in &rule.units {
                self.text("expected_unit", unit.as_str());
            }
        }
    }
}

/// The word for a frequency in `forms.toml`.
pub(crate) fn frequency_word(frequency: Frequency) -> &'static str {
    match frequency {
        Frequency::Monthly => "monthly",
        Frequency::Quarterly => "quarterly",
        Frequency::HalfYearly => "half_yearly",
        Frequency::NineMonthly => "nine_monthly",
        Frequency::Yearly => "yearly",
    }
}

/// The word for a calendar in `forms.toml`.
pub(crate) fn calendar_word(calendar: Calendar) -> &'static str {
    match calendar {
        Calendar::Civil => "civil",
        Calendar::Decree09 => "decree-09-2019",
    }
}
