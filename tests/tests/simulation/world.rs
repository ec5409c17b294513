//! The small country of the simulation, and the reports of its units.

use tonghop_domain::{
    Calendar, Catalogue, Content, Expectation, Figure, Form, Frequency, Indicator, Kind, Level, Names,
    Period, Reported, Scope, Unit, UnitId,
};

/// The units and their parents: two provinces, one of which reports itself; districts with and without communes.
const UNITS: [(&str, &str, Level); 9] = [
    ("VN", "", Level::Country),
    ("P1", "VN", Level::Province),
    ("P2", "VN", Level::Province),
    ("D1", "P1", Level::District),
    ("D2", "P1", Level::District),
    ("D3", "P2", Level::District),
    ("C1", "D1", Level::Commune),
    ("C2", "D1", Level::Commune),
    ("C3", "D3", Level::Commune),
];

/// The units that report the form: leaves, a province, and a district above a commune.
pub(crate) const REPORTING: [&str; 6] = ["P1", "D2", "D3", "C1", "C2", "C3"];

fn names(name: &str) -> Names {
    Names {
        vi: name.into(),
        en: name.into(),
    }
}

pub(crate) fn catalogue() -> Catalogue {
    let unit = |(at, (code, parent, level)): (usize, &(&str, &str, Level))| Unit {
        id: UnitId(at as i64 + 1),
        code: code.parse().expect("a code"),
        names: names(code),
        level: *level,
        parent: parent.parse().ok(),
        valid_from: None,
        valid_to: None,
    };
    let indicator = Indicator {
        code: "A".parse().expect("a code"),
        names: names("A"),
        measure: names("a"),
        kind: Kind::Flow,
        value_type: "count".into(),
        across_time: "sum".into(),
        breakdowns: Vec::new(),
        min: None,
        max: None,
        confidential: false,
    };
    let form = Form {
        code: "f".parse().expect("a code"),
        version: 1,
        names: names("f"),
        valid_from: None,
        valid_to: None,
        frequency: Frequency::Yearly,
        numbers: Vec::new(),
        calendar: Calendar::Civil,
        opens_days: 0,
        due_days: 5,
        offset: chrono::FixedOffset::east_opt(0).expect("an offset"),
        reporting_levels: Vec::new(),
        reporting_units: REPORTING
            .iter()
            .map(|code| code.parse().expect("a code"))
            .collect(),
        indicators: [indicator.clone().into()].into_iter().collect(),
        expectations: vec![Expectation {
            indicators: vec![indicator.code.clone()],
            levels: vec![Level::Commune],
            units: Vec::new(),
        }],
        checks: Vec::new(),
    };
    let units = UNITS.iter().enumerate().map(unit).collect();
    Catalogue::new("simulated".into(), units, Vec::new(), vec![indicator], vec![form]).expect("a catalogue")
}

pub(crate) fn scope(catalogue: &Catalogue) -> Scope {
    let period: Period = "2021".parse().expect("a period");
    catalogue.scope("f", period).expect("a scope")
}

/// A report of one number.
pub(crate) fn content(value: i64) -> Content {
    let figure = Figure {
        indicator: "A".parse().expect("a code"),
        reported: Reported::Value(value),
        cells: Vec::new(),
    };
    Content {
        figures: vec![figure],
        note: None,
    }
}
