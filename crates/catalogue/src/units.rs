//! `units.csv`: the units of the reporting tree.

use tonghop_domain::{Level, Names, Unit, UnitId};

use crate::error::FileErrors;
use crate::table::{Column, Entry, Row, Table, day, parsed};

pub(crate) const FILE: &str = "units.csv";

/// The columns. `name`, `type` and `name_ascii` are accepted because the national list has them.
const COLUMNS: [Column; 9] = [
    Column::required("code"),
    Column::required("name_vi").or("name"),
    Column::optional("name_en"),
    Column::required("level"),
    Column::required("parent_code"),
    Column::optional("valid_from"),
    Column::optional("valid_to"),
    Column::optional("type"),
    Column::optional("name_ascii"),
];

pub(crate) fn read(text: &str, errors: &mut FileErrors) -> Option<Vec<Entry<Unit>>> {
    let table = Table::read(text, &COLUMNS, errors)?;
    let mut units = Vec::new();
    for row in table.rows() {
        // Until a database assigns ids, the position in the file is the id.
        let id = UnitId(units.len() as i64 + 1);
        units.extend(read_row(row, id, errors));
    }
    if table.rows().next().is_none() {
        errors.add(None, "the file defines no unit");
    }
    Some(units)
}

fn read_row(row: Row<'_>, id: UnitId, errors: &mut FileErrors) -> Option<Entry<Unit>> {
    let code = row.read("code", parsed, errors);
    let names = Names {
        vi: row.text("name_vi", errors),
        en: ["name_en", "name_ascii", "name_vi"]
            .map(|column| row.get(column))
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default()
            .to_owned(),
    };
    let level = row.read("level", level, errors).unwrap_or(Level::Agency);
    let before = errors.count();
    let parent = row.read_if_any("parent_code", parsed, errors);
    let valid_from = row.read_if_any("valid_from", day, errors);
    let valid_to = row.read_if_any("valid_to", day, errors);
    if let (Some(from), Some(to)) = (valid_from, valid_to)
        && from >= to
    {
        errors.add(row.line, format!("valid_to {to} is not after valid_from {from}"));
    }
    let sound = errors.count() == before;
    let unit = Unit {
        id,
        code: code?,
        names,
        level,
        parent,
        valid_from,
        valid_to,
    };
    Some(Entry {
        value: unit,
        line: row.line,
        sound,
    })
}

/// Parses a level.
pub(crate) fn level(word: &str) -> Result<Level, String> {
    let level = Level::ALL.into_iter().find(|level| level.as_str() == word);
    level.ok_or_else(|| format!("{word:?} is none of {}", Level::ALL.map(Level::as_str).join(", ")))
}
