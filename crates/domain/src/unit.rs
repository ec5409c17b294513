//! Units: the offices that report.

use std::str::FromStr;

use chrono::NaiveDate;

use crate::code::{UnitCode, UnitId};
use crate::names::Names;

/// The place of an office in the administration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The root of the tree.
    Country,
    /// A province or a city under the central government.
    Province,
    /// A district, or a town or city of a province. Abolished on 1 July 2025.
    District,
    /// A commune, ward or township.
    Commune,
    /// A department or centre that reports beside the territorial units.
    Agency,
}

impl Level {
    /// Every level, from the root down.
    pub const ALL: [Self; 5] = [
        Self::Country,
        Self::Province,
        Self::District,
        Self::Commune,
        Self::Agency,
    ];

    /// The word for the level in files and responses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::Province => "province",
            Self::District => "district",
            Self::Commune => "commune",
            Self::Agency => "agency",
        }
    }
}

/// The error for a text that is not a level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a level is country, province, district, commune or agency")]
pub struct InvalidLevel;

impl FromStr for Level {
    type Err = InvalidLevel;

    fn from_str(text: &str) -> Result<Self, InvalidLevel> {
        let named = Self::ALL.into_iter().find(|level| level.as_str() == text);
        named.ok_or(InvalidLevel)
    }
}

/// An office in the reporting tree, for as long as it keeps its code, name and parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The stable identity, assigned by the database.
    pub id: UnitId,
    /// The code, unique on any one day.
    pub code: UnitCode,
    /// The names.
    pub names: Names,
    /// The level.
    pub level: Level,
    /// The unit above; none for the root.
    pub parent: Option<UnitCode>,
    /// The first day of validity; none if the unit has always existed.
    pub valid_from: Option<NaiveDate>,
    /// The first day after the unit's validity; none if the unit still exists.
    pub valid_to: Option<NaiveDate>,
}

impl Unit {
    /// Whether the unit exists on `day`.
    pub fn is_valid_on(&self, day: NaiveDate) -> bool {
        self.valid_from.is_none_or(|from| from <= day) && self.valid_to.is_none_or(|to| day < to)
    }
}
