//! What differs from one demonstration to the next.

use chrono::DateTime;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The id of the submission in the examples.
pub(crate) const EXAMPLE_ID: &str = "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11";

/// The value without what differs from one demonstration to the next: times, ids, cursors and counts of refreshes.
pub(crate) fn mask(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(mask).collect(),
        Value::Object(fields) => {
            let masked = fields.iter().map(|(name, value)| {
                let varies = matches!(
                    name.as_str(),
                    "last_used_at"
                        | "aggregated_at"
                        | "version"
                        | "next_after"
                        | "next_cursor"
                        | "created_by"
                ) || (name == "id"
                    && value.as_str().is_some_and(|id| id.len() == 8 && id != "8kQ2vY1c"));
                let value = if varies { json!("…") } else { mask(value) };
                (name.clone(), value)
            });
            Value::Object(masked.collect::<Map<_, _>>())
        }
        Value::String(text) => Value::String(mask_text(text)),
        other => other.clone(),
    }
}

/// The same for the words of a text. The id of the example stays.
pub(crate) fn mask_text(text: &str) -> String {
    let is_delimiter = |char: char| !(char.is_alphanumeric() || "-:._+".contains(char));
    let parts = text.split_inclusive(is_delimiter).map(|part| {
        let word = part.trim_end_matches(is_delimiter);
        let is_cursor = word.len() >= 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let varies = DateTime::parse_from_rfc3339(word).is_ok()
            || (Uuid::parse_str(word).is_ok() && word != EXAMPLE_ID)
            || word.starts_with("th_")
            || is_cursor;
        match varies {
            true => part.replacen(word, "…", 1),
            false => part.to_owned(),
        }
    });
    parts.collect()
}
