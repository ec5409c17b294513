//! Rules between units, dimensions, indicators and forms.

use chrono::NaiveDate;
use tonghop_domain::{Entry, Form, Frequency, Kind, Level};

use crate::builder::{Parts, unit};

fn parts() -> Parts {
    Parts::with(vec![
        unit("VN", Level::Country, None),
        unit("1", Level::District, Some("VN")),
    ])
}

fn errors(parts: Parts) -> Vec<(Entry, String)> {
    let errors = parts.checked().unwrap_err();
    errors
        .into_iter()
        .map(|error| (error.entry, error.detail))
        .collect()
}

fn day(text: &str) -> Option<NaiveDate> {
    Some(text.parse().unwrap())
}

#[test]
fn every_error_of_every_entry_is_reported_in_order() {
    let mut parts = parts();
    parts.units[1].parent = Some("99".parse().unwrap());
    parts.dimensions.push(parts.dimensions[0].clone());
    parts.dimensions[1].code = "value".parse().unwrap();
    let again = parts.dimensions[0].categories[0].clone();
    parts.dimensions[0].categories.push(again);
    parts.indicators.push(parts.indicators[0].clone());
    parts.indicators[1].min = Some(1_001);
    parts.indicators[2].breakdowns = vec!["sex".parse().unwrap()];
    if let Kind::Ratio(formula) = &mut parts.indicators[3].kind {
        formula.numerator = "TEXT".parse().unwrap();
        formula.denominator = "NOTHING".parse().unwrap();
    }
    parts.forms[0].reporting_levels.clear();
    assert_eq!(
        errors(parts),
        [
            (
                Entry::Unit(1),
                "the parent 99 does not exist on 1970-01-01, but this unit does"
            ),
            (Entry::Indicator(0), "the dimension age does not exist"),
            (Entry::Indicator(1), "min 1001 is above max 1000"),
            (Entry::Indicator(2), "a flag cannot have breakdowns"),
            (Entry::Indicator(3), "TEXT in the formula is not a number"),
            (
                Entry::Indicator(3),
                "the indicator NOTHING in the formula does not exist"
            ),
            (Entry::Indicator(6), "the indicator FLOW is defined twice"),
            (Entry::Indicator(6), "the dimension age does not exist"),
            (Entry::Dimension(0), "the category nam of sex is defined twice"),
            (Entry::Dimension(1), "a dimension cannot be called value"),
            (Entry::Dimension(2), "the dimension sex is defined twice"),
            (
                Entry::Form(0),
                "no unit reports the form: set reporting_levels or reporting_units"
            ),
        ]
        .map(|(entry, detail)| (entry, detail.to_owned()))
    );
}

#[test]
fn a_form_agrees_with_its_units_indicators_and_frequency() {
    let mut parts = parts();
    let form = &mut parts.forms[0];
    form.reporting_units = vec!["99".parse().unwrap()];
    let without = form.indicators.iter().filter(|one| one.code.as_str() != "STOCK");
    form.indicators = without.chain(form.indicators.first()).cloned().collect();
    form.frequency = Frequency::Quarterly;
    form.numbers = vec![0, 4, 5];
    assert_eq!(
        errors(parts),
        [
            "the reporting unit 99 does not exist",
            "RATIO is computed from STOCK, which is not on the form",
            "the form contains the indicator FLOW twice",
            "a year has no period 0 at this frequency",
            "a year has no period 5 at this frequency",
        ]
        .map(|detail| (Entry::Form(0), detail.to_owned()))
    );
}

/// Two versions of the form: the first is valid until `to`, the second from `from`.
fn versions(to: &str, from: &str) -> Parts {
    let mut parts = parts();
    parts.forms[0].valid_to = day(to);
    parts.forms.push(Form {
        version: 2,
        valid_from: day(from),
        valid_to: None,
        ..parts.forms[0].clone()
    });
    parts
}

#[test]
fn a_period_uses_the_form_version_of_its_last_day() {
    let catalogue = versions("2021-07-31", "2021-07-31").checked().unwrap();
    let version = |period: &str| {
        let scope = catalogue.scope("mau", period.parse().unwrap());
        scope.map(|scope| scope.form.version)
    };
    assert_eq!(version("2020-07"), Some(1));
    assert_eq!(version("2021-07"), Some(2));
    assert_eq!(version("2022-07"), Some(2));
    assert_eq!(version("2021-08"), None, "the form is reported for July");
    assert_eq!(version("2021-Q3"), None, "the form is monthly");
    assert!(catalogue.has_form("mau") && !catalogue.has_form("mau-2"));
}

#[test]
fn versions_of_a_form_do_not_overlap() {
    assert_eq!(
        errors(versions("2021-07-31", "2021-07-30")),
        [(
            Entry::Form(1),
            "two versions of the form mau are valid on the same day".to_owned()
        )]
    );
}

#[test]
fn a_day_has_the_valid_form_version_or_the_latest() {
    let catalogue = versions("2021-07-31", "2021-08-02").checked().unwrap();
    let version = |day: &str| {
        let form = catalogue.form_on("mau", day.parse().unwrap());
        form.map(|form| form.version)
    };
    assert_eq!(version("2021-07-30"), Some(1));
    assert_eq!(version("2021-08-02"), Some(2));
    assert_eq!(version("2021-08-01"), Some(2), "no version is valid");
    assert!(
        catalogue
            .form_on("mau-2", "2021-08-02".parse().unwrap())
            .is_none()
    );
}

#[test]
fn all_forms_share_one_time_zone() {
    let mut parts = versions("2021-07-31", "2021-07-31");
    parts.forms[1].offset = chrono::FixedOffset::east_opt(8 * 3600).unwrap();
    assert_eq!(
        errors(parts),
        [(
            Entry::Form(1),
            "utc_offset is +08:00, but +07:00 in the first form: a catalogue has one time zone".to_owned()
        )]
    );
}
