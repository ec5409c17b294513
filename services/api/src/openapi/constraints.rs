//! What texts, numbers and lists in requests may look like: the document says so, in one place.
//!
//! The rules are those of the domain and of [`crate::request`]; the tests hold the patterns to them.

use serde_json::json;
use tonghop_domain::{
    MAX_CELLS, MAX_ITEM_CHARS, MAX_ITEMS, MAX_LABEL_CHARS, MAX_TEXT_CHARS, MAX_VALUE, Role,
};
use utoipa::Number;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, Object, OneOf, Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr};

const FORM: &str = "^[a-z0-9-]{1,32}$";
const UNIT: &str = "^[A-Z0-9-]{1,32}$";
const INDICATOR: &str = "^[A-Z0-9._]{1,32}$";
const CATEGORY: &str = "^[A-Za-z0-9_]{1,32}$";
const PERIOD: &str = "^2[01][0-9]{2}(-(H[12]|Q[1-4]|9M|0[1-9]|1[0-2]))?$";
const CURSOR: &str = "^([0-9a-f]{2}){1,100}$";
/// Bare, or in the quotation marks of a structured field.
const IDEMPOTENCY_KEY: &str = "^([!#-~][!-~]{0,254}|\"([!#-\\[\\]-~]|\\\\[\"\\\\]){1,255}\")$";
const ENTITY_TAGS: &str = "^(\\*|(W/)?\"[!#-~]*\"( *, *(W/)?\"[!#-~]*\")*( *,)?)$";
/// A text that says something, without control characters other than tabs and line ends.
const TEXT: &str = "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]*\
                    [^\\s\\u0000-\\u001f\\u007f-\\u009f]\
                    [^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]*$";
const LABEL: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// Adds the bounds to the parameters and bodies of a document.
pub(crate) fn add(document: &mut OpenApi) {
    let items = document.paths.paths.values_mut();
    let operations = items.flat_map(|item| [&mut item.get, &mut item.post, &mut item.delete]);
    for operation in operations.flatten() {
        let creates = operation.operation_id.as_deref() == Some("create_submission");
        for parameter in operation.parameters.iter_mut().flatten() {
            if let RefOr::T(parameter) = parameter {
                bound_parameter(parameter, creates);
            }
        }
    }
    for (name, schema) in document
        .components
        .iter_mut()
        .flat_map(|components| &mut components.schemas)
    {
        match schema {
            RefOr::T(Schema::Object(body)) => bound_body(name, body),
            RefOr::T(Schema::OneOf(value)) if name == "Value" => bound_value(value),
            _ => {}
        }
    }
}

fn bound_parameter(parameter: &mut Parameter, creates: bool) {
    let pattern = match (&parameter.parameter_in, parameter.name.as_str()) {
        (ParameterIn::Query, "form") => FORM,
        (ParameterIn::Query, "unit" | "parent" | "code") => UNIT,
        (ParameterIn::Query, "indicator") => INDICATOR,
        (ParameterIn::Query, "period") => PERIOD,
        (ParameterIn::Query, "cursor") => CURSOR,
        (ParameterIn::Header, "Idempotency-Key") => IDEMPOTENCY_KEY,
        (ParameterIn::Header, "If-None-Match") if creates => "^\\*$",
        (ParameterIn::Header, "If-Match" | "If-None-Match") => ENTITY_TAGS,
        _ => return,
    };
    let schema = match &mut parameter.schema {
        Some(RefOr::T(Schema::Array(array))) => match &mut array.items {
            ArrayItems::RefOrSchema(items) => items.as_mut(),
            ArrayItems::False => return,
        },
        Some(schema) => schema,
        None => return,
    };
    if let RefOr::T(Schema::Object(text)) = schema {
        text.pattern = Some(pattern.to_owned());
    }
}

fn bound_body(name: &str, body: &mut Object) {
    match name {
        "NewSubmission" => {
            text(body, "form", FORM, None);
            text(body, "unit", UNIT, None);
            text(body, "period", PERIOD, None);
            text(body, "note", TEXT, Some(MAX_TEXT_CHARS));
        }
        "Figure" => {
            text(body, "indicator", INDICATOR, None);
            text(body, "text", TEXT, Some(MAX_TEXT_CHARS));
            list(body, "breakdowns", MAX_CELLS);
            if let Some(RefOr::T(Schema::Object(item))) = list(body, "items", MAX_ITEMS) {
                bound(item, TEXT, Some(MAX_ITEM_CHARS));
            }
            let said = ["value", "state", "items", "text"].map(|field| json!({"required": [field]}));
            // utoipa has no `oneOf` beside properties.
            let one_of = Extensions::builder().build();
            body.extensions
                .get_or_insert(one_of)
                .insert("oneOf".into(), said.into());
        }
        "Cell" => {
            // The value and at least one dimension.
            body.min_properties = Some(2);
            if let Some(rest) = body.additional_properties.as_deref_mut()
                && let AdditionalProperties::RefOr(RefOr::T(Schema::Object(category))) = rest
            {
                bound(category, CATEGORY, None);
            }
        }
        "NewAccessKey" => {
            text(body, "unit", UNIT, None);
            text(body, "label", LABEL, Some(MAX_LABEL_CHARS));
            one_of_roles(body);
        }
        "AccessKey" => one_of_roles(body),
        _ => {}
    }
}

/// Bounds a text of a body.
fn text(body: &mut Object, field: &str, pattern: &str, max_chars: Option<usize>) {
    if let Some(RefOr::T(Schema::Object(text))) = body.properties.get_mut(field) {
        bound(text, pattern, max_chars);
    }
}

fn bound(text: &mut Object, pattern: &str, max_chars: Option<usize>) {
    text.pattern = Some(pattern.to_owned());
    text.max_length = max_chars;
}

fn one_of_roles(body: &mut Object) {
    if let Some(RefOr::T(Schema::Object(role))) = body.properties.get_mut("role") {
        role.enum_values = Some(Role::ALL.map(|role| role.as_str().into()).into());
    }
}

/// Bounds a list of a body; what its entries are.
fn list<'a>(body: &'a mut Object, field: &str, max: usize) -> Option<&'a mut RefOr<Schema>> {
    let Some(RefOr::T(Schema::Array(list))) = body.properties.get_mut(field) else {
        return None;
    };
    list.max_items = Some(max);
    match &mut list.items {
        ArrayItems::RefOrSchema(items) => Some(items),
        ArrayItems::False => None,
    }
}

/// Whole numbers within the bounds of what a unit may report, where a figure's value is a number.
fn bound_value(value: &mut OneOf) {
    for choice in &mut value.items {
        if let RefOr::T(Schema::Object(number)) = choice
            && number.schema_type == SchemaType::Type(Type::Integer)
        {
            number.minimum = Some(Number::Int(-MAX_VALUE as isize));
            number.maximum = Some(Number::Int(MAX_VALUE as isize));
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderMap, HeaderValue, IF_MATCH};
    use proptest::prelude::*;
    use regex::Regex;
    use tonghop_domain::{
        CategoryCode, FieldErrorKind, FormCode, IndicatorCode, Period, UnitCode, label_error,
    };

    use super::*;
    use crate::problem::Problem;
    use crate::request::idempotency::IDEMPOTENCY_KEY as KEY;
    use crate::request::idempotency::idempotency_key;
    use crate::request::page::Cursor;
    use crate::request::preconditions::Tags;
    use crate::submissions::parse::read_submission;

    fn matches(pattern: &str, text: &str) -> bool {
        Regex::new(pattern).unwrap().is_match(text)
    }

    fn headers(name: actix_web::http::header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    /// Whether a submission's note, which any text may be, is refused as a text.
    fn is_note(text: &str) -> bool {
        let catalogue = tonghop_catalogue::built_in().unwrap();
        let body =
            json!({"form": "ngay-30-7", "period": "2021-07", "unit": "866", "figures": [], "note": text});
        match read_submission(body.to_string().as_bytes(), &catalogue) {
            Ok(_) => true,
            Err(Problem::InvalidSubmission(errors)) => {
                let is_of_text = |kind: &FieldErrorKind| {
                    matches!(kind, FieldErrorKind::Empty | FieldErrorKind::ControlCharacter)
                };
                assert!(errors.iter().all(|error| is_of_text(&error.kind)), "{errors:?}");
                false
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn a_code_is_taken_when_its_pattern_says_so(text in "[A-Za-z0-9._/ -]{0,34}|\\PC{0,3}") {
            prop_assert_eq!(text.parse::<FormCode>().is_ok(), matches(FORM, &text));
            prop_assert_eq!(text.parse::<UnitCode>().is_ok(), matches(UNIT, &text));
            prop_assert_eq!(text.parse::<IndicatorCode>().is_ok(), matches(INDICATOR, &text));
            prop_assert_eq!(text.parse::<CategoryCode>().is_ok(), matches(CATEGORY, &text));
        }

        #[test]
        fn a_period_is_taken_when_its_pattern_says_so(text in "[12][0-9]{3}(-(H[0-3]|Q[0-5]|[89]M|[0-3]?[0-9]|[A-Z]))?") {
            prop_assert_eq!(text.parse::<Period>().is_ok(), matches(PERIOD, &text));
        }

        #[test]
        fn a_cursor_that_was_given_out_fits_its_pattern(n in 1i32.., code in "[A-Z0-9-]{1,32}") {
            for cursor in [Cursor::Revision(n), Cursor::Code(code)] {
                prop_assert!(matches(CURSOR, &cursor.encode()));
            }
        }

        #[test]
        fn an_idempotency_key_is_taken_when_its_pattern_says_so(text in "\"?[ -~]{0,4}[!-~]{0,254}\"?") {
            // What stands around a header's value is no part of it.
            let text = text.trim();
            let read = idempotency_key(&headers(KEY, text));
            prop_assert_eq!(read.is_ok(), matches(super::IDEMPOTENCY_KEY, text), "{:?}", text);
        }

        #[test]
        fn entity_tags_are_taken_when_their_pattern_says_so(text in "[*]|((W/)?\"[ -~]{0,3}\"( ?, ?)?){0,3}|[ -~]{0,5}") {
            let text = text.trim();
            let read = Tags::if_match(&headers(IF_MATCH, text));
            prop_assert_eq!(read.is_ok(), matches(ENTITY_TAGS, text), "{:?}", text);
        }

        #[test]
        fn a_label_is_taken_when_its_pattern_says_so(text in "[\\PC\n\u{7f}-\u{a0}]{0,4}") {
            prop_assert_eq!(label_error(&text).is_none(), matches(LABEL, &text));
        }

        #[test]
        fn a_text_is_taken_when_its_pattern_says_so(text in "[\\PC\t\r\n \u{0}\u{7f}-\u{a0}]{0,4}") {
            prop_assert_eq!(is_note(&text), matches(TEXT, &text), "{:?}", text);
        }
    }
}
