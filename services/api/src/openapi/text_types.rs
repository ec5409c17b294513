//! The formats of texts in requests, as the OpenAPI document states them. Fields and parameters name one of these types.
//!
//! The rules are those of the domain and of [`crate::request`]; the tests compare the patterns with them.

use tonghop_domain::{MAX_ITEM_CHARS, MAX_LABEL_CHARS, MAX_TEXT_CHARS};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Declares types that exist only in the document: a string with a pattern, and perhaps a maximum length in characters.
macro_rules! text_types {
    ($( $(#[$meta:meta])* $name:ident = $pattern:expr $(, max $max:expr)? ; )+) => {
        $(
            $(#[$meta])*
            pub(crate) struct $name;

            impl $name {
                const PATTERN: &str = $pattern;
            }

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(Self::PATTERN));
                    $( let text = text.max_length(Some($max)); )?
                    RefOr::T(Schema::Object(text.build()))
                }
            }

            impl ToSchema for $name {}
        )+
    };
}

text_types! {
    /// The code of a form.
    FormText = "^[a-z0-9-]{1,32}$";
    /// The code of a unit.
    UnitText = "^[A-Z0-9-]{1,32}$";
    /// The code of an indicator.
    IndicatorText = "^[A-Z0-9._]{1,32}$";
    /// The code of a category.
    CategoryText = "^[A-Za-z0-9_]{1,32}$";
    /// A period.
    PeriodText = "^2[01][0-9]{2}(-(H[12]|Q[1-4]|9M|0[1-9]|1[0-2]))?$";
    /// A cursor of a list.
    CursorText = "^([0-9a-f]{2}){1,100}$";
    /// A position in the change feed.
    FeedCursorText = "^(latest|([0-9a-f]{2}){1,100})$";
    /// An idempotency key, bare or in the quotation marks of a structured field.
    IdempotencyKeyText = "^([!#-~][!-~]{0,254}|\"([!#-\\[\\]-~]|\\\\[\"\\\\]){1,255}\")$";
    /// A list of entity tags, or an asterisk.
    EntityTagsText = "^(\\*|(W/)?\"[!#-~]*\"( *, *(W/)?\"[!#-~]*\")*( *,)?)$";
    /// An asterisk.
    AsteriskText = "^\\*$";
    /// A text of a submission: not blank, and without control characters other than tabs and line breaks.
    FreeText = TEXT, max MAX_TEXT_CHARS;
    /// An item of a list; otherwise like a text.
    ItemText = TEXT, max MAX_ITEM_CHARS;
    /// The label of a key: without control characters.
    LabelText = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]*$", max MAX_LABEL_CHARS;
}

/// Contains a visible character, and none that controls or reorders others. Supplementary characters count as visible,
/// since dialects of regular expressions write them differently: the service rejects a text of nothing but invisible ones,
/// which matches.
const TEXT: &str = "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]*\
                    [^\\s\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufff8]\
                    [^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]*$";

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderMap, HeaderValue, IF_MATCH};
    use proptest::prelude::*;
    use regex::Regex;
    use serde_json::json;
    use tonghop_domain::{
        CategoryCode, FieldErrorKind, FormCode, IndicatorCode, Period, UnitCode, label_error,
    };

    use super::*;
    use crate::problem::Problem;
    use crate::request::idempotency::{IDEMPOTENCY_KEY, idempotency_key};
    use crate::request::paging::encode_cursor;
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

    /// Whether a text is valid as the note of a submission.
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
        fn a_code_is_valid_exactly_when_it_matches_its_pattern(text in "[A-Za-z0-9._/ -]{0,34}|\\PC{0,3}") {
            prop_assert_eq!(text.parse::<FormCode>().is_ok(), matches(FormText::PATTERN, &text));
            prop_assert_eq!(text.parse::<UnitCode>().is_ok(), matches(UnitText::PATTERN, &text));
            prop_assert_eq!(text.parse::<IndicatorCode>().is_ok(), matches(IndicatorText::PATTERN, &text));
            prop_assert_eq!(text.parse::<CategoryCode>().is_ok(), matches(CategoryText::PATTERN, &text));
        }

        #[test]
        fn a_period_is_valid_exactly_when_it_matches_its_pattern(text in "[12][0-9]{3}(-(H[0-3]|Q[0-5]|[89]M|[0-3]?[0-9]|[A-Z]))?") {
            prop_assert_eq!(text.parse::<Period>().is_ok(), matches(PeriodText::PATTERN, &text));
        }

        #[test]
        fn every_cursor_matches_its_pattern(n in 1i32.., code in "[A-Z0-9-]{1,32}") {
            prop_assert!(matches(CursorText::PATTERN, &encode_cursor(&n)));
            prop_assert!(matches(CursorText::PATTERN, &encode_cursor(&code)));
        }

        #[test]
        fn an_idempotency_key_is_valid_exactly_when_it_matches(text in "\"?[ -~]{0,4}[!-~]{0,254}\"?") {
            // White space around a header's value is not part of it.
            let text = text.trim();
            let read = idempotency_key(&headers(IDEMPOTENCY_KEY, text));
            prop_assert_eq!(read.is_ok(), matches(IdempotencyKeyText::PATTERN, text), "{:?}", text);
        }

        #[test]
        fn entity_tags_are_valid_exactly_when_they_match(text in "[*]|((W/)?\"[ -~]{0,3}\"( ?, ?)?){0,3}|[ -~]{0,5}") {
            let text = text.trim();
            let read = Tags::if_match(&headers(IF_MATCH, text));
            prop_assert_eq!(read.is_ok(), matches(EntityTagsText::PATTERN, text), "{:?}", text);
        }

        #[test]
        fn a_label_is_valid_exactly_when_it_matches_its_pattern(text in "[\\PC\n\u{7f}-\u{a0}]{0,4}") {
            prop_assert_eq!(label_error(&text).is_none(), matches(LabelText::PATTERN, &text));
        }

        /// Invisible characters beyond U+FFFF, which the pattern takes for visible, are replaced by one that it knows.
        #[test]
        fn a_text_is_valid_exactly_when_it_matches_its_pattern(
            text in "[\\PC\t\r\n \u{0}\u{7f}-\u{a0}]{0,4}|[a\u{ff}\u{1bca0}\u{1d173}\u{e0000}\u{e0100}\u{e0fff}]{0,4}",
        ) {
            let invisible = ['\u{1bca0}'..='\u{1bca3}', '\u{1d173}'..='\u{1d17a}', '\u{e0000}'..='\u{e0fff}'];
            let seen = text.replace(|c: char| invisible.iter().any(|range| range.contains(&c)), "\u{200b}");
            prop_assert_eq!(is_note(&text), matches(FreeText::PATTERN, &seen), "{:?}", text);
        }
    }
}
