//! Figures in requests and responses.

use std::collections::BTreeMap;

use serde::Serialize;
use tonghop_domain::{Cell, CellKey, Figure, Reported};
use utoipa::ToSchema;

/// What a unit reports on one indicator: exactly one of `value`, `items`, `text` and `state`. An empty list of `items` beside
/// another of them is ignored. Unknown fields of a request are errors.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Figure, example = json!({
    "indicator": "NN.TN", "value": 1, "breakdowns": [{"by": {"sex": "nu", "age": "16_17"}, "value": 1}]
}))]
pub(crate) struct FigureBody {
    /// The indicator's code.
    indicator: String,
    /// A whole number, or true or false for a flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<ValueBody>,
    /// A state instead of a number. It differs from 0, and from not reporting the indicator.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StateBody>,
    /// Short texts: at most 100, of at most 500 characters each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 100)]
    items: Option<Vec<String>>,
    /// A text of at most 10,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The cells of breakdowns, at most 200. The cells of one set of dimensions add up to the value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, max_items = 200)]
    breakdowns: Vec<CellBody>,
}

/// A whole number, or true or false.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Value)]
pub(crate) enum ValueBody {
    /// A number within ±10^12.
    Number(i64),
    /// Whether something is the case.
    Flag(bool),
}

/// A state instead of a number. `done_no_number`: the activity was carried out, but not counted; `not_done`: it was not carried
/// out; `not_applicable`: the indicator does not apply to the unit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = State)]
pub(crate) enum StateBody {
    /// The activity was carried out, but not counted.
    DoneNoNumber,
    /// The activity was not carried out.
    NotDone,
    /// The indicator does not apply to the unit.
    NotApplicable,
}

/// A cell of a breakdown: a category of one or more dimensions, and their value. Unknown fields of a request are errors.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cell, example = json!({"by": {"sex": "nu", "age": "16_17"}, "value": 1}))]
pub(crate) struct CellBody {
    /// The codes of dimensions, each with the code of a category.
    by: BTreeMap<String, String>,
    /// The value.
    value: i64,
}

impl CellBody {
    /// A cell.
    pub(crate) fn new(key: &CellKey, value: i64) -> Self {
        let pair =
            |(dimension, category): &(_, _)| (ToString::to_string(dimension), ToString::to_string(category));
        Self {
            by: key.iter().map(pair).collect(),
            value,
        }
    }

    /// The value.
    pub(crate) fn value(&self) -> i64 {
        self.value
    }

    /// Dimension and category codes, in order.
    pub(crate) fn categories(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by
            .iter()
            .map(|(dimension, category)| (dimension.as_str(), category.as_str()))
    }
}

impl From<&Cell> for CellBody {
    fn from(cell: &Cell) -> Self {
        Self::new(&cell.key, cell.value)
    }
}

impl StateBody {
    /// The state that was reported, if it was one.
    pub(crate) fn of(reported: &Reported) -> Option<Self> {
        match reported {
            Reported::DoneNoNumber => Some(Self::DoneNoNumber),
            Reported::NotDone => Some(Self::NotDone),
            Reported::NotApplicable => Some(Self::NotApplicable),
            Reported::Value(_) | Reported::Flag(_) | Reported::Items(_) | Reported::Text(_) => None,
        }
    }
}

impl From<&Figure> for FigureBody {
    fn from(figure: &Figure) -> Self {
        let mut body = Self {
            indicator: figure.indicator.to_string(),
            value: None,
            state: StateBody::of(&figure.reported),
            items: None,
            text: None,
            breakdowns: figure.cells.iter().map(CellBody::from).collect(),
        };
        match &figure.reported {
            Reported::Value(value) => body.value = Some(ValueBody::Number(*value)),
            Reported::Flag(flag) => body.value = Some(ValueBody::Flag(*flag)),
            Reported::Items(items) => body.items = Some(items.clone()),
            Reported::Text(text) => body.text = Some(text.clone()),
            Reported::DoneNoNumber | Reported::NotDone | Reported::NotApplicable => {}
        }
        body
    }
}
