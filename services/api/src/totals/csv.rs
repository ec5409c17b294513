//! A total as comma-separated values.

use crate::submissions::figure::CellBody;
use crate::totals::body::{RatioBody, TotalRowBody, TotalsBody};
use chrono::SecondsFormat;
use tonghop_access::TotalRef;
use tonghop_domain::is_formula;

const COLUMNS: [&str; 20] = [
    "form",
    "period",
    "unit",
    "indicator",
    "name_vi",
    "name_en",
    "breakdown",
    "value",
    "items",
    "items_truncated",
    "reporting",
    "done_no_number",
    "not_done",
    "not_applicable",
    "not_reported",
    "expected",
    "form_expected",
    "form_reported",
    "pending",
    "as_of",
];

/// Renders a total: one row per indicator, and one per cell of its breakdowns.
pub(crate) fn render(about: &TotalRef, body: &TotalsBody) -> Result<Vec<u8>, csv::Error> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(COLUMNS)?;
    for (line, cells) in body.lines() {
        table.write_record(row(about, body, &line.indicator, total_columns(line)))?;
        for cell in cells {
            table.write_record(row(about, body, &line.indicator, cell_columns(cell)))?;
        }
    }
    for ratio in body.ratios() {
        table.write_record(row(about, body, &ratio.indicator, ratio_columns(ratio)))?;
    }
    table.into_inner().map_err(|error| error.into_error().into())
}

/// The columns that differ from row to row: breakdown, value, items, items_truncated, the five counts and `expected`.
type OwnColumns = [String; 10];

fn row(about: &TotalRef, body: &TotalsBody, indicator: &str, own: OwnColumns) -> [String; 20] {
    let form = &about.scope.form;
    let names = form.indicator(indicator).map(|indicator| &indicator.names);
    let (form_expected, form_reported, pending, as_of) = body.state();
    let [
        breakdown,
        value,
        items,
        truncated,
        reporting,
        no_number,
        not_done,
        not_applicable,
        not_reported,
        expected,
    ] = own;
    [
        form.code.to_string(),
        about.scope.period.to_string(),
        about.unit.to_string(),
        indicator.to_owned(),
        escape_formula(names.map_or("", |names| &names.vi)),
        escape_formula(names.map_or("", |names| &names.en)),
        breakdown,
        value,
        items,
        truncated,
        reporting,
        no_number,
        not_done,
        not_applicable,
        not_reported,
        expected,
        form_expected.to_string(),
        form_reported.to_string(),
        pending.to_string(),
        as_of.to_rfc3339_opts(SecondsFormat::AutoSi, true),
    ]
}

fn total_columns(line: &TotalRowBody) -> OwnColumns {
    let items = line.items.as_ref().map(|items| items.join("\n"));
    let truncated = line.items_truncated.map(|truncated| truncated.to_string());
    [
        String::new(),
        line.value.map(|value| value.to_string()).unwrap_or_default(),
        escape_formula(&items.unwrap_or_default()),
        truncated.unwrap_or_default(),
        line.reporting.to_string(),
        line.done_no_number.to_string(),
        line.not_done.to_string(),
        line.not_applicable.to_string(),
        line.not_reported.to_string(),
        line.expected.to_string(),
    ]
}

fn cell_columns(cell: &CellBody) -> OwnColumns {
    let mut own = OwnColumns::default();
    let pairs: Vec<String> = cell
        .categories()
        .map(|(dimension, category)| format!("{dimension}={category}"))
        .collect();
    own[0] = pairs.join(";");
    own[1] = cell.value().to_string();
    own
}

fn ratio_columns(ratio: &RatioBody) -> OwnColumns {
    let mut own = OwnColumns::default();
    own[1] = ratio.value.map(|value| value.to_string()).unwrap_or_default();
    own
}

/// A text that no spreadsheet takes for a formula.
fn escape_formula(text: &str) -> String {
    if is_formula(text) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_never_a_formula() {
        for text in ["=1+1", "\n=cmd|' /C calc'!A0", "＝1"] {
            assert_eq!(escape_formula(text), format!("'{text}"));
        }
        assert_eq!(escape_formula("Chung tay phòng, chống"), "Chung tay phòng, chống");
    }
}
