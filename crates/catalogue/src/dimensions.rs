//! `dimensions.csv`: the dimensions of breakdowns, one row per category.

use tonghop_domain::{Category, Dimension, Names};

use crate::error::FileErrors;
use crate::table::{Column, Entry, Row, Table, parsed};

pub(crate) const FILE: &str = "dimensions.csv";

const COLUMNS: [Column; 6] = [
    Column::required("dimension"),
    Column::optional("dimension_vi"),
    Column::optional("dimension_en"),
    Column::required("code"),
    Column::required("name_vi"),
    Column::required("name_en"),
];

/// Reads the dimensions, each with the line of its first category.
pub(crate) fn read(text: &str, errors: &mut FileErrors) -> Option<Vec<Entry<Dimension>>> {
    let table = Table::read(text, &COLUMNS, errors)?;
    let mut dimensions: Vec<Entry<Dimension>> = Vec::new();
    for row in table.rows() {
        read_row(row, &mut dimensions, errors);
    }
    Some(dimensions)
}

fn read_row(row: Row<'_>, dimensions: &mut Vec<Entry<Dimension>>, errors: &mut FileErrors) {
    let code = row.read("dimension", parsed, errors);
    let category = row.read("code", parsed, errors);
    let names = Names {
        vi: row.text("name_vi", errors),
        en: row.text("name_en", errors),
    };
    let Some(code) = code else { return };
    let at = dimensions
        .iter()
        .position(|dimension| dimension.value.code == code);
    let at = at.unwrap_or_else(|| {
        dimensions.push(Entry {
            value: Dimension {
                names: dimension_names(row, code.as_str()),
                code,
                categories: Vec::new(),
            },
            line: row.line,
            sound: true,
        });
        dimensions.len() - 1
    });
    let dimension = &mut dimensions[at].value;
    let Some(category) = category else { return };
    // Checked here rather than by the domain, which knows the dimension but not the row.
    if dimension.categories.iter().any(|other| other.code == category) {
        errors.add(
            row.line,
            format!("the category {category} of {} is defined twice", dimension.code),
        );
        return;
    }
    dimension.categories.push(Category {
        code: category,
        names,
    });
}

/// The names of a dimension, which its first row states. Without a name, the code is used.
fn dimension_names(row: Row<'_>, code: &str) -> Names {
    let name = |column| match row.get(column) {
        "" => code.to_owned(),
        name => name.to_owned(),
    };
    Names {
        vi: name("dimension_vi"),
        en: name("dimension_en"),
    }
}
