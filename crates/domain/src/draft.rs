//! A submission as it was sent, before it is checked.

use crate::figure::Reported;

/// A submission as it was sent. `None` means that a part is absent or that an error in it was already found.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The form's code.
    pub form: Option<String>,
    /// The period.
    pub period: Option<String>,
    /// The unit's code.
    pub unit: Option<String>,
    /// The figures.
    pub figures: Vec<DraftFigure>,
    /// The note.
    pub note: Option<String>,
}

/// A figure as it was sent.
#[derive(Clone, Debug, Default)]
pub struct DraftFigure {
    /// The indicator's code.
    pub indicator: Option<String>,
    /// The content.
    pub reported: Option<Reported>,
    /// The cells.
    pub cells: Vec<DraftCell>,
}

/// A cell as it was sent.
#[derive(Clone, Debug, Default)]
pub struct DraftCell {
    /// Dimension and category codes.
    pub key: Option<Vec<(String, String)>>,
    /// The value.
    pub value: Option<i64>,
}
