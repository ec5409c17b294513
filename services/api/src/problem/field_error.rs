//! The stable codes and the texts of errors in the fields of a request body.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::Serialize;
use tonghop_domain::{CategoryCode, FieldErrorKind, Names, ValueType};
use utoipa::ToSchema;

use crate::problem::text::{Localized, localized, shortened, vietnamese_day};

macro_rules! codes {
    ($($name:ident $word:tt)*) => {
        /// The stable code of an error in a body or in a query, which programs can rely on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
        pub(crate) enum FieldErrorCode {
            $(#[serde(rename = $word)] $name,)*
        }

        #[cfg(test)]
        impl FieldErrorCode {
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
        }
    };
}

codes! {
    MissingField "missing-field"
    UnknownField "unknown-field"
    RepeatedField "repeated-field"
    WrongType "wrong-type"
    ValueMissing "value-missing"
    ValueAmbiguous "value-ambiguous"
    UnknownState "unknown-state"
    UnknownForm "unknown-form"
    InvalidPeriod "invalid-period"
    PeriodNotExpected "period-not-expected"
    PeriodNotBegun "period-not-begun"
    UnknownUnit "unknown-unit"
    UnitDoesNotReport "unit-does-not-report"
    UnknownIndicator "unknown-indicator"
    ComputedIndicator "computed-indicator"
    RepeatedIndicator "repeated-indicator"
    WrongValueType "wrong-value-type"
    BelowMinimum "below-minimum"
    AboveMaximum "above-maximum"
    TooLong "too-long"
    TooMany "too-many"
    Empty "empty"
    ControlCharacter "control-character"
    BreakdownNotAllowed "breakdown-not-allowed"
    UnknownCategory "unknown-category"
    BreakdownWithoutDimension "breakdown-without-dimension"
    RepeatedCell "repeated-cell"
    BreakdownNotNumeric "breakdown-not-numeric"
    BreakdownSum "breakdown-sum"
    CheckFailed "check-failed"
    UnknownRole "unknown-role"
    InvalidDateTime "invalid-date-time"
    ExpiryInPast "expiry-in-past"
    ExpiryTooLate "expiry-too-late"
    UnknownParameter "unknown-parameter"
    MissingParameter "missing-parameter"
    RepeatedParameter "repeated-parameter"
    MalformedParameter "malformed-parameter"
    NotFound "not-found"
}

/// The stable code of an error.
pub(crate) fn code(kind: &FieldErrorKind) -> FieldErrorCode {
    match kind {
        FieldErrorKind::MissingField(_) => FieldErrorCode::MissingField,
        FieldErrorKind::UnknownField(_) => FieldErrorCode::UnknownField,
        FieldErrorKind::RepeatedField(_) => FieldErrorCode::RepeatedField,
        FieldErrorKind::WrongType(_) => FieldErrorCode::WrongType,
        FieldErrorKind::ValueMissing => FieldErrorCode::ValueMissing,
        FieldErrorKind::ValueAmbiguous => FieldErrorCode::ValueAmbiguous,
        FieldErrorKind::UnknownState => FieldErrorCode::UnknownState,
        FieldErrorKind::UnknownForm => FieldErrorCode::UnknownForm,
        FieldErrorKind::InvalidPeriod => FieldErrorCode::InvalidPeriod,
        FieldErrorKind::PeriodNotExpected => FieldErrorCode::PeriodNotExpected,
        FieldErrorKind::PeriodNotBegun(_) => FieldErrorCode::PeriodNotBegun,
        FieldErrorKind::UnknownUnit | FieldErrorKind::UnknownUnitCode => FieldErrorCode::UnknownUnit,
        FieldErrorKind::UnitDoesNotReport => FieldErrorCode::UnitDoesNotReport,
        FieldErrorKind::UnknownIndicator => FieldErrorCode::UnknownIndicator,
        FieldErrorKind::ComputedIndicator => FieldErrorCode::ComputedIndicator,
        FieldErrorKind::RepeatedIndicator => FieldErrorCode::RepeatedIndicator,
        FieldErrorKind::WrongValueType(_) => FieldErrorCode::WrongValueType,
        FieldErrorKind::BelowMinimum(_) => FieldErrorCode::BelowMinimum,
        FieldErrorKind::AboveMaximum(_) => FieldErrorCode::AboveMaximum,
        FieldErrorKind::TooLong(_) => FieldErrorCode::TooLong,
        FieldErrorKind::TooMany(_) => FieldErrorCode::TooMany,
        FieldErrorKind::Empty => FieldErrorCode::Empty,
        FieldErrorKind::ControlCharacter | FieldErrorKind::ReorderingControl => {
            FieldErrorCode::ControlCharacter
        }
        FieldErrorKind::BreakdownNotAllowed(_) => FieldErrorCode::BreakdownNotAllowed,
        FieldErrorKind::UnknownCategory { .. } => FieldErrorCode::UnknownCategory,
        FieldErrorKind::BreakdownWithoutDimension => FieldErrorCode::BreakdownWithoutDimension,
        FieldErrorKind::RepeatedCell => FieldErrorCode::RepeatedCell,
        FieldErrorKind::BreakdownNotNumeric => FieldErrorCode::BreakdownNotNumeric,
        FieldErrorKind::BreakdownSum { .. } => FieldErrorCode::BreakdownSum,
        FieldErrorKind::CheckFailed { .. } => FieldErrorCode::CheckFailed,
        FieldErrorKind::UnknownRole => FieldErrorCode::UnknownRole,
        FieldErrorKind::InvalidDateTime => FieldErrorCode::InvalidDateTime,
        FieldErrorKind::ExpiryInPast => FieldErrorCode::ExpiryInPast,
        FieldErrorKind::ExpiryTooLate(_) => FieldErrorCode::ExpiryTooLate,
    }
}

/// The text of an error: what is wrong and how to fix it.
pub(crate) fn detail(kind: &FieldErrorKind) -> Localized {
    match kind {
        FieldErrorKind::MissingField(name) => missing_field(name),
        FieldErrorKind::UnknownField(name) => unknown_field(name),
        FieldErrorKind::RepeatedField(name) => repeated_field(name),
        FieldErrorKind::WrongType(expected) => wrong_type(*expected),
        FieldErrorKind::ValueMissing => fixed(VALUE_MISSING),
        FieldErrorKind::ValueAmbiguous => fixed(VALUE_AMBIGUOUS),
        FieldErrorKind::UnknownState => fixed(UNKNOWN_STATE),
        FieldErrorKind::UnknownForm => fixed(UNKNOWN_FORM),
        FieldErrorKind::InvalidPeriod => fixed(INVALID_PERIOD),
        FieldErrorKind::PeriodNotExpected => fixed(PERIOD_NOT_EXPECTED),
        FieldErrorKind::PeriodNotBegun(opens_on) => period_not_begun(*opens_on),
        FieldErrorKind::UnknownUnit => fixed(UNKNOWN_UNIT),
        FieldErrorKind::UnitDoesNotReport => fixed(UNIT_DOES_NOT_REPORT),
        FieldErrorKind::UnknownIndicator => fixed(UNKNOWN_INDICATOR),
        FieldErrorKind::ComputedIndicator => fixed(COMPUTED_INDICATOR),
        FieldErrorKind::RepeatedIndicator => fixed(REPEATED_INDICATOR),
        FieldErrorKind::WrongValueType(expected) => wrong_value_type(*expected),
        FieldErrorKind::BelowMinimum(min) => below_minimum(*min),
        FieldErrorKind::AboveMaximum(max) => above_maximum(*max),
        FieldErrorKind::TooLong(max) => too_long(*max),
        FieldErrorKind::TooMany(max) => too_many(*max),
        FieldErrorKind::Empty => fixed(EMPTY),
        FieldErrorKind::ControlCharacter => fixed(CONTROL_CHARACTER),
        FieldErrorKind::ReorderingControl => fixed(REORDERING_CONTROL),
        FieldErrorKind::BreakdownNotAllowed(dimension) => breakdown_not_allowed(dimension),
        FieldErrorKind::UnknownCategory { category, known } => unknown_category(category, known),
        FieldErrorKind::BreakdownWithoutDimension => fixed(BREAKDOWN_WITHOUT_DIMENSION),
        FieldErrorKind::RepeatedCell => fixed(REPEATED_CELL),
        FieldErrorKind::BreakdownNotNumeric => fixed(BREAKDOWN_NOT_NUMERIC),
        FieldErrorKind::BreakdownSum {
            dimensions,
            sum,
            value,
        } => breakdown_sum(dimensions, *sum, *value),
        FieldErrorKind::CheckFailed { rule, texts } => check_failed(rule, texts),
        FieldErrorKind::UnknownRole => fixed(UNKNOWN_ROLE),
        FieldErrorKind::UnknownUnitCode => fixed(UNKNOWN_UNIT_CODE),
        FieldErrorKind::InvalidDateTime => fixed(INVALID_DATE_TIME),
        FieldErrorKind::ExpiryInPast => fixed(EXPIRY_IN_PAST),
        FieldErrorKind::ExpiryTooLate(latest) => expiry_too_late(*latest),
    }
}

/// A constant text in English and in Vietnamese.
type Fixed = (&'static str, &'static str);

const VALUE_MISSING: Fixed = (
    "The figure has no content. Send one of value, items, text and state.",
    "Chỉ tiêu này chưa có số liệu. Hãy ghi giá trị (value), danh sách (items), nội dung (text) hoặc tình trạng (state).",
);
const VALUE_AMBIGUOUS: Fixed = (
    "The figure has more than one content. Send only one of value, items, text and state.",
    "Chỉ tiêu này được ghi theo hai cách. Chỉ giữ một trong: value, items, text, state.",
);
const UNKNOWN_STATE: Fixed = (
    "Unknown state. Use done_no_number, not_done or not_applicable.",
    "Không có tình trạng này. Hãy dùng done_no_number (có thực hiện, không ghi số lượng), not_done (không thực hiện) \
     hoặc not_applicable (không thuộc đối tượng).",
);
const UNKNOWN_FORM: Fixed = (
    "No form has this code. /v1/forms lists all forms.",
    "Không có biểu mẫu nào mang mã này. Xem danh sách tại /v1/forms.",
);
const INVALID_PERIOD: Fixed = (
    "Invalid period. Write 2021, 2021-H1, 2021-Q3, 2021-9M or 2021-07, with a year from 2000 to 2199.",
    "Kỳ báo cáo không hợp lệ. Hãy viết 2021, 2021-H1, 2021-Q3, 2021-9M hoặc 2021-07, năm từ 2000 đến 2199.",
);
const PERIOD_NOT_EXPECTED: Fixed = (
    "The form is not reported for this period. /v1/forms lists the periods of each form.",
    "Biểu mẫu không có kỳ báo cáo này. Xem các kỳ của biểu mẫu tại /v1/forms.",
);
const UNKNOWN_UNIT: Fixed = (
    "No unit has this code on the last day of the period. /v1/units lists the units of a day.",
    "Vào ngày cuối kỳ không có đơn vị nào mang mã này. Xem các đơn vị của một ngày tại /v1/units.",
);
const UNIT_DOES_NOT_REPORT: Fixed = (
    "The unit does not report this form. /v1/forms lists the reporting units of each form.",
    "Đơn vị này không báo cáo theo biểu mẫu. Xem các đơn vị phải báo cáo tại /v1/forms.",
);
const UNKNOWN_INDICATOR: Fixed = (
    "The form has no indicator with this code. Correct the code or omit the figure.",
    "Biểu mẫu không có chỉ tiêu nào mang mã này. Hãy sửa mã hoặc bỏ số liệu này.",
);
const COMPUTED_INDICATOR: Fixed = (
    "This indicator is computed from others. Omit it.",
    "Chỉ tiêu này được tính từ các chỉ tiêu khác. Hãy bỏ chỉ tiêu này khỏi báo cáo.",
);
const REPEATED_INDICATOR: Fixed = (
    "The indicator is reported twice. Keep one of the figures.",
    "Chỉ tiêu được báo cáo hai lần. Chỉ giữ lại một số liệu.",
);
const EMPTY: Fixed = (
    "The text is empty. Enter a text or omit the field.",
    "Nội dung trống. Hãy ghi nội dung hoặc bỏ trường này.",
);
const CONTROL_CHARACTER: Fixed = (
    "The text contains a control character, such as NUL. Remove it.",
    "Nội dung có ký tự điều khiển, chẳng hạn NUL. Hãy bỏ ký tự đó.",
);
const REORDERING_CONTROL: Fixed = (
    "The text contains an invisible character that reorders others on the screen, such as U+202E. Type the text again.",
    "Nội dung có ký tự ẩn làm đảo thứ tự chữ hiển thị, chẳng hạn U+202E. Hãy gõ lại nội dung.",
);
const BREAKDOWN_WITHOUT_DIMENSION: Fixed = (
    "The cell has no dimension. Add the category of at least one dimension, such as {\"sex\": \"nu\"}.",
    "Ô phân tổ chưa nêu tiêu thức nào. Hãy nêu ít nhất một, ví dụ {\"sex\": \"nu\"}.",
);
const REPEATED_CELL: Fixed = (
    "An earlier cell has the same categories. Keep one of them.",
    "Đã có một ô với cùng các giá trị phân tổ này. Chỉ giữ lại một ô.",
);
const BREAKDOWN_NOT_NUMERIC: Fixed = (
    "Only a number can be broken down. Send a value or omit the breakdowns.",
    "Chỉ có thể phân tổ một con số. Hãy ghi giá trị hoặc bỏ phần phân tổ.",
);
const UNKNOWN_ROLE: Fixed = (
    "Unknown role. Use submitter, reader or admin.",
    "Không có vai trò này. Hãy dùng submitter (khóa gửi), reader (khóa xem) hoặc admin (khóa quản trị).",
);
const UNKNOWN_UNIT_CODE: Fixed = (
    "No unit has or ever had this code. /v1/units lists the units of a day.",
    "Chưa từng có đơn vị nào mang mã này. Xem các đơn vị của một ngày tại /v1/units.",
);
const INVALID_DATE_TIME: Fixed = (
    "Invalid date and time. Write it as in 2030-12-31T17:00:00+07:00.",
    "Ngày giờ không hợp lệ. Hãy viết theo dạng 2030-12-31T17:00:00+07:00.",
);
const EXPIRY_IN_PAST: Fixed = (
    "The expiry must be in the future. Omit it for a key that does not expire.",
    "Thời hạn phải ở tương lai. Hãy bỏ trường này nếu khóa không có hạn.",
);

fn expiry_too_late(latest: DateTime<Utc>) -> Localized {
    let latest = latest.to_rfc3339_opts(SecondsFormat::Secs, true);
    localized(
        format!("A key may be valid until {latest} at most."),
        format!("Khóa chỉ được có thời hạn đến {latest}."),
    )
}

fn fixed((en, vi): Fixed) -> Localized {
    localized(en, vi)
}

fn missing_field(name: &str) -> Localized {
    localized(
        format!("The field {name} is missing. Add it."),
        format!("Thiếu trường {name}. Hãy bổ sung."),
    )
}

fn unknown_field(name: &str) -> Localized {
    let name = shortened(name);
    localized(
        format!("Unknown field {name}. Correct its name or remove it."),
        format!("Không có trường {name}. Hãy sửa tên hoặc bỏ trường này."),
    )
}

fn repeated_field(name: &str) -> Localized {
    let name = shortened(name);
    localized(
        format!("The field {name} occurs twice. Keep one."),
        format!("Trường {name} được ghi hai lần. Chỉ giữ lại một."),
    )
}

fn wrong_type(expected: ValueType) -> Localized {
    let (en, vi) = type_names(expected);
    localized(
        format!("The value must be {en}."),
        format!("Giá trị phải là {vi}."),
    )
}

fn wrong_value_type(expected: ValueType) -> Localized {
    let (en, vi) = type_names(expected);
    localized(
        format!("This indicator is reported as {en}, or as a state."),
        format!("Chỉ tiêu này được báo cáo bằng {vi}, hoặc bằng một tình trạng (state)."),
    )
}

fn type_names(expected: ValueType) -> Fixed {
    match expected {
        ValueType::Integer => ("a whole number", "số nguyên"),
        ValueType::Flag => ("true or false", "true (có) hoặc false (không)"),
        ValueType::IntegerOrFlag => (
            "a whole number, or true or false for a yes-or-no indicator",
            "số nguyên; riêng chỉ tiêu có/không thì ghi true hoặc false",
        ),
        ValueType::Items => ("items, a list of texts", "danh sách (items) gồm các chuỗi ký tự"),
        ValueType::List => ("a list", "một danh sách"),
        ValueType::Object => ("an object", "một đối tượng có các trường"),
        ValueType::Text => ("a text", "một chuỗi ký tự"),
    }
}

fn period_not_begun(opens_on: NaiveDate) -> Localized {
    localized(
        format!("The period can be reported from {opens_on} on. Report it then, or correct the period."),
        format!(
            "Kỳ báo cáo này bắt đầu tiếp nhận báo cáo từ ngày {}. Hãy gửi báo cáo từ ngày đó, hoặc sửa kỳ báo cáo.",
            vietnamese_day(opens_on)
        ),
    )
}

fn below_minimum(min: i64) -> Localized {
    localized(
        format!("The value must be {min} or more."),
        format!("Giá trị phải từ {min} trở lên."),
    )
}

fn above_maximum(max: i64) -> Localized {
    localized(
        format!("The value must be {max} or less."),
        format!("Giá trị phải từ {max} trở xuống."),
    )
}

fn too_long(max: usize) -> Localized {
    localized(
        format!("The text has more than {max} characters. Shorten it."),
        format!("Nội dung dài quá {max} ký tự. Hãy rút gọn."),
    )
}

fn too_many(max: usize) -> Localized {
    localized(
        format!("The list has more than {max} entries. Shorten it."),
        format!("Danh sách có quá {max} mục. Hãy rút bớt."),
    )
}

fn breakdown_not_allowed(dimension: &str) -> Localized {
    let dimension = shortened(dimension);
    localized(
        format!(
            "This indicator cannot be broken down by {dimension}. /v1/indicators lists the dimensions of each indicator."
        ),
        format!("Chỉ tiêu này không phân tổ theo {dimension}. Xem các tiêu thức phân tổ tại /v1/indicators."),
    )
}

fn unknown_category(category: &str, known: &[CategoryCode]) -> Localized {
    let category = shortened(category);
    let codes: Vec<&str> = known.iter().map(CategoryCode::as_str).collect();
    let codes = codes.join(", ");
    localized(
        format!("The dimension has no category {category}. Its categories are: {codes}."),
        format!("Tiêu thức phân tổ này không có giá trị {category}. Các giá trị: {codes}."),
    )
}

fn breakdown_sum(dimensions: &[Names], sum: i64, value: i64) -> Localized {
    let en: Vec<&str> = dimensions.iter().map(|names| names.en.as_str()).collect();
    let vi: Vec<&str> = dimensions.iter().map(|names| names.vi.as_str()).collect();
    localized(
        format!(
            "The cells by {} add up to {sum}, but the value is {value}. Correct one of them.",
            en.join(" and ")
        ),
        format!(
            "Các số phân tổ theo {} cộng lại là {sum}, số chung là {value}. Hãy sửa một trong hai.",
            vi.join(" và ")
        ),
    )
}

fn check_failed(rule: &str, texts: &Names) -> Localized {
    let [en, vi] = [&texts.en, &texts.vi].map(|text| text.trim_end_matches('.'));
    localized(
        format!("{en}. The form requires {rule}."),
        format!("{vi}. Biểu mẫu yêu cầu {rule}."),
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::problem::text::Language;

    /// One error of every kind.
    pub(crate) fn every_kind() -> Vec<FieldErrorKind> {
        use FieldErrorKind::*;
        let names = Names {
            vi: "giới tính".into(),
            en: "sex".into(),
        };
        let mut kinds = vec![
            MissingField("form"),
            UnknownField("x".into()),
            RepeatedField("x".into()),
            ValueMissing,
            ValueAmbiguous,
            UnknownState,
            UnknownForm,
            InvalidPeriod,
            PeriodNotExpected,
            PeriodNotBegun(NaiveDate::MAX),
            UnknownUnit,
            UnitDoesNotReport,
            UnknownIndicator,
            ComputedIndicator,
            RepeatedIndicator,
            BelowMinimum(0),
            AboveMaximum(1),
            TooLong(500),
            TooMany(100),
            Empty,
            ControlCharacter,
            ReorderingControl,
            BreakdownNotAllowed("sex".into()),
            UnknownCategory {
                category: "x".into(),
                known: vec!["nu".parse().unwrap()],
            },
            BreakdownWithoutDimension,
            RepeatedCell,
            BreakdownNotNumeric,
            BreakdownSum {
                dimensions: vec![names],
                sum: 1,
                value: 2,
            },
            CheckFailed {
                rule: "HT.YT <= HT.NG".into(),
                texts: Names {
                    vi: "Số người được hỗ trợ y tế lớn hơn số nạn nhân được hỗ trợ".into(),
                    en: "More persons received medical care than received any support".into(),
                },
            },
            UnknownRole,
            UnknownUnitCode,
            InvalidDateTime,
            ExpiryInPast,
            ExpiryTooLate(DateTime::UNIX_EPOCH),
        ];
        let types = [
            ValueType::Integer,
            ValueType::Flag,
            ValueType::IntegerOrFlag,
            ValueType::Items,
            ValueType::Text,
            ValueType::List,
            ValueType::Object,
        ];
        kinds.extend(types.map(WrongType));
        kinds.extend(types.map(WrongValueType));
        kinds
    }

    #[test]
    fn codes_distinguish_errors_that_callers_handle_differently() {
        let codes: std::collections::HashSet<FieldErrorCode> = every_kind().iter().map(code).collect();
        // Both kinds of unknown units have one code, both kinds of control characters, and all wrong types.
        assert_eq!(codes.len(), every_kind().len() - 1 - 1 - 2 * 6);
    }

    #[test]
    fn a_long_name_is_shortened_between_characters() {
        let text = detail(&FieldErrorKind::UnknownField("ế".repeat(5_000)));
        assert!(text.get(Language::En).len() < 400);
    }
}
