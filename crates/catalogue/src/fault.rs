//! What is wrong with the files of a catalogue, and where.

use std::fmt;

/// Everything that is wrong with a catalogue, in the order of its files and their lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueFaults {
    origin: String,
    faults: Vec<FileFault>,
}

/// One thing that is wrong in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// The file's name within the folder.
    pub file: &'static str,
    /// The line, counted from 1; none when the whole file is at fault.
    pub line: Option<u64>,
    /// A sentence for the person who keeps the catalogue.
    pub detail: String,
}

impl CatalogueFaults {
    pub(crate) fn new(origin: &str, faults: Vec<FileFault>) -> Self {
        Self {
            origin: origin.to_owned(),
            faults,
        }
    }

    /// The faults one by one; there is at least one.
    pub fn faults(&self) -> &[FileFault] {
        &self.faults
    }
}

impl fmt::Display for CatalogueFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.faults.len() == 1 { "fault" } else { "faults" };
        write!(f, "{} has {} {word}:", self.origin, self.faults.len())?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

impl std::error::Error for CatalogueFaults {}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.detail),
            None => write!(f, "{}: {}", self.file, self.detail),
        }
    }
}

/// Collects the faults of one file while it is read.
#[derive(Debug)]
pub(crate) struct Faults {
    file: &'static str,
    found: Vec<FileFault>,
}

impl Faults {
    pub(crate) fn of(file: &'static str) -> Self {
        Self {
            file,
            found: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, line: impl Into<Option<u64>>, detail: impl Into<String>) {
        self.found.push(FileFault {
            file: self.file,
            line: line.into(),
            detail: detail.into(),
        });
    }

    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// In the order of the lines; what concerns the whole file comes first.
    pub(crate) fn sorted(mut self) -> Vec<FileFault> {
        self.found.sort_by_key(|fault| fault.line);
        self.found
    }
}

/// The number of the line in which a byte of `text` stands, counted from 1.
pub(crate) fn line_at(text: &[u8], byte: usize) -> u64 {
    let before = text.get(..byte).unwrap_or(text);
    before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1
}
