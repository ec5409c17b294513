//! Indicators and dimensions: what is counted, and how it can be broken down.

use crate::code::{CategoryCode, DimensionCode, IndicatorCode};
use crate::names::Names;

/// The kind of an indicator. It decides how figures merge across units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Events during the period: summed across units and across time.
    Flow,
    /// A state at the end of the period: summed across units; across time the last one counts.
    Stock,
    /// Yes or no: a total counts the units that answered yes.
    Flag,
    /// Short texts: a total contains each distinct text once, in order.
    List,
    /// One text per unit: a total only counts the units that wrote one.
    Text,
    /// Computed on read from other indicators' totals; never reported.
    Ratio(Formula),
}

impl Kind {
    /// The word for the kind in files and responses.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Stock => "stock",
            Self::Flag => "flag",
            Self::List => "list",
            Self::Text => "text",
            Self::Ratio(_) => "ratio",
        }
    }
}

/// The formula of a ratio: `factor * numerator / denominator`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formula {
    /// The factor of the quotient: 100 for a percentage.
    pub factor: i64,
    /// The indicator above the fraction bar.
    pub numerator: IndicatorCode,
    /// The indicator below the fraction bar.
    pub denominator: IndicatorCode,
}

impl std::fmt::Display for Formula {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}*{}/{}", self.factor, self.numerator, self.denominator)
    }
}

/// An indicator: something that units count or describe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indicator {
    /// The code.
    pub code: IndicatorCode,
    /// The names.
    pub names: Names,
    /// The unit of measure; empty for texts.
    pub measure: Names,
    /// The kind.
    pub kind: Kind,
    /// The type of the values, as the catalogue names it: `count`, `money`, `minutes` …
    pub value_type: String,
    /// The rule for merging periods, as the catalogue names it: `sum`, `last`, `max`, `any` …
    pub across_time: String,
    /// The dimensions by which figures can be broken down, separately or combined.
    pub breakdowns: Vec<DimensionCode>,
    /// The smallest value allowed.
    pub min: Option<i64>,
    /// The largest value allowed.
    pub max: Option<i64>,
    /// Whether figures could identify people who must stay anonymous. Reads of such figures are audited.
    pub confidential: bool,
}

/// A way to break a figure down, such as sex or age, with its categories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// The code.
    pub code: DimensionCode,
    /// The names.
    pub names: Names,
    /// The categories, in the order of the catalogue.
    pub categories: Vec<Category>,
}

/// One category of a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// The code.
    pub code: CategoryCode,
    /// The names.
    pub names: Names,
}
