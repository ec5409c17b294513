//! Reports of the source report's form and period.

use serde_json::{Value, json};

/// The form of the source report.
pub const FORM: &str = "ngay-30-7";
/// Its period.
pub const PERIOD: &str = "2021-07";
/// Its province.
pub const PROVINCE: &str = "87";

/// A submission of the source report's form and period.
pub fn submission(unit: &str, figures: Value) -> Value {
    json!({ "form": FORM, "period": PERIOD, "unit": unit, "figures": figures })
}

/// A submission with one number: broadcasts.
pub fn broadcasts(unit: &str, number: i64) -> Value {
    submission(unit, json!([{ "indicator": "TT.PT", "value": number }]))
}
