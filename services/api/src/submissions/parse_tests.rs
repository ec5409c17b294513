use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use tonghop_domain::Kind;

use super::*;
use crate::problem::field_error;
use crate::problem::json_pointer::json_pointer;
use crate::request::json_reader::MAX_ERRORS;

fn catalogue() -> &'static Catalogue {
    static BUILT_IN: LazyLock<Catalogue> = LazyLock::new(|| tonghop_catalogue::built_in().unwrap());
    &BUILT_IN
}

/// The errors of a body as pointers and codes.
fn errors(body: &str) -> Vec<(String, &'static str)> {
    match read_submission(body.as_bytes(), catalogue()) {
        Ok(_) => Vec::new(),
        Err(Problem::InvalidSubmission(errors)) => errors
            .into_iter()
            .map(|error| (json_pointer(&error.path), field_error::code(&error.kind).as_str()))
            .collect(),
        Err(other) => panic!("{other:?}"),
    }
}

fn body(figures: Value) -> String {
    json!({"form": "ngay-30-7", "period": "2021-07", "unit": "866", "figures": figures}).to_string()
}

fn assert_errors(body: &str, expected: &[(&str, &str)]) {
    let found = errors(body);
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(pointer, code)| (pointer.as_str(), *code))
        .collect();
    assert_eq!(found, expected, "{body}");
}

#[test]
fn a_valid_body_is_read_as_it_was_sent() {
    let sent = body(json!([
        {"indicator": "TT.PT", "value": 63},
        {"indicator": "TT.PANO", "state": "done_no_number"},
        {"indicator": "NN.TN", "value": 1, "breakdowns": [{"by": {"sex": "nu", "age": "16_17"}, "value": 1}]},
        {"indicator": "TT.HOTLINE", "value": true},
        {"indicator": "TT.KHAUHIEU", "items": ["a", "b"]},
        {"indicator": "DG.KQ", "text": "c"}
    ]));
    let submission = read_submission(sent.as_bytes(), catalogue()).unwrap();
    let reported: Vec<Reported> = submission
        .content
        .figures
        .iter()
        .map(|figure| figure.reported.clone())
        .collect();
    let expected = [
        Reported::Value(63),
        Reported::DoneNoNumber,
        Reported::Value(1),
        Reported::Flag(true),
        Reported::Items(vec!["a".into(), "b".into()]),
        Reported::Text("c".into()),
    ];
    assert_eq!(reported, expected);
    assert_eq!(submission.content.figures[2].cells[0].value, 1);
    assert_eq!(submission.content.note, None);
}

#[test]
fn a_body_that_is_not_an_object_has_one_error() {
    for body in ["[]", "1", "null", "\"text\"", "true", "1.5"] {
        assert_errors(body, &[("", "wrong-type")]);
    }
}

#[test]
fn missing_unknown_and_repeated_fields_are_distinguished() {
    assert_errors(
        "{}",
        &[
            ("/form", "missing-field"),
            ("/period", "missing-field"),
            ("/unit", "missing-field"),
            ("/figures", "missing-field"),
        ],
    );
    assert_errors(
        r#"{"a/b~c": 1, "form": "ngay-30-7", "form": "x", "period": "2021-07", "unit": "866", "figures": [
            {"value": 1, "value": 2, "indicator": "TT.PT", "size": 3}]}"#,
        &[
            ("/a~1b~0c", "unknown-field"),
            ("/form", "repeated-field"),
            ("/figures/0/value", "repeated-field"),
            ("/figures/0/size", "unknown-field"),
        ],
    );
}

#[test]
fn a_wrong_type_is_reported_with_its_place() {
    assert_errors(
        r#"{"form": 1, "period": null, "unit": [], "figures": {}, "note": false}"#,
        &[
            ("/form", "wrong-type"),
            ("/period", "wrong-type"),
            ("/unit", "wrong-type"),
            ("/figures", "wrong-type"),
            ("/note", "wrong-type"),
        ],
    );
    let sent = body(json!([
        {"indicator": "TT.PT", "value": 1.5},
        {"indicator": "TT.BAO", "value": -0.0625},
        {"indicator": "TT.BANGRON", "value": "many"},
        {"indicator": "TT.PANO", "state": 1},
        {"indicator": "TT.KHAUHIEU", "items": ["a", 2, "c", null]},
        {"indicator": "DG.KQ", "text": 1},
        {"indicator": "CS.SO", "value": 1, "breakdowns": {}},
        7
    ]));
    assert_errors(
        &sent,
        &[
            ("/figures/0/value", "wrong-type"),
            ("/figures/1/value", "wrong-type"),
            ("/figures/2/value", "wrong-type"),
            ("/figures/3/state", "wrong-type"),
            ("/figures/4/items/1", "wrong-type"),
            ("/figures/4/items/3", "wrong-type"),
            ("/figures/5/text", "wrong-type"),
            ("/figures/6/breakdowns", "wrong-type"),
            ("/figures/7", "wrong-type"),
        ],
    );
}

#[test]
fn a_figure_has_exactly_one_content() {
    let sent = body(json!([
        {"indicator": "TT.PT"},
        {"indicator": "TT.BAO", "value": 1, "state": "not_done"},
        {"value": 1},
        {"indicator": "TT.PANO", "state": "unknown"},
        {"indicator": "TT.BANGRON", "value": 1, "items": []},
        {"indicator": "TT.CHUYENTRANG", "value": 1, "items": [""]},
        {"indicator": "NN.TN", "value": 1, "items": {}}
    ]));
    assert_errors(
        &sent,
        &[
            ("/figures/0", "value-missing"),
            ("/figures/1", "value-ambiguous"),
            ("/figures/2/indicator", "missing-field"),
            ("/figures/3/state", "unknown-state"),
            ("/figures/5", "value-ambiguous"),
            ("/figures/6", "value-ambiguous"),
            ("/figures/6/items", "wrong-type"),
        ],
    );
}

#[test]
fn errors_of_form_and_content_are_sorted_by_place() {
    let sent = r#"{"figures": [
            {"indicator": "TT.PT", "value": -1},
            {"indicator": "TT.BAO", "value": "x"},
            {"indicator": "NO.SUCH", "value": 1},
            {"indicator": "CS.SO", "value": 2, "breakdowns": [{"by": {"facility_type": "cua_khau"}, "value": 1}]},
            {"indicator": "TT.BANGRON", "value": 18446744073709551615}],
        "surprise": 1, "unit": "999", "period": "2021-07", "form": "ngay-30-7"}"#;
    assert_errors(
        sent,
        &[
            ("/figures/0/value", "below-minimum"),
            ("/figures/1/value", "wrong-type"),
            ("/figures/2/indicator", "unknown-indicator"),
            ("/figures/3/breakdowns", "breakdown-sum"),
            ("/figures/4/value", "above-maximum"),
            ("/surprise", "unknown-field"),
            ("/unit", "unknown-unit"),
        ],
    );
}

#[test]
fn an_unreadable_cell_causes_no_further_errors() {
    let sent = body(json!([
        {"indicator": "CS.SO", "value": 2, "breakdowns": [7, {"by": {}, "value": 2}, {"by": "nu", "sex": "nu", "value": 2}]},
        {"indicator": "NN.TN", "value": 2, "breakdowns": [{"by": {"sex": 1}, "value": 2}, {"by": {"sex": "nu"}}, {"value": 2}]},
    ]));
    assert_errors(
        &sent,
        &[
            ("/figures/0/breakdowns/0", "wrong-type"),
            ("/figures/0/breakdowns/1/by", "breakdown-without-dimension"),
            ("/figures/0/breakdowns/2/by", "wrong-type"),
            ("/figures/0/breakdowns/2/sex", "unknown-field"),
            ("/figures/1/breakdowns/0/by/sex", "wrong-type"),
            ("/figures/1/breakdowns/1/value", "missing-field"),
            ("/figures/1/breakdowns/2/by", "missing-field"),
        ],
    );
}

#[test]
fn the_number_of_errors_in_a_response_is_bounded() {
    let sent = body(json!(vec![0; 90_000]));
    assert_eq!(errors(&sent).len(), MAX_ERRORS);
    let cells: Vec<Value> = (0..30_000)
        .map(|at| json!({"indicator": format!("X.{at}"), "value": 1}))
        .collect();
    assert_eq!(errors(&body(json!(cells))).len(), MAX_ERRORS);
}

#[test]
fn a_body_with_too_many_values_is_rejected() {
    let sent = body(json!(vec![0; 100_000]));
    let rejected = read_submission(sent.as_bytes(), catalogue());
    assert!(matches!(rejected, Err(Problem::TooManyValues)));
}

/// Nested values of every JSON type, with the field names of a body.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof![
            Just("ngay-30-7"),
            Just("2021-07"),
            Just("866"),
            Just("TT.PT"),
            Just("CS.SO"),
            Just("nu"),
            Just("")
        ]
        .prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("form"),
        Just("period"),
        Just("unit"),
        Just("figures"),
        Just("note"),
        Just("indicator"),
        Just("value"),
        Just("state"),
        Just("items"),
        Just("text"),
        Just("breakdowns"),
        Just("by"),
        Just("sex"),
        Just("~/")
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone().prop_map(String::from), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_rejected_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let rejected = read_submission(&bytes, catalogue());
        let is_rejected = matches!(rejected, Err(Problem::InvalidJson { .. } | Problem::InvalidSubmission(_)));
        prop_assert!(is_rejected);
    }

    #[test]
    fn every_error_of_arbitrary_json_has_a_place_in_the_body(json in any_json()) {
        crate::fuzzing::submission(json.to_string().as_bytes());
    }

    #[test]
    fn an_accepted_submission_can_be_sent_again(
        value in -1i64..100,
        state in "(done_no_number|not_done|not_applicable)",
        items in prop::collection::vec("[a-zế\u{301}]{1,9}", 1..5),
        text in "[a-z][^\\p{Cc}\\p{Cf}]{0,39}",
        note in prop::option::of("[a-z é]{1,20}"),
    ) {
        let mut sent: Value = serde_json::from_str(&body(json!([
            {"indicator": "TT.PT", "value": value},
            {"indicator": "TT.PANO", "state": state},
            {"indicator": "TT.KHAUHIEU", "items": items},
            {"indicator": "DG.KQ", "text": text},
        ]))).unwrap();
        if let Some(note) = note {
            sent["note"] = json!(note);
        }
        let is_valid = value >= 0 && !text.trim().is_empty() && sent["note"].as_str().is_none_or(|note| !note.trim().is_empty());
        let accepted = crate::fuzzing::submission(sent.to_string().as_bytes());
        prop_assert!(accepted || !is_valid, "{}", sent);
    }

    #[test]
    fn a_damaged_body_is_read_or_rejected_with_places(at in any::<prop::sample::Index>(), length in 0..9usize, put in "[\\PC]{0,5}") {
        let mut bytes = body(json!([{"indicator": "NN.TN", "value": 1, "breakdowns": [{"by": {"sex": "nu"}, "value": 1}]}])).into_bytes();
        let start = at.index(bytes.len());
        bytes.splice(start..(start + length).min(bytes.len()), put.into_bytes());
        crate::fuzzing::submission(&bytes);
    }

    #[test]
    fn a_body_cut_short_is_not_json(cut in 1usize..200) {
        let whole = body(json!([{"indicator": "TT.PT", "value": 63, "breakdowns": []}]));
        let cut = whole.len().saturating_sub(cut).max(1);
        let rejected = read_submission(&whole.as_bytes()[..cut], catalogue());
        let is_json_error = matches!(rejected, Err(Problem::InvalidJson { .. }));
        prop_assert!(is_json_error);
    }
}

#[test]
fn the_catalogue_contains_the_indicators_of_these_tests() {
    let catalogue = catalogue();
    let kind = |code: &str| {
        let found = catalogue
            .indicators()
            .iter()
            .find(|indicator| indicator.code.as_str() == code);
        found.map(|indicator| indicator.kind.clone()).unwrap()
    };
    assert_eq!(kind("TT.PT"), Kind::Flow);
    assert_eq!(kind("TT.KHAUHIEU"), Kind::List);
    assert_eq!(kind("DG.KQ"), Kind::Text);
}
