//! What a fault in a body is called, and what it tells the person who sent it.

use tonghop_domain::FaultKind;

use crate::problem::text::{Words, words};

/// The stable code of a fault.
pub(crate) fn code(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::MissingField(_) => "missing-field",
        FaultKind::UnknownField(_) => "unknown-field",
        FaultKind::RepeatedField(_) => "repeated-field",
        FaultKind::WrongType(_) => "wrong-type",
        FaultKind::NothingSaid => "nothing-said",
        FaultKind::SaidTwice => "said-twice",
        FaultKind::UnknownState => "unknown-state",
        FaultKind::UnknownForm => "unknown-form",
        FaultKind::InvalidPeriod => "invalid-period",
        FaultKind::PeriodNotOfForm => "period-not-of-form",
        FaultKind::UnknownUnit => "unknown-unit",
        FaultKind::UnitDoesNotReport => "unit-does-not-report",
        FaultKind::UnknownIndicator => "unknown-indicator",
        FaultKind::ComputedIndicator => "computed-indicator",
        FaultKind::RepeatedIndicator => "repeated-indicator",
        FaultKind::WrongContent(_) => "wrong-content",
        FaultKind::BelowMinimum(_) => "below-minimum",
        FaultKind::AboveMaximum(_) => "above-maximum",
        FaultKind::TooLong(_) => "too-long",
        FaultKind::TooMany(_) => "too-many",
        FaultKind::Empty => "empty",
        FaultKind::ControlCharacter => "control-character",
        FaultKind::BreakdownNotAllowed(_) => "breakdown-not-allowed",
        FaultKind::UnknownCategory(_) => "unknown-category",
        FaultKind::NoDimension => "no-dimension",
        FaultKind::RepeatedCell => "repeated-cell",
        FaultKind::BreakdownOfNoNumber => "breakdown-of-no-number",
        FaultKind::UnknownRole => "unknown-role",
        FaultKind::NoUnitEver => "no-unit-ever",
        FaultKind::NoTimeToCome => "no-time-to-come",
        FaultKind::BreakdownSum { .. } => "breakdown-sum",
    }
}

/// What to tell about a fault: what is wrong and what to do.
pub(crate) fn detail(kind: &FaultKind) -> Words {
    match kind {
        FaultKind::MissingField(name) => missing_field(name),
        FaultKind::UnknownField(name) => unknown_field(name),
        FaultKind::RepeatedField(name) => repeated_field(name),
        FaultKind::WrongType(wanted) => wrong_type(wanted),
        FaultKind::NothingSaid => fixed(NOTHING_SAID),
        FaultKind::SaidTwice => fixed(SAID_TWICE),
        FaultKind::UnknownState => fixed(UNKNOWN_STATE),
        FaultKind::UnknownForm => fixed(UNKNOWN_FORM),
        FaultKind::InvalidPeriod => fixed(INVALID_PERIOD),
        FaultKind::PeriodNotOfForm => fixed(PERIOD_NOT_OF_FORM),
        FaultKind::UnknownUnit => fixed(UNKNOWN_UNIT),
        FaultKind::UnitDoesNotReport => fixed(UNIT_DOES_NOT_REPORT),
        FaultKind::UnknownIndicator => fixed(UNKNOWN_INDICATOR),
        FaultKind::ComputedIndicator => fixed(COMPUTED_INDICATOR),
        FaultKind::RepeatedIndicator => fixed(REPEATED_INDICATOR),
        FaultKind::WrongContent(wanted) => wrong_content(wanted),
        FaultKind::BelowMinimum(min) => below_minimum(*min),
        FaultKind::AboveMaximum(max) => above_maximum(*max),
        FaultKind::TooLong(max) => too_long(*max),
        FaultKind::TooMany(max) => too_many(*max),
        FaultKind::Empty => fixed(EMPTY),
        FaultKind::ControlCharacter => fixed(CONTROL_CHARACTER),
        FaultKind::BreakdownNotAllowed(dimension) => breakdown_not_allowed(dimension),
        FaultKind::UnknownCategory(category) => unknown_category(category),
        FaultKind::NoDimension => fixed(NO_DIMENSION),
        FaultKind::RepeatedCell => fixed(REPEATED_CELL),
        FaultKind::BreakdownOfNoNumber => fixed(BREAKDOWN_OF_NO_NUMBER),
        FaultKind::UnknownRole => fixed(UNKNOWN_ROLE),
        FaultKind::NoUnitEver => fixed(NO_UNIT_EVER),
        FaultKind::NoTimeToCome => fixed(NO_TIME_TO_COME),
        FaultKind::BreakdownSum {
            dimensions,
            sum,
            value,
        } => breakdown_sum(dimensions, *sum, *value),
    }
}

/// In English and in Vietnamese.
type Fixed = (&'static str, &'static str);

const NOTHING_SAID: Fixed = (
    "The figure says nothing. Give a value, items, a text or a state.",
    "Số liệu chưa nói gì. Hãy ghi giá trị (value), các mục (items), văn bản (text) hoặc trạng thái (state).",
);
const SAID_TWICE: Fixed = (
    "The figure says two things. Give only one of value, items, text and state.",
    "Số liệu nói hai điều. Chỉ ghi một trong: value, items, text, state.",
);
const UNKNOWN_STATE: Fixed = (
    "There is no such state. Use done_no_number, not_done or not_applicable.",
    "Không có trạng thái này. Hãy dùng done_no_number (có làm, không có số), not_done (không làm) hoặc \
     not_applicable (không áp dụng).",
);
const UNKNOWN_FORM: Fixed = (
    "There is no form with this code. /v1/forms lists the forms.",
    "Không có biểu mẫu nào mang mã này. Xem danh sách tại /v1/forms.",
);
const INVALID_PERIOD: Fixed = (
    "This is not a period. Write 2021, 2021-H1, 2021-Q3, 2021-9M or 2021-07, with a year from 2000 to 2199.",
    "Đây không phải là kỳ báo cáo. Hãy viết 2021, 2021-H1, 2021-Q3, 2021-9M hoặc 2021-07, năm từ 2000 đến 2199.",
);
const PERIOD_NOT_OF_FORM: Fixed = (
    "The form is not reported for this period. /v1/forms tells for which periods it is.",
    "Biểu mẫu không có kỳ báo cáo này. Xem các kỳ của biểu mẫu tại /v1/forms.",
);
const UNKNOWN_UNIT: Fixed = (
    "On the last day of the period no unit has this code. /v1/units lists the units of a day.",
    "Vào ngày cuối kỳ không có đơn vị nào mang mã này. Xem các đơn vị của một ngày tại /v1/units.",
);
const UNIT_DOES_NOT_REPORT: Fixed = (
    "This unit does not report the form. /v1/forms tells which units do.",
    "Đơn vị này không báo cáo theo biểu mẫu. Xem các đơn vị phải báo cáo tại /v1/forms.",
);
const UNKNOWN_INDICATOR: Fixed = (
    "The form has no indicator with this code. Correct the code or leave the figure out.",
    "Biểu mẫu không có chỉ tiêu nào mang mã này. Hãy sửa mã hoặc bỏ số liệu này.",
);
const COMPUTED_INDICATOR: Fixed = (
    "This indicator is computed from others. Leave it out.",
    "Chỉ tiêu này được tính từ các chỉ tiêu khác. Hãy bỏ ra khỏi báo cáo.",
);
const REPEATED_INDICATOR: Fixed = (
    "The indicator is reported twice. Keep one of the figures.",
    "Chỉ tiêu được báo cáo hai lần. Chỉ giữ lại một số liệu.",
);
const EMPTY: Fixed = (
    "The text is empty. Write something or leave it out.",
    "Văn bản trống. Hãy ghi nội dung hoặc bỏ ra.",
);
const CONTROL_CHARACTER: Fixed = (
    "The text has a control character, such as NUL. Remove it.",
    "Văn bản có ký tự điều khiển, chẳng hạn NUL. Hãy bỏ ký tự đó.",
);
const NO_DIMENSION: Fixed = (
    "The cell names no dimension. Name a category of at least one, such as \"sex\": \"nu\".",
    "Ô phân tổ chưa nêu tiêu thức nào. Hãy nêu ít nhất một, ví dụ \"sex\": \"nu\".",
);
const REPEATED_CELL: Fixed = (
    "A cell with the same categories was given before. Keep one of them.",
    "Đã có một ô với cùng các phân tổ này. Chỉ giữ lại một ô.",
);
const BREAKDOWN_OF_NO_NUMBER: Fixed = (
    "Only a number can be broken down. Give a value or leave the breakdowns out.",
    "Chỉ có thể phân tổ một con số. Hãy ghi giá trị hoặc bỏ phần phân tổ.",
);

const UNKNOWN_ROLE: Fixed = (
    "There is no such role. Use submitter, reader or admin.",
    "Không có vai trò này. Hãy dùng submitter (gửi và đọc), reader (chỉ đọc) hoặc admin (quản trị).",
);
const NO_UNIT_EVER: Fixed = (
    "No unit has or ever had this code. /v1/units lists the units of a day.",
    "Chưa từng có đơn vị nào mang mã này. Xem các đơn vị của một ngày tại /v1/units.",
);
const NO_TIME_TO_COME: Fixed = (
    "This is not a time to come. Write one as in 2030-12-31T17:00:00+07:00, or leave it out for a key without an end.",
    "Đây không phải là thời điểm trong tương lai. Hãy viết theo dạng 2030-12-31T17:00:00+07:00, hoặc bỏ ra nếu khóa không có hạn.",
);

fn fixed((en, vi): Fixed) -> Words {
    words(en, vi)
}

fn missing_field(name: &str) -> Words {
    words(
        format!("The field {name} is missing. Add it."),
        format!("Thiếu trường {name}. Hãy bổ sung."),
    )
}

fn unknown_field(name: &str) -> Words {
    let name = shortened(name);
    words(
        format!("There is no field {name} here. Correct its name or remove it."),
        format!("Ở đây không có trường {name}. Hãy sửa tên hoặc bỏ đi."),
    )
}

fn repeated_field(name: &str) -> Words {
    let name = shortened(name);
    words(
        format!("The field {name} is given twice. Keep one."),
        format!("Trường {name} được ghi hai lần. Chỉ giữ lại một."),
    )
}

fn wrong_type(wanted: &'static str) -> Words {
    let (en, vi) = type_words(wanted);
    words(format!("This must be {en}."), format!("Chỗ này phải là {vi}."))
}

fn wrong_content(wanted: &'static str) -> Words {
    let (en, vi) = type_words(wanted);
    words(
        format!("This indicator is reported with {en}, or with a state."),
        format!("Chỉ tiêu này được báo cáo bằng {vi}, hoặc bằng một trạng thái."),
    )
}

/// The names of what a body may hold, by the words of the domain and of the reader.
fn type_words(wanted: &'static str) -> Fixed {
    match wanted {
        "integer" => ("a whole number", "một số nguyên"),
        "true or false" => ("true or false", "true hoặc false"),
        "integer, true or false" => (
            "a whole number, true or false",
            "một số nguyên, hoặc true hay false",
        ),
        "items" => (
            "items, a list of texts",
            "các mục (items), tức một danh sách văn bản",
        ),
        "list" => ("a list", "một danh sách"),
        "object" => ("an object with named fields", "một đối tượng có các trường"),
        "text" => ("a text", "một văn bản"),
        other => (other, other),
    }
}

fn below_minimum(min: i64) -> Words {
    words(
        format!("The value must be {min} or more."),
        format!("Giá trị phải từ {min} trở lên."),
    )
}

fn above_maximum(max: i64) -> Words {
    words(
        format!("The value must be {max} or less."),
        format!("Giá trị phải từ {max} trở xuống."),
    )
}

fn too_long(max: usize) -> Words {
    words(
        format!("The text has more than {max} characters. Shorten it."),
        format!("Văn bản dài quá {max} ký tự. Hãy rút ngắn."),
    )
}

fn too_many(max: usize) -> Words {
    words(
        format!("The list has more than {max} entries. Shorten it."),
        format!("Danh sách có quá {max} mục. Hãy rút bớt."),
    )
}

fn breakdown_not_allowed(dimension: &str) -> Words {
    let dimension = shortened(dimension);
    words(
        format!("This indicator is not broken down by {dimension}. /v1/indicators tells by what it is."),
        format!("Chỉ tiêu này không phân tổ theo {dimension}. Xem các cách phân tổ tại /v1/indicators."),
    )
}

fn unknown_category(category: &str) -> Words {
    let category = shortened(category);
    words(
        format!("The dimension has no category {category}. /v1/indicators lists the categories."),
        format!("Tiêu thức này không có phân tổ {category}. Xem các phân tổ tại /v1/indicators."),
    )
}

fn breakdown_sum(dimensions: &str, sum: i64, value: i64) -> Words {
    words(
        format!(
            "The cells by {dimensions} add up to {sum}, the figure is {value}. Correct one or the other."
        ),
        format!(
            "Các ô phân tổ theo {dimensions} cộng lại là {sum}, còn số liệu là {value}. Hãy sửa một trong hai."
        ),
    )
}

/// A name that a caller made up may be as long as a body; its beginning is enough to find it.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 60;
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use unicode_normalization::is_nfc;

    use super::*;
    use crate::problem::kind::Code;
    use crate::problem::text::Language;

    /// One of every kind. The match makes the compiler ask for the kinds that are added.
    fn every_kind() -> Vec<FaultKind> {
        let kinds = vec![
            FaultKind::MissingField("form"),
            FaultKind::UnknownField("x".into()),
            FaultKind::RepeatedField("x".into()),
            FaultKind::WrongType("integer"),
            FaultKind::NothingSaid,
            FaultKind::SaidTwice,
            FaultKind::UnknownState,
            FaultKind::UnknownForm,
            FaultKind::InvalidPeriod,
            FaultKind::PeriodNotOfForm,
            FaultKind::UnknownUnit,
            FaultKind::UnitDoesNotReport,
            FaultKind::UnknownIndicator,
            FaultKind::ComputedIndicator,
            FaultKind::RepeatedIndicator,
            FaultKind::WrongContent("items"),
            FaultKind::BelowMinimum(0),
            FaultKind::AboveMaximum(1),
            FaultKind::TooLong(500),
            FaultKind::TooMany(100),
            FaultKind::Empty,
            FaultKind::ControlCharacter,
            FaultKind::BreakdownNotAllowed("sex".into()),
            FaultKind::UnknownCategory("x".into()),
            FaultKind::NoDimension,
            FaultKind::RepeatedCell,
            FaultKind::BreakdownOfNoNumber,
            FaultKind::BreakdownSum {
                dimensions: "sex".into(),
                sum: 1,
                value: 2,
            },
        ];
        let codes: std::collections::HashSet<&str> = kinds.iter().map(code).collect();
        assert_eq!(codes.len(), kinds.len());
        kinds
    }

    fn assert_told_in_both(words: &Words) {
        let (en, vi) = (words.get(Language::En), words.get(Language::Vi));
        assert!(en.is_ascii() || en.contains('…'), "{en}");
        assert!(!vi.is_ascii(), "{vi}");
        assert!(is_nfc(vi), "{vi}");
        assert_ne!(en, vi);
    }

    #[test]
    fn every_fault_and_problem_is_told_in_both_languages() {
        for kind in every_kind() {
            assert_told_in_both(&detail(&kind));
        }
        for code in Code::ALL {
            assert_told_in_both(&code.title());
            assert_told_in_both(&code.help());
        }
    }

    #[test]
    fn a_long_name_is_shortened_between_characters() {
        let words = detail(&FaultKind::UnknownField("ế".repeat(5_000)));
        assert!(words.get(Language::En).len() < 400);
    }
}
