//! A small catalogue, and the changes that tests make to it.
//!
//! ```text
//! VN ─┬─ 01 ─┬─ 01-A ── 01-A-1, 01-A-2, 01-A-3
//!     │      ├─ 01-B ── 01-B-1
//!     │      └─ 01-X
//!     ├─ 02 ─── 02-A ── 02-A-1
//!     └─ VN-X
//! ```
//! Communes and agencies (`-X`) report, and so does the district 02-A.

use std::sync::Arc;

use chrono::FixedOffset;
use tonghop_domain::{
    Calendar, Catalogue, Category, Dimension, Form, Frequency, Indicator, Kind, Level, Names, Unit, UnitId,
};

/// The number of units that report.
pub(crate) const EXPECTED: u32 = 8;

/// The parts of a catalogue, to be changed before it is checked.
pub(crate) struct Parts {
    pub(crate) units: Vec<Unit>,
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
            forms: vec![form("mau"), form("khac")],
        }
    }
}

impl Parts {
    pub(crate) fn catalogue(self, digest: &str) -> Catalogue {
        let number = |(at, unit)| Unit {
            id: UnitId(at as i64 + 1),
            ..unit
        };
        let units = self.units.into_iter().enumerate().map(number).collect();
        let dimensions = vec![
            dimension("sex", &["nam", "nu"]),
            dimension("age", &["tre", "gia"]),
        ];
        Catalogue::new(digest.into(), units, dimensions, indicators(), self.forms).unwrap()
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

/// A unit without a first or last day.
pub(crate) fn unit(code: &str, level: Level, parent: Option<&str>) -> Unit {
    Unit {
        id: UnitId(0),
        code: code.parse().unwrap(),
        names: names(code),
        level,
        parent: parent.map(|parent| parent.parse().unwrap()),
        valid_from: None,
        valid_to: None,
    }
}

pub(crate) fn names(name: &str) -> Names {
    Names {
        vi: name.into(),
        en: name.into(),
    }
}

fn dimension(code: &str, categories: &[&str]) -> Dimension {
    let category = |code: &&str| Category {
        code: code.parse().unwrap(),
        names: names(code),
    };
    Dimension {
        code: code.parse().unwrap(),
        names: names(code),
        categories: categories.iter().map(category).collect(),
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
    let indicator = |(code, kind): (&str, Kind)| Indicator {
        code: code.parse().unwrap(),
        names: names(code),
        measure: names(code),
        breakdowns: match kind {
            Kind::Flow => vec!["sex".parse().unwrap(), "age".parse().unwrap()],
            _ => Vec::new(),
        },
        min: None,
        max: None,
        confidential: false,
        kind,
        value_type: "count".into(),
        across_time: "sum".into(),
    };
    kinds.into_iter().map(indicator).collect()
}

/// A form of July with every indicator.
fn form(code: &str) -> Form {
    Form {
        code: code.parse().unwrap(),
        version: 1,
        names: names(code),
        valid_from: None,
        valid_to: None,
        frequency: Frequency::Monthly,
        numbers: vec![7],
        calendar: Calendar::Civil,
        due_days: 5,
        offset: FixedOffset::east_opt(7 * 3600).unwrap(),
        reporting_levels: vec![Level::Commune, Level::Agency],
        reporting_units: vec!["02-A".parse().unwrap()],
        indicators: indicators().into_iter().map(Arc::new).collect(),
    }
}
