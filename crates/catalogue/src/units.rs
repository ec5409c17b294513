//! `units.csv`: the offices of the reporting tree.

use tonghop_domain::{Level, Names, Unit, UnitId};

use crate::fault::Faults;
use crate::table::{Column, Entry, Row, Table, day, parsed};

pub(crate) const FILE: &str = "units.csv";

/// `name`, `type` and `name_ascii` are the words of the national list, which is accepted with them.
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

pub(crate) fn read(text: &str, faults: &mut Faults) -> Option<Vec<Entry<Unit>>> {
    let table = Table::read(text, &COLUMNS, faults)?;
    let mut units = Vec::new();
    for row in table.rows() {
        // Where there is no database yet, the place in the file serves as the id.
        let id = UnitId(units.len() as i64 + 1);
        units.extend(read_row(row, id, faults));
    }
    if table.rows().next().is_none() {
        faults.add(None, "the file names no unit");
    }
    Some(units)
}

fn read_row(row: Row<'_>, id: UnitId, faults: &mut Faults) -> Option<Entry<Unit>> {
    let code = row.read("code", parsed, faults);
    let names = Names {
        vi: row.text("name_vi", faults),
        en: ["name_en", "name_ascii", "name_vi"]
            .map(|column| row.get(column))
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default()
            .to_owned(),
    };
    let level = row.read("level", level, faults).unwrap_or(Level::Agency);
    let before = faults.count();
    let parent = row.read_if_any("parent_code", parsed, faults);
    let valid_from = row.read_if_any("valid_from", day, faults);
    let valid_to = row.read_if_any("valid_to", day, faults);
    if let (Some(from), Some(to)) = (valid_from, valid_to)
        && from >= to
    {
        faults.add(row.line, format!("valid_to {to} is not after valid_from {from}"));
    }
    let sound = faults.count() == before;
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

/// The level with a word.
pub(crate) fn level(word: &str) -> Result<Level, String> {
    let level = Level::ALL.into_iter().find(|level| level.as_str() == word);
    level.ok_or_else(|| format!("{word:?} is none of {}", Level::ALL.map(Level::as_str).join(", ")))
}
