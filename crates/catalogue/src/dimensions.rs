//! `dimensions.csv`: the ways to break a figure down, one row a category.

use tonghop_domain::{Category, Dimension, Names};

use crate::fault::Faults;
use crate::table::{Column, Entry, Row, Table, parsed};

pub(crate) const FILE: &str = "dimensions.csv";

const COLUMNS: [Column; 4] = [
    Column::required("dimension"),
    Column::required("code"),
    Column::required("name_vi"),
    Column::required("name_en"),
];

/// The dimensions, each with the line of its first category.
pub(crate) fn read(text: &str, faults: &mut Faults) -> Option<Vec<Entry<Dimension>>> {
    let table = Table::read(text, &COLUMNS, faults)?;
    let mut dimensions: Vec<Entry<Dimension>> = Vec::new();
    for row in table.rows() {
        read_row(row, &mut dimensions, faults);
    }
    Some(dimensions)
}

fn read_row(row: Row<'_>, dimensions: &mut Vec<Entry<Dimension>>, faults: &mut Faults) {
    let code = row.read("dimension", parsed, faults);
    let category = row.read("code", parsed, faults);
    let names = Names {
        vi: row.text("name_vi", faults),
        en: row.text("name_en", faults),
    };
    let Some(code) = code else { return };
    let at = dimensions
        .iter()
        .position(|dimension| dimension.value.code == code);
    let at = at.unwrap_or_else(|| {
        dimensions.push(Entry {
            value: Dimension {
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
    // Found here rather than by the domain, which could tell only the dimension and not the row.
    if dimension.categories.iter().any(|other| other.code == category) {
        faults.add(
            row.line,
            format!("the category {category} of {} is given twice", dimension.code),
        );
        return;
    }
    dimension.categories.push(Category {
        code: category,
        names,
    });
}
