//! Dimensions, indicators and forms against each other.

use chrono::NaiveDate;
use tonghop_domain::{Entry, Form, Frequency, Kind, Level};

use crate::builder::{Parts, unit};

fn parts() -> Parts {
    Parts::with(vec![
        unit("VN", Level::Country, None),
        unit("1", Level::District, Some("VN")),
    ])
}

fn faults(parts: Parts) -> Vec<(Entry, String)> {
    let faults = parts.checked().unwrap_err();
    faults
        .into_iter()
        .map(|fault| (fault.entry, fault.detail))
        .collect()
}

fn day(text: &str) -> Option<NaiveDate> {
    Some(text.parse().unwrap())
}

#[test]
fn every_fault_of_every_entry_is_told_in_order() {
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
        faults(parts),
        [
            (
                Entry::Unit(1),
                "the parent 99 does not exist on 1970-01-01, when this unit does"
            ),
            (Entry::Indicator(0), "the dimension age does not exist"),
            (Entry::Indicator(1), "min 1001 is above max 1000"),
            (Entry::Indicator(2), "a flag has no breakdowns"),
            (Entry::Indicator(3), "TEXT in the formula is no number"),
            (
                Entry::Indicator(3),
                "the indicator NOTHING in the formula does not exist"
            ),
            (Entry::Indicator(6), "the indicator FLOW is given twice"),
            (Entry::Indicator(6), "the dimension age does not exist"),
            (Entry::Dimension(0), "the category nam of sex is given twice"),
            (Entry::Dimension(1), "a dimension may not be called value"),
            (Entry::Dimension(2), "the dimension sex is given twice"),
            (
                Entry::Form(0),
                "nobody reports the form: name reporting_levels or reporting_units"
            ),
        ]
        .map(|(entry, detail)| (entry, detail.to_owned()))
    );
}

#[test]
fn a_form_is_at_one_with_its_units_indicators_and_frequency() {
    let mut parts = parts();
    let form = &mut parts.forms[0];
    form.reporting_units = vec!["99".parse().unwrap()];
    let without = form.indicators.iter().filter(|one| one.code.as_str() != "STOCK");
    form.indicators = without.chain(form.indicators.first()).cloned().collect();
    form.frequency = Frequency::Quarterly;
    form.numbers = vec![0, 4, 5];
    assert_eq!(
        faults(parts),
        [
            "the reporting unit 99 does not exist",
            "RATIO needs STOCK, which is not on the form",
            "the indicator FLOW is on the form twice",
            "a year has no period number 0 of this frequency",
            "a year has no period number 5 of this frequency",
        ]
        .map(|detail| (Entry::Form(0), detail.to_owned()))
    );
}

/// Two versions of the form, the first until a day and the second from a day.
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
fn a_period_has_the_version_of_its_last_day() {
    let catalogue = versions("2021-07-31", "2021-07-31").checked().unwrap();
    let version = |period: &str| {
        let scope = catalogue.scope("mau", period.parse().unwrap());
        scope.map(|scope| scope.form.version)
    };
    assert_eq!(version("2020-07"), Some(1));
    assert_eq!(version("2021-07"), Some(2));
    assert_eq!(version("2022-07"), Some(2));
    assert_eq!(version("2021-08"), None, "the form is of July");
    assert_eq!(version("2021-Q3"), None, "the form is monthly");
    assert!(catalogue.has_form("mau") && !catalogue.has_form("mau-2"));
}

#[test]
fn two_versions_never_hold_on_one_day() {
    assert_eq!(
        faults(versions("2021-07-31", "2021-07-30")),
        [(
            Entry::Form(1),
            "two versions of the form mau hold on one day".to_owned()
        )]
    );
}
