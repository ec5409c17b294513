//! `indicators.csv`: the indicators.

use tonghop_domain::{DimensionCode, Formula, Indicator, Kind, Names};

use crate::error::FileErrors;
use crate::table::{Column, Entry, Row, Table, number, parsed};

pub(crate) const FILE: &str = "indicators.csv";

const COLUMNS: [Column; 14] = [
    Column::required("code"),
    Column::required("name_vi"),
    Column::required("name_en"),
    Column::required("unit_vi"),
    Column::required("unit_en"),
    Column::required("kind"),
    Column::required("value_type"),
    Column::required("across_time"),
    Column::required("breakdowns"),
    Column::required("min"),
    Column::required("max"),
    Column::required("formula"),
    Column::optional("confidential"),
    Column::optional("note"),
];

const ACROSS_TIME: [&str; 6] = ["sum", "last", "max", "any", "union_ordered", "recompute"];

pub(crate) fn read(text: &str, errors: &mut FileErrors) -> Option<Vec<Entry<Indicator>>> {
    let table = Table::read(text, &COLUMNS, errors)?;
    let mut indicators = Vec::new();
    for row in table.rows() {
        indicators.extend(read_row(row, errors));
    }
    if table.rows().next().is_none() {
        errors.add(None, "the file defines no indicator");
    }
    Some(indicators)
}

fn read_row(row: Row<'_>, errors: &mut FileErrors) -> Option<Entry<Indicator>> {
    let code = row.read("code", parsed, errors);
    let indicator = Indicator {
        names: Names {
            vi: row.text("name_vi", errors),
            en: row.text("name_en", errors),
        },
        measure: Names {
            vi: row.get("unit_vi").to_owned(),
            en: row.get("unit_en").to_owned(),
        },
        kind: read_kind(row, errors),
        value_type: row.text("value_type", errors),
        across_time: row.read("across_time", across_time, errors).unwrap_or_default(),
        breakdowns: read_breakdowns(row, errors),
        min: row.read_if_any("min", number, errors),
        max: row.read_if_any("max", number, errors),
        confidential: row.read_if_any("confidential", yes, errors).unwrap_or_default(),
        code: code?,
    };
    Some(Entry {
        value: indicator,
        line: row.line,
        sound: true,
    })
}

fn across_time(word: &str) -> Result<String, String> {
    if ACROSS_TIME.contains(&word) {
        Ok(word.to_owned())
    } else {
        Err(format!("{word:?} is none of {}", ACROSS_TIME.join(", ")))
    }
}

fn yes(word: &str) -> Result<bool, String> {
    if word == "yes" {
        Ok(true)
    } else {
        Err(format!("{word:?} is neither yes nor empty"))
    }
}

/// Reads the kind. An invalid kind counts as a flow, which cannot conflict with other entries.
fn read_kind(row: Row<'_>, errors: &mut FileErrors) -> Kind {
    let formula = row.get("formula");
    let kind = match row.text("kind", errors).as_str() {
        "flow" => Kind::Flow,
        "stock" => Kind::Stock,
        "flag" => Kind::Flag,
        "list" => Kind::List,
        "text" => Kind::Text,
        "ratio" => match read_formula(formula) {
            Ok(formula) => return Kind::Ratio(formula),
            Err(detail) => {
                errors.add(row.line, format!("formula: {detail}"));
                return Kind::Flow;
            }
        },
        "" => return Kind::Flow,
        word => {
            errors.add(
                row.line,
                format!("kind: {word:?} is none of flow, stock, flag, list, text, ratio"),
            );
            return Kind::Flow;
        }
    };
    if !formula.is_empty() {
        errors.add(row.line, format!("formula: a {} has no formula", kind.as_str()));
    }
    kind
}

fn read_formula(text: &str) -> Result<Formula, String> {
    let parts = text
        .split_once('*')
        .and_then(|(factor, quotient)| Some((factor, quotient.split_once('/')?)));
    let Some((factor, (numerator, denominator))) = parts else {
        return Err(format!("{text:?} is not of the form 100*HT.NG/NN.XD"));
    };
    Ok(Formula {
        factor: number(factor.trim())?,
        numerator: parsed(numerator.trim())?,
        denominator: parsed(denominator.trim())?,
    })
}

fn read_breakdowns(row: Row<'_>, errors: &mut FileErrors) -> Vec<DimensionCode> {
    let mut breakdowns = Vec::new();
    for word in row.get("breakdowns").split_whitespace() {
        match parsed::<DimensionCode>(word) {
            Ok(code) if breakdowns.contains(&code) => {
                errors.add(row.line, format!("breakdowns: {code} is listed twice"));
            }
            Ok(code) => breakdowns.push(code),
            Err(detail) => errors.add(row.line, format!("breakdowns: {detail}")),
        }
    }
    breakdowns
}
