//! Tables in CSV as people edit them: columns in any order, found by the header's words.

use std::str::FromStr;

use chrono::NaiveDate;

use crate::fault::Faults;

/// A column that a file may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// The word in the header.
    pub(crate) name: &'static str,
    /// Another word that is accepted for it.
    pub(crate) alias: Option<&'static str>,
    /// Whether the file cannot be read without it.
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

/// An entry of a file and the line on which it begins.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) value: T,
    pub(crate) line: u64,
    /// Whether the parts that tie it to other entries could be read. If not, what those ties seem to break is no news.
    pub(crate) sound: bool,
}

/// The rows of a table below its header.
#[derive(Debug)]
pub(crate) struct Table {
    /// For each place in a row, the name of its column; none for a column that is ignored.
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
    /// Reads a table; none when its header does not say where the required columns are.
    pub(crate) fn read(text: &str, known: &[Column], faults: &mut Faults) -> Option<Self> {
        let mut records = Vec::new();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .delimiter(delimiter(text))
            .from_reader(text.as_bytes());
        // The text is UTF-8 and rows may have any length, so reading from memory does not fail.
        for record in reader.records().map_while(Result::ok) {
            if record.iter().all(str::is_empty) {
                continue;
            }
            records.push((line_of(text, &record), record));
        }
        let mut records = records.into_iter();
        let Some((line, header)) = records.next() else {
            faults.add(None, "the file is empty: its first line names the columns");
            return None;
        };
        let columns = read_header(line, &header, known, faults)?;
        let rows: Vec<_> = records.collect();
        for (line, record) in &rows {
            check_shape(*line, record, columns.len(), faults);
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

/// Spreadsheets set to Vietnamese write semicolons, because the comma is their decimal sign.
fn delimiter(text: &str) -> u8 {
    let header = text.trim_start().lines().next().unwrap_or_default();
    if header.contains(';') && !header.contains(',') {
        b';'
    } else {
        b','
    }
}

/// The reader's position is where it began to look, before any empty lines that it passed over.
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
    faults: &mut Faults,
) -> Option<Vec<Option<&'static str>>> {
    let mut columns: Vec<Option<&'static str>> = Vec::with_capacity(header.len());
    for word in header {
        let column = known
            .iter()
            .find(|column| column.name == word || column.alias == Some(word));
        match column {
            None => faults.add(line, format!("there is no column {word:?}")),
            Some(column) if columns.contains(&Some(column.name)) => {
                faults.add(line, format!("the column {} is given twice", column.name));
            }
            Some(_) => {}
        }
        columns.push(column.map(|column| column.name));
    }
    let mut complete = true;
    for column in known.iter().filter(|column| column.required) {
        if !columns.contains(&Some(column.name)) {
            faults.add(line, format!("the column {} is missing", column.name));
            complete = false;
        }
    }
    complete.then_some(columns)
}

fn check_shape(line: u64, record: &csv::StringRecord, columns: usize, faults: &mut Faults) {
    if record.iter().any(|field| field.contains(['\n', '\r'])) {
        faults.add(
            line,
            "a field runs over several lines: perhaps a quotation mark is not closed",
        );
    } else if record.iter().any(|field| field.contains(char::is_control)) {
        faults.add(line, "a field holds a control character");
    }
    // Spreadsheets add empty fields at the end of a row; they say nothing.
    let filled = record
        .iter()
        .enumerate()
        .filter(|(_, field)| !field.is_empty())
        .map(|(at, _)| at + 1)
        .max();
    let fields = record.len().min(filled.unwrap_or(0).max(columns));
    if fields != columns {
        faults.add(
            line,
            format!("the row has {fields} fields, the header {columns}: put a field with a comma in quotation marks"),
        );
    }
}

impl<'a> Row<'a> {
    /// The field of a column; empty when the column or the field is absent.
    pub(crate) fn get(self, column: &str) -> &'a str {
        let at = self.columns.iter().position(|name| *name == Some(column));
        at.and_then(|at| self.record.get(at)).unwrap_or_default()
    }

    /// A field that may not be empty.
    pub(crate) fn text(self, column: &str, faults: &mut Faults) -> String {
        let text = self.get(column);
        if text.is_empty() {
            faults.add(self.line, format!("{column} is empty"));
        }
        text.to_owned()
    }

    /// A field that may not be empty, read by `read`.
    pub(crate) fn read<T>(
        self,
        column: &str,
        read: impl Fn(&str) -> Result<T, String>,
        faults: &mut Faults,
    ) -> Option<T> {
        if self.text(column, faults).is_empty() {
            return None;
        }
        self.read_if_any(column, read, faults)
    }

    /// A field read by `read`, if it is not empty.
    pub(crate) fn read_if_any<T>(
        self,
        column: &str,
        read: impl Fn(&str) -> Result<T, String>,
        faults: &mut Faults,
    ) -> Option<T> {
        let text = self.get(column);
        if text.is_empty() {
            return None;
        }
        read(text)
            .map_err(|detail| faults.add(self.line, format!("{column}: {detail}")))
            .ok()
    }
}

/// A text that has a form of its own, or a sentence that says what is wrong with it.
pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}

/// A whole number.
pub(crate) fn number(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a whole number"))
}

/// A day of four, two and two digits. Spreadsheets like to turn it into something else, so nothing else is guessed.
pub(crate) fn day(text: &str) -> Result<NaiveDate, String> {
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let day = shaped.then(|| text.parse().ok()).flatten();
    day.ok_or_else(|| format!("{text:?} is not a day: write 2021-07-31"))
}
