//! The content of valid reports, and all errors of invalid ones.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use tonghop_domain::{
    Catalogue, Content, Draft, DraftCell, DraftFigure, FieldError, FieldErrorKind, FormCheck, Level,
    MAX_CELLS, MAX_ITEM_CHARS, MAX_ITEMS, MAX_TEXT_CHARS, MAX_VALUE, Names, PathSegment, Report,
    ReportStatus, Reported, Severity, UnitId, ValueType, check, recounted_numbers,
};

use crate::builder::{Parts, unit};
use FieldErrorKind::*;

fn parts() -> Parts {
    let units = vec![
        unit("VN", Level::Country, None),
        unit("866", Level::District, Some("VN")),
        unit("BO", Level::Agency, Some("VN")),
    ];
    Parts::with(units)
}

fn catalogue() -> Catalogue {
    parts().checked().unwrap()
}

/// 1 December 2021, 00:30 in Viet Nam. In UTC it is still November.
fn now() -> DateTime<Utc> {
    "2021-12-01T00:30:00+07:00".parse().unwrap()
}

/// A report of a district for July 2021 with these figures.
fn draft(figures: Vec<DraftFigure>) -> Draft {
    Draft {
        form: Some("mau".into()),
        period: Some("2021-07".into()),
        unit: Some("866".into()),
        figures,
        note: None,
    }
}

fn figure(indicator: &str, reported: Reported) -> DraftFigure {
    DraftFigure {
        indicator: Some(indicator.into()),
        reported: Some(reported),
        cells: Vec::new(),
    }
}

fn cell(key: &[(&str, &str)], value: i64) -> DraftCell {
    DraftCell {
        key: Some(key.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()),
        value: Some(value),
    }
}

fn broken_down(value: i64, cells: Vec<DraftCell>) -> DraftFigure {
    DraftFigure {
        cells,
        ..figure("FLOW", Reported::Value(value))
    }
}

/// A path as text: its segments, each after a slash.
fn text_of(path: &[PathSegment]) -> String {
    let text = |segment: &PathSegment| match segment {
        PathSegment::Field(name) => format!("/{name}"),
        PathSegment::Index(index) => format!("/{index}"),
    };
    path.iter().map(text).collect()
}

/// The paths and kinds of all errors.
fn errors(draft: Draft) -> Vec<(String, FieldErrorKind)> {
    placed(check(draft, &catalogue(), now()).unwrap_err())
}

fn placed(errors: Vec<FieldError>) -> Vec<(String, FieldErrorKind)> {
    errors
        .into_iter()
        .map(|error| (text_of(&error.path), error.kind))
        .collect()
}

/// The errors of a report that is valid except for this figure, with paths within the figure.
fn errors_of(figure: DraftFigure) -> Vec<(String, FieldErrorKind)> {
    let errors = errors(draft(vec![figure]));
    let within = |path: String| path.strip_prefix("/figures/0").unwrap().to_owned();
    errors
        .into_iter()
        .map(|(path, kind)| (within(path), kind))
        .collect()
}

/// An unknown category of the dimension sex.
fn unknown_category(category: &str) -> FieldErrorKind {
    UnknownCategory {
        category: category.into(),
        known: ["nam", "nu"].map(|code| code.parse().unwrap()).to_vec(),
    }
}

fn one(path: &str, kind: FieldErrorKind) -> Vec<(String, FieldErrorKind)> {
    vec![(path.to_owned(), kind)]
}

#[test]
fn a_valid_report_keeps_its_content_in_nfc() {
    let sent = Draft {
        note: Some("Đo\u{302}\u{300}ng".into()),
        ..draft(vec![
            broken_down(
                3,
                vec![
                    cell(&[("sex", "nu"), ("age", "tre")], 3),
                    cell(&[("age", "tre")], 3),
                ],
            ),
            figure("STOCK", Reported::Value(-5)),
            figure("FLAG", Reported::Flag(false)),
            figure("LIST", Reported::Items(vec!["a\u{301}".into()])),
            figure("TEXT", Reported::NotApplicable),
        ])
    };
    let submission = check(sent, &catalogue(), now()).unwrap();
    assert_eq!(submission.key.unit, UnitId(2));
    assert_eq!(submission.unit.as_str(), "866");
    assert_eq!(submission.content.note.as_deref(), Some("Đồng"));
    let figures = &submission.content.figures;
    assert_eq!(figures[3].reported, Reported::Items(vec!["á".into()]));
    let dimensions: Vec<&str> = figures[0].cells[0]
        .key
        .iter()
        .map(|(dimension, _)| dimension.as_str())
        .collect();
    assert_eq!(dimensions, ["age", "sex"], "the key is sorted by dimension");
}

#[test]
fn form_period_and_unit_must_match() {
    let with = |change: fn(&mut Draft)| {
        let mut draft = draft(Vec::new());
        change(&mut draft);
        errors(draft)
    };
    assert_eq!(
        with(|draft| draft.form = Some("MAU".into())),
        one("/form", UnknownForm)
    );
    assert_eq!(
        with(|draft| draft.period = Some("July".into())),
        one("/period", InvalidPeriod)
    );
    assert_eq!(
        with(|draft| draft.period = Some("2021-08".into())),
        one("/period", PeriodNotExpected)
    );
    assert_eq!(
        with(|draft| draft.unit = Some("867".into())),
        one("/unit", UnknownUnit)
    );
    assert_eq!(
        with(|draft| draft.unit = Some("BO".into())),
        one("/unit", UnitDoesNotReport)
    );
}

#[test]
fn a_period_can_be_reported_from_its_first_day_on() {
    let next = || Draft {
        period: Some("2022-07".into()),
        ..draft(Vec::new())
    };
    let first_day = "2022-07-01".parse().unwrap();
    assert_eq!(errors(next()), one("/period", PeriodNotBegun(first_day)));
    let sent_at = |time: &str| check(next(), &catalogue(), time.parse().unwrap());
    assert!(sent_at("2022-06-30T23:59:59.999999+07:00").is_err());
    assert!(sent_at("2022-07-01T00:00:00+07:00").is_ok());

    let mut parts = parts();
    parts.forms[0].opens_days = 3;
    let opening = parts.checked().unwrap();
    let sent_at = |time: &str| check(next(), &opening, time.parse().unwrap());
    let too_early = sent_at("2022-06-27T23:59:59.999999+07:00").unwrap_err();
    assert_eq!(
        placed(too_early),
        one("/period", PeriodNotBegun("2022-06-28".parse().unwrap()))
    );
    assert!(sent_at("2022-06-28T00:00:00+07:00").is_ok());
}

#[test]
fn a_report_is_on_time_until_the_last_second_of_the_deadline_ends() {
    let catalogue = catalogue();
    let scope = catalogue.scope("mau", "2021-07".parse().unwrap()).unwrap();
    let due_at = scope.form.due_at(scope.period);
    assert_eq!(due_at.timestamp_subsec_micros(), 0);
    for (after, expected) in [
        (-1, ReportStatus::OnTime),
        (0, ReportStatus::OnTime),
        (50_000, ReportStatus::OnTime),
        (999_999, ReportStatus::OnTime),
        (1_000_000, ReportStatus::Late),
    ] {
        let received_at = due_at + TimeDelta::microseconds(after);
        assert_eq!(scope.report_status(Some(received_at)), expected, "{received_at}");
        let report = Report {
            content: Content {
                figures: Vec::new(),
                note: None,
            },
            first_received_at: received_at,
        };
        let place = scope.tree.get("866").unwrap();
        let numbers = recounted_numbers(&scope, place, &HashMap::from([(place.id(), &report)]));
        let late = numbers
            .iter()
            .find(|(key, _)| key.number == "late_count")
            .unwrap();
        assert_eq!(
            late.1 == "1",
            expected == ReportStatus::Late,
            "recounted: {received_at}"
        );
    }
}

#[test]
fn an_item_is_one_line_without_invisible_characters() {
    let items = ["Chung tay ", " Chung\u{a0}tay\r\n", "Chung\u{200b} tay"];
    let sent = draft(vec![figure(
        "LIST",
        Reported::Items(items.map(String::from).to_vec()),
    )]);
    let checked = check(sent, &catalogue(), now()).unwrap();
    let reported = &checked.content.figures[0].reported;
    assert_eq!(*reported, Reported::Items(vec!["Chung tay".into(); 3]));
    let wrong = |item: &str| errors_of(figure("LIST", Reported::Items(vec![item.into()])));
    assert_eq!(wrong("\u{200b}\u{a0}"), one("/items/0", Empty));
    assert_eq!(wrong("a\u{202e}b"), one("/items/0", ReorderingControl));
    assert_eq!(wrong("a\u{0}b"), one("/items/0", ControlCharacter));
    let text = |text: &str| figure("TEXT", Reported::Text(text.into()));
    let kept = check(draft(vec![text("một\u{feff}\n  hai ")]), &catalogue(), now()).unwrap();
    assert_eq!(
        kept.content.figures[0].reported,
        Reported::Text("một\n  hai ".into())
    );
    assert_eq!(errors_of(text("\u{2067}a")), one("/text", ReorderingControl));
}

#[test]
fn parts_that_are_missing_cause_no_errors() {
    assert_eq!(errors(Draft::default()), []);
    let half_read = DraftFigure {
        cells: vec![
            cell(&[("sex", "nu")], 1),
            DraftCell {
                value: None,
                ..cell(&[("sex", "nam")], 0)
            },
            DraftCell {
                key: None,
                value: Some(1),
            },
        ],
        ..figure("FLOW", Reported::Value(3))
    };
    let two = draft(vec![half_read, figure("NEN", Reported::NotDone)]);
    assert_eq!(errors(two), one("/figures/1/indicator", UnknownIndicator));
}

#[test]
fn an_indicator_is_on_the_form_reported_once_and_not_computed() {
    let figures = vec![
        figure("flow", Reported::Value(1)),
        figure("RATIO", Reported::Value(1)),
        figure("FLOW", Reported::Value(1)),
        figure("FLOW", Reported::Value(1)),
    ];
    assert_eq!(
        errors(draft(figures)),
        [
            ("/figures/0/indicator".to_owned(), UnknownIndicator),
            ("/figures/1/indicator".to_owned(), ComputedIndicator),
            ("/figures/3/indicator".to_owned(), RepeatedIndicator),
        ]
    );
}

#[test]
fn a_content_has_the_type_of_its_indicator() {
    let wrong = |indicator, reported| errors_of(figure(indicator, reported));
    let text = || Reported::Text("x".into());
    assert_eq!(
        wrong("FLOW", Reported::Flag(true)),
        one("/value", WrongValueType(ValueType::Integer))
    );
    assert_eq!(
        wrong("STOCK", text()),
        one("/text", WrongValueType(ValueType::Integer))
    );
    assert_eq!(
        wrong("FLAG", Reported::Value(1)),
        one("/value", WrongValueType(ValueType::Flag))
    );
    assert_eq!(
        wrong("LIST", text()),
        one("/text", WrongValueType(ValueType::Items))
    );
    assert_eq!(
        wrong("TEXT", Reported::Items(Vec::new())),
        one("/items", WrongValueType(ValueType::Text))
    );
}

#[test]
fn values_stay_within_their_bounds() {
    let stock = |value| errors_of(figure("STOCK", Reported::Value(value)));
    let flow = |value| errors_of(figure("FLOW", Reported::Value(value)));
    assert_eq!(stock(-6), one("/value", BelowMinimum(-5)));
    assert_eq!(stock(1_001), one("/value", AboveMaximum(1_000)));
    assert_eq!(flow(-MAX_VALUE - 1), one("/value", BelowMinimum(-MAX_VALUE)));
    assert_eq!(flow(MAX_VALUE + 1), one("/value", AboveMaximum(MAX_VALUE)));
    for allowed in [-MAX_VALUE, 0, MAX_VALUE] {
        assert!(
            check(
                draft(vec![figure("FLOW", Reported::Value(allowed))]),
                &catalogue(),
                now()
            )
            .is_ok()
        );
    }
}

#[test]
fn texts_and_lists_are_neither_empty_nor_too_long() {
    let text = |text: &str| errors_of(figure("TEXT", Reported::Text(text.into())));
    assert_eq!(text(" \n"), one("/text", Empty));
    assert_eq!(text("a\0b"), one("/text", ControlCharacter));
    assert_eq!(
        text(&"ệ".repeat(MAX_TEXT_CHARS + 1)),
        one("/text", TooLong(MAX_TEXT_CHARS))
    );
    let longest = "e\u{323}\u{302}".repeat(MAX_TEXT_CHARS);
    let whole = draft(vec![figure("TEXT", Reported::Text(longest))]);
    assert!(
        check(whole, &catalogue(), now()).is_ok(),
        "characters are counted in NFC"
    );

    let items = |items: Vec<String>| errors_of(figure("LIST", Reported::Items(items)));
    let two = vec!["x".repeat(MAX_ITEM_CHARS + 1), String::new()];
    let expected = [
        ("/items/0".to_owned(), TooLong(MAX_ITEM_CHARS)),
        ("/items/1".to_owned(), Empty),
    ];
    assert_eq!(items(two), expected);
    assert_eq!(
        items(vec!["x".into(); MAX_ITEMS + 1]),
        one("/items", TooMany(MAX_ITEMS))
    );

    let noted = Draft {
        note: Some(String::new()),
        ..draft(Vec::new())
    };
    assert_eq!(errors(noted), one("/note", Empty));
}

#[test]
fn breakdowns_use_the_dimensions_of_the_indicator() {
    let cells = |cells| errors_of(broken_down(1, cells));
    let place = "/breakdowns/0/by";
    assert_eq!(
        cells(vec![cell(&[("a/b~c", "x")], 1)]),
        one(&format!("{place}/a/b~c"), BreakdownNotAllowed("a/b~c".into()))
    );
    assert_eq!(
        cells(vec![cell(&[("sex", "x")], 1)]),
        one(&format!("{place}/sex"), unknown_category("x"))
    );
    assert_eq!(cells(vec![cell(&[], 1)]), one(place, BreakdownWithoutDimension));
    let crossed = vec![
        cell(&[("sex", "nu"), ("age", "tre")], 1),
        cell(&[("age", "tre"), ("sex", "nu")], 0),
    ];
    assert_eq!(cells(crossed), one("/breakdowns/1", RepeatedCell));
    assert_eq!(
        cells(vec![cell(&[("sex", "nu")], MAX_VALUE + 1)]),
        one("/breakdowns/0/value", AboveMaximum(MAX_VALUE))
    );
    assert_eq!(
        cells(vec![cell(&[("sex", "nu")], 1); MAX_CELLS + 1]),
        one("/breakdowns", TooMany(MAX_CELLS))
    );
}

#[test]
fn two_invalid_cells_are_not_a_repeated_cell() {
    let unknown = vec![cell(&[("sex", "x")], 1), cell(&[("sex", "y")], 0)];
    assert_eq!(
        errors_of(broken_down(1, unknown)),
        [
            ("/breakdowns/0/by/sex".to_owned(), unknown_category("x")),
            ("/breakdowns/1/by/sex".to_owned(), unknown_category("y")),
        ]
    );
}

#[test]
fn only_a_number_can_be_broken_down() {
    let state = DraftFigure {
        cells: vec![cell(&[("sex", "nu")], 1)],
        ..figure("FLOW", Reported::DoneNoNumber)
    };
    assert_eq!(errors_of(state), one("/breakdowns", BreakdownNotNumeric));
}

#[test]
fn the_cells_of_each_set_of_dimensions_add_up_to_the_value() {
    let cells = vec![
        cell(&[("sex", "nu")], 1),
        cell(&[("sex", "nam")], 2),
        cell(&[("age", "tre")], 2),
        cell(&[("age", "gia"), ("sex", "nu")], 4),
    ];
    let names = |code: &&str| Names {
        vi: code.to_string(),
        en: code.to_string(),
    };
    let sum = |dimensions: &[&str], sum| {
        let kind = BreakdownSum {
            dimensions: dimensions.iter().map(names).collect(),
            sum,
            value: 3,
        };
        ("/breakdowns".to_owned(), kind)
    };
    assert_eq!(
        errors_of(broken_down(3, cells)),
        [sum(&["age"], 2), sum(&["age", "sex"], 4)]
    );
}

#[test]
fn all_errors_are_reported_in_the_order_of_the_body() {
    let draft = Draft {
        unit: Some("BO".into()),
        note: Some("\u{7}".into()),
        ..draft(vec![
            figure("STOCK", Reported::Value(9_999)),
            broken_down(1, vec![cell(&[("sex", "nu")], 0)]),
            figure("STOCK", Reported::Flag(true)),
            figure("RATIO", Reported::NotDone),
        ])
    };
    let paths: Vec<String> = errors(draft).into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        [
            "/unit",
            "/note",
            "/figures/0/value",
            "/figures/1/breakdowns",
            "/figures/2/indicator",
            "/figures/2/value",
            "/figures/3/indicator",
        ]
    );
}

#[test]
fn a_failed_check_rejects_or_warns() {
    let rule = "FLOW <= STOCK";
    let texts = Names {
        vi: "Một".into(),
        en: "One".into(),
    };
    let with = |severity| {
        let mut parts = parts();
        parts.forms[0].checks = vec![FormCheck {
            rule: rule.parse().unwrap(),
            severity,
            texts: texts.clone(),
        }];
        parts.checked().unwrap()
    };
    let report = |stock: i64| {
        draft(vec![
            figure("STOCK", Reported::Value(stock)),
            figure("FLOW", Reported::Value(2)),
        ])
    };
    let kind = CheckFailed {
        rule: rule.into(),
        texts: texts.clone(),
    };
    let strict = with(Severity::Error);
    assert_eq!(
        placed(check(report(1), &strict, now()).unwrap_err()),
        one("/figures/1", kind.clone())
    );
    assert!(check(report(2), &strict, now()).is_ok());
    let other = check(report(-9), &strict, now()).unwrap_err();
    assert_eq!(
        placed(other),
        one("/figures/0/value", BelowMinimum(-5)),
        "no check of wrong figures"
    );
    let mut parts = parts();
    parts.forms[0].checks = vec![FormCheck {
        rule: "STOCK answered".parse().unwrap(),
        severity: Severity::Error,
        texts: texts.clone(),
    }];
    let strict = parts.checked().unwrap();
    let missing = check(draft(Vec::new()), &strict, now()).unwrap_err();
    assert!(matches!(placed(missing)[..], [(_, CheckFailed { .. })]));
    let wrong = check(report(-9), &strict, now()).unwrap_err();
    assert_eq!(
        placed(wrong),
        one("/figures/0/value", BelowMinimum(-5)),
        "a wrong figure is an answer"
    );

    let lenient = with(Severity::Warning);
    let submission = check(report(1), &lenient, now()).unwrap();
    let failed = |severity| placed(submission.scope.form.failed_checks(severity, &submission.content));
    assert_eq!(failed(Severity::Warning), one("/figures/1", kind));
    assert_eq!(failed(Severity::Error), []);
}
