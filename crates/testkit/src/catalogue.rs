//! The entries of small catalogues: a test names what matters to it and changes the rest.

use std::sync::Arc;

use chrono::FixedOffset;
use tonghop_domain::{
    Calendar, Category, Dimension, Form, Frequency, Indicator, Kind, Level, Names, Unit, UnitId,
};

/// The same name in both languages.
pub fn names(name: &str) -> Names {
    Names {
        vi: name.into(),
        en: name.into(),
    }
}

/// A unit that has always existed. [`numbered`] gives it an id.
///
/// # Panics
/// When a code is invalid; so do the other functions.
pub fn unit(code: &str, level: Level, parent: Option<&str>) -> Unit {
    Unit {
        id: UnitId(0),
        code: code.parse().expect("a unit code"),
        names: names(code),
        level,
        parent: parent.map(|parent| parent.parse().expect("a unit code")),
        valid_from: None,
        valid_to: None,
    }
}

/// The units with ids that count from 1.
pub fn numbered(units: Vec<Unit>) -> Vec<Unit> {
    let number = |(at, unit)| Unit {
        id: UnitId(at as i64 + 1),
        ..unit
    };
    units.into_iter().enumerate().map(number).collect()
}

/// The dimensions by which [`indicator`] breaks flows down: `sex` (nam, nu) and `age` (tre, gia).
pub fn dimensions() -> Vec<Dimension> {
    vec![
        dimension("sex", &["nam", "nu"]),
        dimension("age", &["tre", "gia"]),
    ]
}

fn dimension(code: &str, categories: &[&str]) -> Dimension {
    let category = |code: &&str| Category {
        code: code.parse().expect("a category code"),
        names: names(code),
    };
    Dimension {
        code: code.parse().expect("a dimension code"),
        names: names(code),
        categories: categories.iter().map(category).collect(),
    }
}

/// An indicator of this kind without bounds; a flow is broken down by both [`dimensions`].
pub fn indicator(code: &str, kind: Kind) -> Indicator {
    let breakdowns = match kind {
        Kind::Flow => dimensions().into_iter().map(|dimension| dimension.code).collect(),
        _ => Vec::new(),
    };
    Indicator {
        code: code.parse().expect("an indicator code"),
        names: names(code),
        measure: names(code),
        breakdowns,
        min: None,
        max: None,
        kind,
        confidential: false,
        value_type: "count".into(),
        across_time: "sum".into(),
    }
}

/// A form that districts report for July, due five days later.
pub fn form(code: &str, indicators: &[Indicator]) -> Form {
    Form {
        code: code.parse().expect("a form code"),
        version: 1,
        names: names(code),
        valid_from: None,
        valid_to: None,
        frequency: Frequency::Monthly,
        numbers: vec![7],
        calendar: Calendar::Civil,
        opens_days: 0,
        due_days: 5,
        offset: FixedOffset::east_opt(7 * 3600).expect("an offset"),
        reporting_levels: vec![Level::District],
        reporting_units: Vec::new(),
        indicators: indicators.iter().cloned().map(Arc::new).collect(),
        expectations: Vec::new(),
        checks: Vec::new(),
    }
}
