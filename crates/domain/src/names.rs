//! Names of units, indicators, categories and forms, in both languages.

/// A name in Vietnamese and in English.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The Vietnamese name.
    pub vi: String,
    /// The English name.
    pub en: String,
}
