//! What a report may say, and every fault of one that it may not.

use tonghop_domain::{
    Catalogue, Draft, DraftCell, DraftFigure, FaultKind, Level, MAX_CELLS, MAX_ITEM_CHARS, MAX_ITEMS,
    MAX_TEXT_CHARS, MAX_VALUE, Reported, UnitId, check,
};

use crate::builder::{Parts, unit};
use FaultKind::*;

fn catalogue() -> Catalogue {
    let units = vec![
        unit("VN", Level::Country, None),
        unit("866", Level::District, Some("VN")),
        unit("BO", Level::Agency, Some("VN")),
    ];
    Parts::with(units).checked().unwrap()
}

/// A report of a district on July 2021 that says this.
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
        key: key.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect(),
        value: Some(value),
    }
}

fn broken_down(value: i64, cells: Vec<DraftCell>) -> DraftFigure {
    DraftFigure {
        cells,
        ..figure("FLOW", Reported::Value(value))
    }
}

/// The pointers and kinds of every fault.
fn faults(draft: Draft) -> Vec<(String, FaultKind)> {
    let faults = check(draft, &catalogue()).unwrap_err();
    faults
        .into_iter()
        .map(|fault| (fault.pointer, fault.kind))
        .collect()
}

/// The faults of a report that is right but for this figure, by their pointers within it.
fn faults_of(figure: DraftFigure) -> Vec<(String, FaultKind)> {
    let faults = faults(draft(vec![figure]));
    let within = |pointer: String| pointer.strip_prefix("/figures/0").unwrap().to_owned();
    faults
        .into_iter()
        .map(|(pointer, kind)| (within(pointer), kind))
        .collect()
}

fn one(pointer: &str, kind: FaultKind) -> Vec<(String, FaultKind)> {
    vec![(pointer.to_owned(), kind)]
}

#[test]
fn a_report_that_is_right_is_what_was_sent_in_nfc() {
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
    let submission = check(sent, &catalogue()).unwrap();
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
    assert_eq!(
        dimensions,
        ["age", "sex"],
        "a key is in the order of its dimensions"
    );
}

#[test]
fn form_period_and_unit_must_go_together() {
    let with = |change: fn(&mut Draft)| {
        let mut draft = draft(Vec::new());
        change(&mut draft);
        faults(draft)
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
        one("/period", PeriodNotOfForm)
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
fn what_was_found_missing_before_is_not_told_again() {
    assert_eq!(faults(Draft::default()), []);
    let half_read = DraftFigure {
        cells: vec![
            cell(&[("sex", "nu")], 1),
            DraftCell {
                value: None,
                ..cell(&[("sex", "nam")], 0)
            },
        ],
        ..figure("FLOW", Reported::Value(3))
    };
    let two = draft(vec![half_read, figure("NEN", Reported::NotDone)]);
    assert_eq!(faults(two), one("/figures/1/indicator", UnknownIndicator));
}

#[test]
fn an_indicator_is_on_the_form_once_and_not_computed() {
    let figures = vec![
        figure("flow", Reported::Value(1)),
        figure("RATIO", Reported::Value(1)),
        figure("FLOW", Reported::Value(1)),
        figure("FLOW", Reported::Value(1)),
    ];
    assert_eq!(
        faults(draft(figures)),
        [
            ("/figures/0/indicator".to_owned(), UnknownIndicator),
            ("/figures/1/indicator".to_owned(), ComputedIndicator),
            ("/figures/3/indicator".to_owned(), RepeatedIndicator),
        ]
    );
}

#[test]
fn a_content_is_of_the_kind_of_its_indicator() {
    let wrong = |indicator, reported| faults_of(figure(indicator, reported));
    let text = || Reported::Text("x".into());
    assert_eq!(
        wrong("FLOW", Reported::Flag(true)),
        one("/value", WrongContent("integer"))
    );
    assert_eq!(wrong("STOCK", text()), one("/text", WrongContent("integer")));
    assert_eq!(
        wrong("FLAG", Reported::Value(1)),
        one("/value", WrongContent("true or false"))
    );
    assert_eq!(wrong("LIST", text()), one("/text", WrongContent("items")));
    assert_eq!(
        wrong("TEXT", Reported::Items(Vec::new())),
        one("/items", WrongContent("text"))
    );
}

#[test]
fn values_stay_within_their_bounds() {
    let stock = |value| faults_of(figure("STOCK", Reported::Value(value)));
    let flow = |value| faults_of(figure("FLOW", Reported::Value(value)));
    assert_eq!(stock(-6), one("/value", BelowMinimum(-5)));
    assert_eq!(stock(1_001), one("/value", AboveMaximum(1_000)));
    assert_eq!(flow(-MAX_VALUE - 1), one("/value", BelowMinimum(-MAX_VALUE)));
    assert_eq!(flow(MAX_VALUE + 1), one("/value", AboveMaximum(MAX_VALUE)));
    for allowed in [-MAX_VALUE, 0, MAX_VALUE] {
        assert!(
            check(
                draft(vec![figure("FLOW", Reported::Value(allowed))]),
                &catalogue()
            )
            .is_ok()
        );
    }
}

#[test]
fn texts_say_something_and_not_too_much() {
    let text = |text: &str| faults_of(figure("TEXT", Reported::Text(text.into())));
    assert_eq!(text(" \n"), one("/text", Empty));
    assert_eq!(text("a\0b"), one("/text", ControlCharacter));
    assert_eq!(
        text(&"ệ".repeat(MAX_TEXT_CHARS + 1)),
        one("/text", TooLong(MAX_TEXT_CHARS))
    );
    let longest = "e\u{323}\u{302}".repeat(MAX_TEXT_CHARS);
    let whole = draft(vec![figure("TEXT", Reported::Text(longest))]);
    assert!(
        check(whole, &catalogue()).is_ok(),
        "characters are counted in NFC"
    );

    let items = |items: Vec<String>| faults_of(figure("LIST", Reported::Items(items)));
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
    assert_eq!(faults(noted), one("/note", Empty));
}

#[test]
fn breakdowns_are_of_the_indicators_dimensions() {
    let cells = |cells| faults_of(broken_down(1, cells));
    let place = "/breakdowns/0";
    assert_eq!(
        cells(vec![cell(&[("a/b~c", "x")], 1)]),
        one(&format!("{place}/a~1b~0c"), BreakdownNotAllowed("a/b~c".into()))
    );
    assert_eq!(
        cells(vec![cell(&[("sex", "x")], 1)]),
        one(&format!("{place}/sex"), UnknownCategory("x".into()))
    );
    assert_eq!(cells(vec![cell(&[], 1)]), one(place, NoDimension));
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
fn two_faulty_cells_are_not_taken_for_one_cell_twice() {
    let unknown = vec![cell(&[("sex", "x")], 1), cell(&[("sex", "y")], 0)];
    assert_eq!(
        faults_of(broken_down(1, unknown)),
        [
            ("/breakdowns/0/sex".to_owned(), UnknownCategory("x".into())),
            ("/breakdowns/1/sex".to_owned(), UnknownCategory("y".into())),
        ]
    );
}

#[test]
fn only_a_number_is_broken_down() {
    let state = DraftFigure {
        cells: vec![cell(&[("sex", "nu")], 1)],
        ..figure("FLOW", Reported::DoneNoNumber)
    };
    assert_eq!(faults_of(state), one("/breakdowns", BreakdownOfNoNumber));
}

#[test]
fn the_cells_of_each_set_of_dimensions_add_up_to_the_value() {
    let cells = vec![
        cell(&[("sex", "nu")], 1),
        cell(&[("sex", "nam")], 2),
        cell(&[("age", "tre")], 2),
        cell(&[("age", "gia"), ("sex", "nu")], 4),
    ];
    let sum = |dimensions: &str, sum| {
        let dimensions = dimensions.to_owned();
        (
            "/breakdowns".to_owned(),
            BreakdownSum {
                dimensions,
                sum,
                value: 3,
            },
        )
    };
    assert_eq!(
        faults_of(broken_down(3, cells)),
        [sum("age", 2), sum("age,sex", 4)]
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once_in_the_order_of_the_body() {
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
    let pointers: Vec<String> = faults(draft).into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(
        pointers,
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
