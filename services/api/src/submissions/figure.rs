//! Figures as they stand in requests and answers.

use std::collections::BTreeMap;

use serde::Serialize;
use tonghop_domain::{Cell, CellKey, Figure, Reported};
use utoipa::ToSchema;

/// What a unit says of one indicator: exactly one of `value`, `items`, `text` and `state`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Figure, example = json!({
    "indicator": "NN.TN", "value": 1, "breakdowns": [{"sex": "nu", "age": "16_17", "value": 1}]
}))]
pub(crate) struct FigureBody {
    /// The indicator's code.
    indicator: String,
    /// A whole number, or true or false for a flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<ValueBody>,
    /// A state that is no number. It is not the same as 0, and not the same as saying nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StateBody>,
    /// Short texts, at most 100 of 500 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 100)]
    items: Option<Vec<String>>,
    /// A text of at most 10,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Parts of the value, at most 200. The cells of one set of dimensions add up to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, max_items = 200)]
    breakdowns: Vec<CellBody>,
}

/// A number or a flag.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Value)]
pub(crate) enum ValueBody {
    /// A number within ±10^12.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

/// A state that is no number.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = State)]
pub(crate) enum StateBody {
    /// Done, but nobody counted.
    DoneNoNumber,
    /// Not done.
    NotDone,
    /// Does not apply to the unit.
    NotApplicable,
}

/// A part of a figure: a category of each of some dimensions, and the value for them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cell, example = json!({"sex": "nu", "age": "16_17", "value": 1}))]
pub(crate) struct CellBody {
    /// The value.
    value: i64,
    /// The dimensions' codes, each with the code of a category.
    #[serde(flatten)]
    categories: BTreeMap<String, String>,
}

impl CellBody {
    /// A cell.
    pub(crate) fn new(key: &CellKey, value: i64) -> Self {
        let pair =
            |(dimension, category): &(_, _)| (ToString::to_string(dimension), ToString::to_string(category));
        Self {
            value,
            categories: key.iter().map(pair).collect(),
        }
    }

    /// The value.
    pub(crate) fn value(&self) -> i64 {
        self.value
    }

    /// Dimension and category codes, in order.
    pub(crate) fn categories(&self) -> impl Iterator<Item = (&str, &str)> {
        self.categories
            .iter()
            .map(|(dimension, category)| (dimension.as_str(), category.as_str()))
    }
}

impl From<&Cell> for CellBody {
    fn from(cell: &Cell) -> Self {
        Self::new(&cell.key, cell.value)
    }
}

impl From<&Figure> for FigureBody {
    fn from(figure: &Figure) -> Self {
        let mut body = Self {
            indicator: figure.indicator.to_string(),
            value: None,
            state: None,
            items: None,
            text: None,
            breakdowns: figure.cells.iter().map(CellBody::from).collect(),
        };
        match &figure.reported {
            Reported::Value(value) => body.value = Some(ValueBody::Number(*value)),
            Reported::Flag(flag) => body.value = Some(ValueBody::Flag(*flag)),
            Reported::Items(items) => body.items = Some(items.clone()),
            Reported::Text(text) => body.text = Some(text.clone()),
            Reported::DoneNoNumber => body.state = Some(StateBody::DoneNoNumber),
            Reported::NotDone => body.state = Some(StateBody::NotDone),
            Reported::NotApplicable => body.state = Some(StateBody::NotApplicable),
        }
        body
    }
}
