//! Errors in the files of a catalogue, with their places.

use std::fmt;

/// All errors in a catalogue, in the order of its files and their lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidCatalogue {
    origin: String,
    errors: Vec<FileError>,
}

/// One error in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file's name within the folder.
    pub file: &'static str,
    /// The line, counted from 1; none if the error concerns the whole file.
    pub line: Option<u64>,
    /// An explanation for the person who maintains the catalogue.
    pub detail: String,
}

impl InvalidCatalogue {
    pub(crate) fn new(origin: &str, errors: Vec<FileError>) -> Self {
        Self {
            origin: origin.to_owned(),
            errors,
        }
    }

    /// The errors; there is at least one.
    pub fn errors(&self) -> &[FileError] {
        &self.errors
    }
}

impl fmt::Display for InvalidCatalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.errors.len() == 1 { "error" } else { "errors" };
        write!(f, "{} has {} {noun}:", self.origin, self.errors.len())?;
        self.errors.iter().try_for_each(|error| write!(f, "\n{error}"))
    }
}

impl std::error::Error for InvalidCatalogue {}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.detail),
            None => write!(f, "{}: {}", self.file, self.detail),
        }
    }
}

/// The errors of one file, collected while it is read.
#[derive(Debug)]
pub(crate) struct FileErrors {
    file: &'static str,
    found: Vec<FileError>,
}

impl FileErrors {
    pub(crate) fn of(file: &'static str) -> Self {
        Self {
            file,
            found: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, line: impl Into<Option<u64>>, detail: impl Into<String>) {
        self.found.push(FileError {
            file: self.file,
            line: line.into(),
            detail: detail.into(),
        });
    }

    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// The errors in the order of their lines; errors of the whole file come first.
    pub(crate) fn sorted(mut self) -> Vec<FileError> {
        self.found.sort_by_key(|error| error.line);
        self.found
    }
}

/// The line of a byte of `text`, counted from 1.
pub(crate) fn line_at(text: &[u8], byte: usize) -> u64 {
    let before = text.get(..byte).unwrap_or(text);
    before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1
}
