//! Figures: what a unit reports for an indicator.

use compact_str::ToCompactString;
use sha2::{Digest, Sha256};

use crate::code::{CategoryCode, DimensionCode, IndicatorCode};
use crate::digest::base64url;

/// The largest magnitude of a value.
pub const MAX_VALUE: i64 = 1_000_000_000_000;

/// The content of a figure. A unit that reports nothing for an indicator (`not_reported`) has no figure for it.
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
    /// The activity was carried out, but nobody counted.
    DoneNoNumber,
    /// The activity was not carried out.
    NotDone,
    /// The indicator does not apply to the unit.
    NotApplicable,
}

impl Reported {
    /// The word for a state; none for a number, flag, list or text.
    pub fn state(&self) -> Option<&'static str> {
        match self {
            Self::DoneNoNumber => Some("done_no_number"),
            Self::NotDone => Some("not_done"),
            Self::NotApplicable => Some("not_applicable"),
            Self::Value(_) | Self::Flag(_) | Self::Items(_) | Self::Text(_) => None,
        }
    }

    /// The state with a name.
    pub fn from_state(word: &str) -> Option<Self> {
        match word {
            "done_no_number" => Some(Self::DoneNoNumber),
            "not_done" => Some(Self::NotDone),
            "not_applicable" => Some(Self::NotApplicable),
            _ => None,
        }
    }
}

/// The categories of a cell: one per dimension, in order of the dimensions' codes.
pub type CellKey = Vec<(DimensionCode, CategoryCode)>;

/// One cell of a breakdown: the value for a combination of categories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The categories.
    pub key: CellKey,
    /// The value.
    pub value: i64,
}

/// What a unit reports for one indicator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// The indicator.
    pub indicator: IndicatorCode,
    /// The content.
    pub reported: Reported,
    /// The breakdowns; the cells of each set of dimensions add up to the value.
    pub cells: Vec<Cell>,
}

/// The content of a revision: its figures, in the order of the request, and its note.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The figures, at most one per indicator.
    pub figures: Vec<Figure>,
    /// A remark, such as the reason for a correction.
    pub note: Option<String>,
}

impl Content {
    /// The SHA-256 digest, in base64url. It does not depend on the order of figures and cells.
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
        base64url(hash.finalize())
    }
}

/// Hashes a labelled text with its length, so that different contents never produce the same bytes.
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

    /// Stored digests are compared with those of later versions. Another program computed the expected value.
    #[test]
    fn a_digest_is_stable_and_independent_of_order() {
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
        let digest = "qd2b7R5WC45dsdX3FCGi4bBqXT_fJTAldV264nhfiP4";
        assert_eq!(content.digest(), digest);
        content.figures.reverse();
        content.figures[3].cells.reverse();
        assert_eq!(content.digest(), digest);
    }
}
