//! A small catalogue: one form with one indicator of each kind.

use std::sync::Arc;

use chrono::FixedOffset;
use tonghop_domain::{
    Calendar, Catalogue, CatalogueError, Category, Dimension, Form, Formula, Frequency, Indicator, Kind,
    Level, Names, Unit, UnitId,
};

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
        let number = |(at, unit)| Unit {
            id: UnitId(at as i64 + 1),
            ..unit
        };
        let indicators = indicators();
        Self {
            units: units.into_iter().enumerate().map(number).collect(),
            dimensions: vec![
                dimension("sex", &["nam", "nu"]),
                dimension("age", &["tre", "gia"]),
            ],
            forms: vec![form(&indicators)],
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

/// A unit that has always existed.
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

fn names(name: &str) -> Names {
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
    let ratio = Kind::Ratio(Formula {
        factor: 100,
        numerator: "FLOW".parse().unwrap(),
        denominator: "STOCK".parse().unwrap(),
    });
    let kinds = [
        ("FLOW", Kind::Flow),
        ("STOCK", Kind::Stock),
        ("FLAG", Kind::Flag),
        ("RATIO", ratio),
        ("LIST", Kind::List),
        ("TEXT", Kind::Text),
    ];
    kinds
        .into_iter()
        .map(|(code, kind)| Indicator {
            code: code.parse().unwrap(),
            names: names(code),
            measure: names(code),
            breakdowns: match kind {
                Kind::Flow => vec!["sex".parse().unwrap(), "age".parse().unwrap()],
                _ => Vec::new(),
            },
            min: (kind == Kind::Stock).then_some(-5),
            max: (kind == Kind::Stock).then_some(1_000),
            kind,
            confidential: false,
            value_type: "count".into(),
            across_time: "sum".into(),
        })
        .collect()
}

fn form(indicators: &[Indicator]) -> Form {
    Form {
        code: "mau".parse().unwrap(),
        version: 1,
        names: names("mau"),
        valid_from: None,
        valid_to: None,
        frequency: Frequency::Monthly,
        numbers: vec![7],
        calendar: Calendar::Civil,
        due_days: 5,
        offset: FixedOffset::east_opt(7 * 3600).unwrap(),
        reporting_levels: vec![Level::District],
        reporting_units: Vec::new(),
        indicators: indicators.iter().cloned().map(Arc::new).collect(),
    }
}
