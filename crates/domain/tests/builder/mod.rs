//! A small catalogue: one form with one indicator of each kind.

use tonghop_domain::{Catalogue, CatalogueError, Dimension, Form, Formula, Indicator, Kind, Unit};
use tonghop_testkit::catalogue::{dimensions, form, indicator, numbered};

pub(crate) use tonghop_testkit::catalogue::unit;

/// The parts of a catalogue, which a test can change before they are checked.
pub(crate) struct Parts {
    pub(crate) units: Vec<Unit>,
    pub(crate) dimensions: Vec<Dimension>,
    pub(crate) indicators: Vec<Indicator>,
    pub(crate) forms: Vec<Form>,
}

impl Parts {
    /// The form `mau`, reported by districts for July, with these units. Unit ids count from 1.
    pub(crate) fn with(units: Vec<Unit>) -> Self {
        let indicators = indicators();
        Self {
            units: numbered(units),
            dimensions: dimensions(),
            forms: vec![form("mau", &indicators)],
            indicators,
        }
    }

    pub(crate) fn checked(self) -> Result<Catalogue, Vec<CatalogueError>> {
        Catalogue::new(
            "digest".into(),
            self.units,
            self.dimensions,
            self.indicators,
            self.forms,
        )
    }
}

fn indicators() -> Vec<Indicator> {
    let ratio = Kind::Ratio(Formula {
        factor: 100,
        numerator: "FLOW".parse().unwrap(),
        denominator: "STOCK".parse().unwrap(),
    });
    let stock = Indicator {
        min: Some(-5),
        max: Some(1_000),
        ..indicator("STOCK", Kind::Stock)
    };
    vec![
        indicator("FLOW", Kind::Flow),
        stock,
        indicator("FLAG", Kind::Flag),
        indicator("RATIO", ratio),
        indicator("LIST", Kind::List),
        indicator("TEXT", Kind::Text),
    ]
}
