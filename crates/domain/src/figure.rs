//! Figures: what a unit says of one indicator.

use compact_str::ToCompactString;
use sha2::{Digest, Sha256};

use crate::{CategoryCode, DimensionCode, IndicatorCode};

/// The largest magnitude of a value.
pub const MAX_VALUE: i64 = 1_000_000_000_000;

/// What a unit says of an indicator. That it says nothing at all, `not_reported`, is the absence of a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reported {
    /// A number; 0 is a number.
    Value(i64),
    /// Yes or no.
    Flag(bool),
    /// Short texts, in order.
    Items(Vec<String>),
    /// A text.
    Text(String),
    /// Done, but nobody counted.
    DoneNoNumber,
    /// Not done.
    NotDone,
    /// Does not apply to the unit.
    NotApplicable,
}

impl Reported {
    /// The word for a state that is no number; none for a number, flag, list or text.
    pub fn state(&self) -> Option<&'static str> {
        match self {
            Self::DoneNoNumber => Some("done_no_number"),
            Self::NotDone => Some("not_done"),
            Self::NotApplicable => Some("not_applicable"),
            Self::Value(_) | Self::Flag(_) | Self::Items(_) | Self::Text(_) => None,
        }
    }

    /// The state with a word.
    pub fn from_state(word: &str) -> Option<Self> {
        match word {
            "done_no_number" => Some(Self::DoneNoNumber),
            "not_done" => Some(Self::NotDone),
            "not_applicable" => Some(Self::NotApplicable),
            _ => None,
        }
    }
}

/// The categories of a cell: one for each of its dimensions, in order of the dimensions' codes.
pub type CellKey = Vec<(DimensionCode, CategoryCode)>;

/// A part of a figure: its value for one category of each of some dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Which part.
    pub key: CellKey,
    /// Its value.
    pub value: i64,
}

/// What a unit reports of one indicator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// The indicator.
    pub indicator: IndicatorCode,
    /// What is said of it.
    pub reported: Reported,
    /// The breakdowns; the cells of one set of dimensions add up to the value.
    pub cells: Vec<Cell>,
}

/// What a revision says: its figures, in the order in which they were sent, and its note.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// At most one figure an indicator.
    pub figures: Vec<Figure>,
    /// Why this correction, if it is one.
    pub note: Option<String>,
}

impl Content {
    /// SHA-256 in hexadecimal of what is said, whatever the order of figures and cells.
    pub fn digest(&self) -> String {
        let mut figures: Vec<&Figure> = self.figures.iter().collect();
        figures.sort_by(|a, b| a.indicator.cmp(&b.indicator));
        let mut hash = Sha256::new();
        for figure in figures {
            text(&mut hash, "figure", figure.indicator.as_str());
            match &figure.reported {
                Reported::Value(value) => text(&mut hash, "value", &value.to_compact_string()),
                Reported::Flag(flag) => text(&mut hash, "flag", &flag.to_compact_string()),
                Reported::Items(items) => items.iter().for_each(|item| text(&mut hash, "item", item)),
                Reported::Text(words) => text(&mut hash, "text", words),
                other => text(&mut hash, "state", other.state().unwrap_or_default()),
            }
            let mut cells: Vec<&Cell> = figure.cells.iter().collect();
            cells.sort_by(|a, b| a.key.cmp(&b.key));
            for cell in cells {
                text(&mut hash, "cell", &cell.value.to_compact_string());
                for (dimension, category) in &cell.key {
                    text(&mut hash, dimension.as_str(), category.as_str());
                }
            }
        }
        if let Some(note) = &self.note {
            text(&mut hash, "note", note);
        }
        base16ct::lower::encode_string(&hash.finalize())
    }
}

/// Adds a labelled text with its length, so that no two contents run into the same bytes.
fn text(hash: &mut Sha256, label: &str, text: &str) {
    hash.update(label.as_bytes());
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(indicator: &str, reported: Reported) -> Figure {
        Figure {
            indicator: indicator.parse().unwrap(),
            reported,
            cells: Vec::new(),
        }
    }

    fn cell(sex: &str, value: i64) -> Cell {
        let part = |dimension: &str, category: &str| (dimension.parse().unwrap(), category.parse().unwrap());
        Cell {
            key: vec![part("age", "16_17"), part("sex", sex)],
            value,
        }
    }

    /// Stored digests are compared with those of later programs. The value was made by another program.
    #[test]
    fn a_digest_stays_what_it_was_whatever_the_order() {
        let broadcasts = Figure {
            cells: vec![cell("nu", 64), cell("nam", -1)],
            ..figure("TT.PT", Reported::Value(63))
        };
        let mut content = Content {
            figures: vec![
                figure("TT.VB", Reported::Text("Kịp thời".to_owned())),
                broadcasts,
                figure("TT.TQ", Reported::Flag(true)),
                figure(
                    "TT.KH",
                    Reported::Items(vec!["Khẩu hiệu".to_owned(), String::new()]),
                ),
                figure("TT.NC", Reported::DoneNoNumber),
            ],
            note: Some("Sửa số".to_owned()),
        };
        let digest = "a9dd9bed1e560b8e5db1d5f71421a2e1b06a5d3fdf253025755dbae2785f88fe";
        assert_eq!(content.digest(), digest);
        content.figures.reverse();
        content.figures[3].cells.reverse();
        assert_eq!(content.digest(), digest);
    }
}
