//! CSV tables as people edit them: columns in any order, identified by the header.

use std::str::FromStr;

use chrono::NaiveDate;

use crate::error::FileErrors;

/// A column that a file may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// The name in the header.
    pub(crate) name: &'static str,
    /// An alternative name.
    pub(crate) alias: Option<&'static str>,
    /// Whether the column is required.
    pub(crate) required: bool,
}

impl Column {
    pub(crate) const fn required(name: &'static str) -> Self {
        Self {
            name,
            alias: None,
            required: true,
        }
    }

    pub(crate) const fn optional(name: &'static str) -> Self {
        Self {
            required: false,
            ..Self::required(name)
        }
    }

    pub(crate) const fn or(self, alias: &'static str) -> Self {
        Self {
            alias: Some(alias),
            ..self
        }
    }
}

/// An entry of a file and its first line.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) value: T,
    pub(crate) line: u64,
    /// Whether the entry's references to other entries could be read. If not, errors about those references are misleading.
    pub(crate) sound: bool,
}

/// The rows of a table below its header.
#[derive(Debug)]
pub(crate) struct Table {
    /// The column name for each position in a row; none for an unknown column.
    columns: Vec<Option<&'static str>>,
    rows: Vec<(u64, csv::StringRecord)>,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) line: u64,
    columns: &'a [Option<&'static str>],
    record: &'a csv::StringRecord,
}

impl Table {
    /// Reads a table. Returns none if the header lacks a required column.
    pub(crate) fn read(text: &str, known: &[Column], errors: &mut FileErrors) -> Option<Self> {
        let mut records = Vec::new();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .delimiter(delimiter(text))
            .from_reader(text.as_bytes());
        // Reading does not fail: the text is UTF-8 in memory, and rows may have any length.
        for record in reader.records().map_while(Result::ok) {
            if record.iter().all(str::is_empty) {
                continue;
            }
            records.push((line_of(text, &record), record));
        }
        let mut records = records.into_iter();
        let Some((line, header)) = records.next() else {
            errors.add(None, "the file is empty: the first line must name the columns");
            return None;
        };
        let columns = read_header(line, &header, known, errors)?;
        let rows: Vec<_> = records.collect();
        for (line, record) in &rows {
            check_shape(*line, record, columns.len(), errors);
        }
        Some(Self { columns, rows })
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, record)| Row {
            line: *line,
            columns: &self.columns,
            record,
        })
    }
}

/// The delimiter of a file. Spreadsheets with Vietnamese settings write semicolons, because the comma is the decimal separator.
fn delimiter(text: &str) -> u8 {
    let header = text.trim_start().lines().next().unwrap_or_default();
    if header.contains(';') && !header.contains(',') {
        b';'
    } else {
        b','
    }
}

/// The line of a record. The reader's position precedes any empty lines that it skipped.
fn line_of(text: &str, record: &csv::StringRecord) -> u64 {
    let (start, line) = record
        .position()
        .map_or((0, 1), |position| (position.byte() as usize, position.line()));
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    line + empty.filter(|byte| **byte == b'\n').count() as u64
}

fn read_header(
    line: u64,
    header: &csv::StringRecord,
    known: &[Column],
    errors: &mut FileErrors,
) -> Option<Vec<Option<&'static str>>> {
    let mut columns: Vec<Option<&'static str>> = Vec::with_capacity(header.len());
    for name in header {
        let column = known
            .iter()
            .find(|column| column.name == name || column.alias == Some(name));
        match column {
            None => errors.add(line, format!("unknown column {name:?}")),
            Some(column) if columns.contains(&Some(column.name)) => {
                errors.add(line, format!("the column {} occurs twice", column.name));
            }
            Some(_) => {}
        }
        columns.push(column.map(|column| column.name));
    }
    let mut complete = true;
    for column in known.iter().filter(|column| column.required) {
        if !columns.contains(&Some(column.name)) {
            errors.add(line, format!("the column {} is missing", column.name));
            complete = false;
        }
    }
    complete.then_some(columns)
}

fn check_shape(line: u64, record: &csv::StringRecord, columns: usize, errors: &mut FileErrors) {
    if record.iter().any(|field| field.contains(['\n', '\r'])) {
        errors.add(
            line,
            "a field spans several lines: a closing quotation mark may be missing",
        );
    } else if record.iter().any(|field| field.contains(char::is_control)) {
        errors.add(line, "a field contains a control character");
    }
    // Spreadsheets append empty fields to rows; they are ignored.
    let filled = record
        .iter()
        .enumerate()
        .filter(|(_, field)| !field.is_empty())
        .map(|(at, _)| at + 1)
        .max();
    let fields = record.len().min(filled.unwrap_or(0).max(columns));
    if fields != columns {
        errors.add(
            line,
            format!("the row has {fields} fields, the header {columns}: put fields that contain a comma in quotation marks"),
        );
    }
}

impl<'a> Row<'a> {
    /// The field of a column; empty if the column or the field is absent.
    pub(crate) fn get(self, column: &str) -> &'a str {
        let at = self.columns.iter().position(|name| *name == Some(column));
        at.and_then(|at| self.record.get(at)).unwrap_or_default()
    }

    /// A field that must not be empty.
    pub(crate) fn text(self, column: &str, errors: &mut FileErrors) -> String {
        let text = self.get(column);
        if text.is_empty() {
            errors.add(self.line, format!("{column} is empty"));
        }
        text.to_owned()
    }

    /// A field that must not be empty, parsed by `read`.
    pub(crate) fn read<T>(
        self,
        column: &str,
        read: impl Fn(&str) -> Result<T, String>,
        errors: &mut FileErrors,
    ) -> Option<T> {
        if self.text(column, errors).is_empty() {
            return None;
        }
        self.read_if_any(column, read, errors)
    }

    /// A field parsed by `read`, if it is not empty.
    pub(crate) fn read_if_any<T>(
        self,
        column: &str,
        read: impl Fn(&str) -> Result<T, String>,
        errors: &mut FileErrors,
    ) -> Option<T> {
        let text = self.get(column);
        if text.is_empty() {
            return None;
        }
        read(text)
            .map_err(|detail| errors.add(self.line, format!("{column}: {detail}")))
            .ok()
    }
}

/// Parses a text, or explains the error.
pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}

/// Parses a whole number.
pub(crate) fn number(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a whole number"))
}

/// Parses a day such as 2021-07-31. Other formats, which spreadsheets tend to write, are ambiguous and rejected.
pub(crate) fn day(text: &str) -> Result<NaiveDate, String> {
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let day = shaped.then(|| text.parse().ok()).flatten();
    day.ok_or_else(|| format!("{text:?} is not a day: write 2021-07-31"))
}
