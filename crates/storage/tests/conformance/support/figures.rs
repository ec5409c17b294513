//! Figures of the small catalogue's form.

use tonghop_domain::{Cell, Figure, Reported};

pub(crate) fn figure(indicator: &str, reported: Reported) -> Figure {
    Figure {
        indicator: indicator.parse().unwrap(),
        reported,
        cells: Vec::new(),
    }
}

/// The first indicator of the form.
pub(crate) fn flow(value: i64) -> Figure {
    figure("FLOW", Reported::Value(value))
}

/// The same with breakdowns.
pub(crate) fn flow_of<const D: usize>(value: i64, cells: &[([(&str, &str); D], i64)]) -> Figure {
    let cell = |(key, value): &([(&str, &str); D], i64)| Cell {
        key: key
            .iter()
            .map(|(dimension, category)| (dimension.parse().unwrap(), category.parse().unwrap()))
            .collect(),
        value: *value,
    };
    Figure {
        cells: cells.iter().map(cell).collect(),
        ..flow(value)
    }
}

pub(crate) fn list(items: &[&str]) -> Figure {
    let items = items.iter().map(|item| (*item).to_owned()).collect();
    figure("LIST", Reported::Items(items))
}

pub(crate) fn text(words: &str) -> Figure {
    figure("TEXT", Reported::Text(words.into()))
}

/// A figure of each kind and of each state.
pub(crate) fn everything() -> Vec<Figure> {
    vec![
        flow_of(
            -7,
            &[
                ([("age", "gia"), ("sex", "nu")], -10),
                ([("age", "tre"), ("sex", "nam")], 3),
            ],
        ),
        figure("STOCK", Reported::Value(1_000_000_000_000)),
        figure("FLAG", Reported::Flag(false)),
        list(&["Phòng, chống “mua bán người”", "a\nb", "\u{1F6A8}"]),
        text("Đã làm; \"tốt\" \\ '%' -- ☺"),
        figure("DONE", Reported::DoneNoNumber),
        figure("NOT", Reported::NotDone),
        figure("NA", Reported::NotApplicable),
    ]
}
