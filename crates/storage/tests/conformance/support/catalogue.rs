//! A small catalogue and the changes that tests make to it.
//!
//! ```text
//! VN ─┬─ 01 ─┬─ 01-A ── 01-A-1, 01-A-2, 01-A-3
//!     │      ├─ 01-B ── 01-B-1
//!     │      └─ 01-X
//!     ├─ 02 ─── 02-A ── 02-A-1
//!     └─ VN-X
//! ```
//! Communes, agencies (`-X`) and the district 02-A report.

use std::sync::Arc;

use tonghop_domain::{Catalogue, Dimension, Form, Indicator, Kind, Level, Unit};
use tonghop_testkit::catalogue::{dimensions, indicator, numbered};

pub(crate) use tonghop_testkit::catalogue::{names, unit};

/// The number of units that report.
pub(crate) const EXPECTED: u32 = 8;

/// The parts of a catalogue, which a test can change before they are checked.
pub(crate) struct Parts {
    pub(crate) units: Vec<Unit>,
    pub(crate) dimensions: Vec<Dimension>,
    pub(crate) indicators: Vec<Indicator>,
    pub(crate) forms: Vec<Form>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            units: vec![
                unit("VN", Level::Country, None),
                unit("01", Level::Province, Some("VN")),
                unit("02", Level::Province, Some("VN")),
                unit("VN-X", Level::Agency, Some("VN")),
                unit("01-A", Level::District, Some("01")),
                unit("01-B", Level::District, Some("01")),
                unit("01-X", Level::Agency, Some("01")),
                unit("02-A", Level::District, Some("02")),
                unit("01-A-1", Level::Commune, Some("01-A")),
                unit("01-A-2", Level::Commune, Some("01-A")),
                unit("01-A-3", Level::Commune, Some("01-A")),
                unit("01-B-1", Level::Commune, Some("01-B")),
                unit("02-A-1", Level::Commune, Some("02-A")),
            ],
            dimensions: dimensions(),
            indicators: indicators(),
            forms: vec![form("mau"), form("khac")],
        }
    }
}

impl Parts {
    pub(crate) fn catalogue(mut self, digest: &str) -> Catalogue {
        let all = &self.indicators;
        let changed = |one: &Arc<Indicator>| {
            let changed = all.iter().find(|other| other.code == one.code);
            changed.map_or_else(|| one.clone(), |changed| Arc::new(changed.clone()))
        };
        for form in &mut self.forms {
            form.indicators = form.indicators.iter().map(changed).collect();
        }
        let units = numbered(self.units);
        Catalogue::new(digest.into(), units, self.dimensions, self.indicators, self.forms).unwrap()
    }

    /// An indicator, which forms also contain: they get the changed one when the catalogue is made.
    pub(crate) fn indicator(&mut self, code: &str) -> &mut Indicator {
        self.indicators
            .iter_mut()
            .find(|indicator| indicator.code.as_str() == code)
            .unwrap()
    }

    pub(crate) fn dimension(&mut self, code: &str) -> &mut Dimension {
        self.dimensions
            .iter_mut()
            .find(|dimension| dimension.code.as_str() == code)
            .unwrap()
    }

    pub(crate) fn unit(&mut self, code: &str) -> &mut Unit {
        self.units
            .iter_mut()
            .find(|unit| unit.code.as_str() == code)
            .unwrap()
    }

    pub(crate) fn moved(mut self, code: &str, parent: &str) -> Self {
        self.unit(code).parent = Some(parent.parse().unwrap());
        self
    }

    pub(crate) fn with(mut self, unit: Unit) -> Self {
        self.units.push(unit);
        self
    }

    pub(crate) fn without(mut self, code: &str) -> Self {
        self.units.retain(|unit| unit.code.as_str() != code);
        self
    }

    pub(crate) fn without_indicator(mut self, code: &str) -> Self {
        for form in &mut self.forms {
            let without = form.indicators.iter().filter(|one| one.code.as_str() != code);
            form.indicators = without.cloned().collect();
        }
        self
    }
}

fn indicators() -> Vec<Indicator> {
    let kinds = [
        ("FLOW", Kind::Flow),
        ("STOCK", Kind::Stock),
        ("FLAG", Kind::Flag),
        ("LIST", Kind::List),
        ("TEXT", Kind::Text),
        ("DONE", Kind::Flow),
        ("NOT", Kind::Flow),
        ("NA", Kind::Flow),
    ];
    let indicators = kinds.into_iter().map(|(code, kind)| indicator(code, kind));
    indicators.collect()
}

/// A form for July with every indicator.
fn form(code: &str) -> Form {
    Form {
        reporting_levels: vec![Level::Commune, Level::Agency],
        reporting_units: vec!["02-A".parse().unwrap()],
        ..tonghop_testkit::catalogue::form(code, &indicators())
    }
}
