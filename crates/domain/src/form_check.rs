//! Checks across the indicators of one report, such as `HT.YT <= HT.NG`.
//!
//! A rule compares two sums, or demands that an indicator is answered; it may apply only when another condition holds:
//!
//! ```text
//! NN.TN = NN.TUVE + NN.GC + NN.TT + NN.TN[return_type=khac]
//! TT.CUOC_NG >= TT.CUOC when TT.CUOC > 0
//! TT.KHAUHIEU answered when TT.BANGRON > 0
//! ```
//!
//! A rule says nothing about a report that has no number for one of its terms.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use crate::code::{CategoryCode, DimensionCode, IndicatorCode};
use crate::field_error::{BodyPath, FieldError, FieldErrorKind};
use crate::figure::{Cell, Figure, Reported};
use crate::names::Names;

/// What happens to a report that fails a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The report is accepted, and the response says what is unusual.
    Warning,
    /// The report is rejected.
    Error,
}

impl Severity {
    /// Both severities.
    pub const ALL: [Self; 2] = [Self::Warning, Self::Error];

    /// The word for the severity in files and responses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A check of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormCheck {
    /// What must hold.
    pub rule: CheckRule,
    /// What happens to a report for which it does not.
    pub severity: Severity,
    /// The explanation for the person who reports.
    pub texts: Names,
}

/// What must hold between the figures of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRule {
    condition: Condition,
    when: Option<Condition>,
    /// As it was written, with single spaces.
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Compares(Vec<Term>, Comparison, Vec<Term>),
    IsAnswered(IndicatorCode),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    AtMost,
    AtLeast,
    Less,
    Greater,
}

/// Longer symbols come first, so that `<=` is not read as `<`.
const COMPARISONS: [(&str, Comparison); 5] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("=", Comparison::Equal),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

/// The word after an indicator that must have a figure other than `not_done` and `not_applicable`.
const ANSWERED: &str = " answered";
/// The word between the condition and the one under which it applies.
const WHEN: &str = " when ";

/// A term of a sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    Number(i64),
    Indicator(IndicatorCode),
    /// The cells of an indicator with this category.
    Cells(IndicatorCode, DimensionCode, CategoryCode),
}

/// The error for a text that is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCheckRule {
    /// There is no comparison and no `answered`.
    #[error("{0:?} is no condition: write A <= B with =, <=, >=, < or >, or A answered")]
    NoCondition(String),
    /// A term is neither a number nor an indicator.
    #[error("{0:?} is neither a number nor an indicator: write 5, NN.TN or NN.TN[sex=nu]")]
    InvalidTerm(String),
}

/// The figures of a report by their indicators, each with its place in the body.
pub(crate) struct FigureIndex<'a>(HashMap<&'a str, (usize, &'a Figure)>);

impl<'a> FigureIndex<'a> {
    pub(crate) fn new(figures: impl Iterator<Item = (usize, &'a Figure)>) -> Self {
        Self(
            figures
                .map(|(at, figure)| (figure.indicator.as_str(), (at, figure)))
                .collect(),
        )
    }

    fn get(&self, code: &IndicatorCode) -> Option<&'a Figure> {
        self.0.get(code.as_str()).map(|(_, figure)| *figure)
    }

    fn place(&self, code: &IndicatorCode) -> Option<usize> {
        self.0.get(code.as_str()).map(|(at, _)| *at)
    }
}

/// The checks of this severity that a report fails, each at the first of its figures in the rule's order, or at the list
/// of figures if the report has none of them.
pub(crate) fn failed_checks<'a>(
    checks: impl Iterator<Item = &'a FormCheck>,
    severity: Severity,
    figures: &FigureIndex<'_>,
) -> Vec<FieldError> {
    let failed =
        checks.filter(|check| check.severity == severity && check.rule.holds(figures) == Some(false));
    let root = BodyPath::ROOT;
    let list = root.field("figures");
    failed
        .map(|check| {
            let kind = FieldErrorKind::CheckFailed {
                rule: check.rule.to_string(),
                texts: check.texts.clone(),
            };
            match check.rule.indicators().find_map(|code| figures.place(code)) {
                Some(at) => FieldError::new(&list.index(at), kind),
                None => FieldError::new(&list, kind),
            }
        })
        .collect()
}

impl CheckRule {
    /// Whether the rule holds in a report; none if it says nothing about it.
    fn holds(&self, figures: &FigureIndex<'_>) -> Option<bool> {
        match &self.when {
            Some(when) if !when.holds(figures)? => None,
            _ => self.condition.holds(figures),
        }
    }

    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        std::iter::once(&self.condition).chain(&self.when)
    }

    /// The terms of all sums, from the left.
    pub(crate) fn terms(&self) -> impl Iterator<Item = &Term> {
        self.conditions().flat_map(Condition::terms)
    }

    /// The indicators that must be answered.
    pub(crate) fn answered(&self) -> impl Iterator<Item = &IndicatorCode> {
        self.conditions().filter_map(Condition::answered)
    }

    /// All indicators that the rule names, from the left.
    pub(crate) fn indicators(&self) -> impl Iterator<Item = &IndicatorCode> {
        self.conditions().flat_map(|condition| {
            let compared = condition.terms().filter_map(Term::indicator);
            condition.answered().into_iter().chain(compared)
        })
    }
}

impl Condition {
    fn terms(&self) -> impl Iterator<Item = &Term> {
        let (left, right) = match self {
            Self::Compares(left, _, right) => (left.as_slice(), right.as_slice()),
            Self::IsAnswered(_) => (&[][..], &[][..]),
        };
        left.iter().chain(right)
    }

    fn answered(&self) -> Option<&IndicatorCode> {
        match self {
            Self::IsAnswered(indicator) => Some(indicator),
            Self::Compares(..) => None,
        }
    }

    fn holds(&self, figures: &FigureIndex<'_>) -> Option<bool> {
        match self {
            Self::Compares(left, comparison, right) => {
                let sum =
                    |terms: &[Term]| -> Option<i128> { terms.iter().map(|term| term.value(figures)).sum() };
                let (left, right) = (sum(left)?, sum(right)?);
                Some(match comparison {
                    Comparison::Equal => left == right,
                    Comparison::AtMost => left <= right,
                    Comparison::AtLeast => left >= right,
                    Comparison::Less => left < right,
                    Comparison::Greater => left > right,
                })
            }
            Self::IsAnswered(indicator) => {
                let figure = figures.get(indicator);
                Some(match figure.map(|figure| &figure.reported) {
                    None | Some(Reported::NotDone | Reported::NotApplicable) => false,
                    Some(Reported::Items(items)) => !items.is_empty(),
                    Some(_) => true,
                })
            }
        }
    }
}

impl Term {
    /// The indicator that the term names.
    pub(crate) fn indicator(&self) -> Option<&IndicatorCode> {
        match self {
            Self::Indicator(indicator) | Self::Cells(indicator, ..) => Some(indicator),
            Self::Number(_) => None,
        }
    }

    /// The value in a report; none if there is no number.
    fn value(&self, figures: &FigureIndex<'_>) -> Option<i128> {
        match self {
            Self::Number(number) => Some(i128::from(*number)),
            Self::Indicator(code) => match figures.get(code)?.reported {
                Reported::Value(value) => Some(i128::from(value)),
                Reported::Flag(flag) => Some(i128::from(flag)),
                _ => None,
            },
            Self::Cells(code, dimension, category) => {
                let figure = figures.get(code)?;
                match figure.reported {
                    // Of none, no part has any.
                    Reported::Value(0) if figure.cells.is_empty() => Some(0),
                    _ => sum_of_cells(&figure.cells, dimension, category),
                }
            }
        }
    }
}

/// The sum of the cells with a category; none if no cell names the dimension. Figures can be broken down several times, by
/// different sets of dimensions, each of which adds up to the whole: the smallest set counts.
fn sum_of_cells(cells: &[Cell], dimension: &DimensionCode, category: &CategoryCode) -> Option<i128> {
    let dimensions =
        |cell: &Cell| -> Vec<DimensionCode> { cell.key.iter().map(|(code, _)| code.clone()).collect() };
    let with_dimension = cells.iter().filter(|cell| dimensions(cell).contains(dimension));
    let set = with_dimension.map(dimensions).min_by_key(Vec::len)?;
    let of_category = cells.iter().filter(|cell| {
        let is_category =
            |(other, value): &(DimensionCode, CategoryCode)| other == dimension && value == category;
        dimensions(cell) == set && cell.key.iter().any(is_category)
    });
    Some(of_category.map(|cell| i128::from(cell.value)).sum())
}

impl fmt::Display for CheckRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for CheckRule {
    type Err = InvalidCheckRule;

    fn from_str(text: &str) -> Result<Self, InvalidCheckRule> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (condition, when) = match text.split_once(WHEN) {
            Some((condition, when)) => (condition, Some(when)),
            None => (text.as_str(), None),
        };
        Ok(Self {
            condition: condition.parse()?,
            when: when.map(str::parse).transpose()?,
            text,
        })
    }
}

impl FromStr for Condition {
    type Err = InvalidCheckRule;

    fn from_str(text: &str) -> Result<Self, InvalidCheckRule> {
        if let Some(indicator) = text.strip_suffix(ANSWERED) {
            let invalid = |_| InvalidCheckRule::InvalidTerm(indicator.to_owned());
            return indicator.trim().parse().map(Self::IsAnswered).map_err(invalid);
        }
        // The sign of equality in NN.TN[sex=nu] compares nothing.
        let outside = |at: usize| text[..at].matches('[').count() == text[..at].matches(']').count();
        let places = text.char_indices().map(|(at, _)| at).filter(|at| outside(*at));
        let found = places.into_iter().find_map(|at| {
            let starts = |(symbol, _): &&(&str, Comparison)| text[at..].starts_with(*symbol);
            COMPARISONS
                .iter()
                .find(starts)
                .map(|(symbol, comparison)| (at, *symbol, *comparison))
        });
        let Some((at, symbol, comparison)) = found else {
            return Err(InvalidCheckRule::NoCondition(text.to_owned()));
        };
        let sum = |text: &str| -> Result<Vec<Term>, InvalidCheckRule> {
            text.split('+').map(|term| term.trim().parse()).collect()
        };
        Ok(Self::Compares(
            sum(&text[..at])?,
            comparison,
            sum(&text[at + symbol.len()..])?,
        ))
    }
}

impl FromStr for Term {
    type Err = InvalidCheckRule;

    fn from_str(text: &str) -> Result<Self, InvalidCheckRule> {
        let invalid = || InvalidCheckRule::InvalidTerm(text.to_owned());
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Number).map_err(|_| invalid());
        }
        let Some((indicator, rest)) = text.split_once('[') else {
            return text.parse().map(Self::Indicator).map_err(|_| invalid());
        };
        let (dimension, category) = rest
            .strip_suffix(']')
            .and_then(|key| key.split_once('='))
            .ok_or_else(invalid)?;
        let parts = (
            indicator.trim().parse(),
            dimension.trim().parse(),
            category.trim().parse(),
        );
        match parts {
            (Ok(indicator), Ok(dimension), Ok(category)) => Ok(Self::Cells(indicator, dimension, category)),
            _ => Err(invalid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(indicator: &str, reported: Reported) -> Figure {
        Figure {
            indicator: indicator.parse().unwrap(),
            reported,
            cells: Vec::new(),
        }
    }

    fn check(rule: &str, figures: &[Figure]) -> Option<bool> {
        let figures = FigureIndex::new(figures.iter().enumerate());
        rule.parse::<CheckRule>().unwrap().holds(&figures)
    }

    fn holds(rule: &str, figures: &[(&str, Reported)]) -> Option<bool> {
        let figures = figures
            .iter()
            .map(|(code, reported)| figure(code, reported.clone()));
        check(rule, &figures.collect::<Vec<_>>())
    }

    fn numbers(rule: &str, numbers: &[(&str, i64)]) -> Option<bool> {
        let figures: Vec<_> = numbers
            .iter()
            .map(|(code, value)| (*code, Reported::Value(*value)))
            .collect();
        holds(rule, &figures)
    }

    #[test]
    fn sums_are_compared() {
        for (rule, a, b, expected) in [
            ("A <= B", 1, 1, true),
            ("A<=B", 2, 1, false),
            ("A < B", 1, 1, false),
            ("A > B", 2, 1, true),
            ("A >= B", 1, 2, false),
            ("A = B", 2, 2, true),
            ("A + B = 3", 1, 2, true),
            ("3 = A + B + 0", 1, 1, false),
        ] {
            assert_eq!(numbers(rule, &[("A", a), ("B", b)]), Some(expected), "{rule}");
        }
        assert_eq!(
            numbers("A + A + A > B", &[("A", i64::MAX), ("B", i64::MAX)]),
            Some(true)
        );
    }

    #[test]
    fn a_rule_says_nothing_without_its_numbers() {
        assert_eq!(numbers("A <= B", &[("A", 1)]), None);
        assert_eq!(holds("A <= 5", &[("A", Reported::DoneNoNumber)]), None);
        assert_eq!(holds("A <= 0", &[("A", Reported::Flag(true))]), Some(false));
    }

    #[test]
    fn a_rule_applies_when_its_condition_holds() {
        let rule = "B >= A when A > 0";
        assert_eq!(numbers(rule, &[("A", 0), ("B", -1)]), None);
        assert_eq!(numbers(rule, &[("A", 1), ("B", 0)]), Some(false));
        assert_eq!(numbers(rule, &[("B", 0)]), None);
    }

    #[test]
    fn an_indicator_is_answered_unless_it_was_not_done_or_does_not_apply() {
        let rule = "L answered when A > 0";
        let with = |reported: Option<Reported>| {
            let mut figures = vec![("A", Reported::Value(1))];
            figures.extend(reported.map(|reported| ("L", reported)));
            holds(rule, &figures)
        };
        assert_eq!(with(None), Some(false));
        assert_eq!(with(Some(Reported::NotDone)), Some(false));
        assert_eq!(with(Some(Reported::NotApplicable)), Some(false));
        assert_eq!(with(Some(Reported::Items(Vec::new()))), Some(false));
        assert_eq!(with(Some(Reported::Items(vec!["a".into()]))), Some(true));
        assert_eq!(with(Some(Reported::DoneNoNumber)), Some(true));
    }

    #[test]
    fn cells_of_a_category_are_summed_in_the_smallest_breakdown() {
        let cell = |key: &[(&str, &str)], value| Cell {
            key: key
                .iter()
                .map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()))
                .collect(),
            value,
        };
        let figure = Figure {
            cells: vec![
                cell(&[("age", "x"), ("sex", "nu")], 1),
                cell(&[("age", "y"), ("sex", "nu")], 2),
                cell(&[("age", "x"), ("sex", "nam")], 4),
                cell(&[("age", "x")], 5),
                cell(&[("age", "y")], 2),
            ],
            ..figure("A", Reported::Value(7))
        };
        let figures = [figure];
        let holds = |rule: &str| check(rule, &figures);
        assert_eq!(holds("A[sex=nu] = 3"), Some(true));
        assert_eq!(holds("A[age=x] = 5"), Some(true));
        assert_eq!(holds("A[sex=khac] = 0"), Some(true), "a category without a cell");
        assert_eq!(holds("A[station=nu] = 0"), None);
        assert_eq!(
            numbers("A[station=nu] = 0", &[("A", 0)]),
            Some(true),
            "no part of none"
        );
        assert_eq!(numbers("A[station=nu] = 0", &[("A", 1)]), None);
    }

    #[test]
    fn a_text_that_is_not_a_rule_says_why() {
        for (text, error) in [
            (
                "A",
                "\"A\" is no condition: write A <= B with =, <=, >=, < or >, or A answered",
            ),
            (
                "A[sex=nu]",
                "\"A[sex=nu]\" is no condition: write A <= B with =, <=, >=, < or >, or A answered",
            ),
            (
                "A <= b",
                "\"b\" is neither a number nor an indicator: write 5, NN.TN or NN.TN[sex=nu]",
            ),
            (
                "A <= ",
                "\"\" is neither a number nor an indicator: write 5, NN.TN or NN.TN[sex=nu]",
            ),
            (
                "A = B[sex]",
                "\"B[sex]\" is neither a number nor an indicator: write 5, NN.TN or NN.TN[sex=nu]",
            ),
            (
                "A = 99999999999999999999",
                "\"99999999999999999999\" is neither a number nor an indicator: write 5, NN.TN or NN.TN[sex=nu]",
            ),
            (
                "A = B when C",
                "\"C\" is no condition: write A <= B with =, <=, >=, < or >, or A answered",
            ),
        ] {
            assert_eq!(
                text.parse::<CheckRule>().unwrap_err().to_string(),
                error,
                "{text}"
            );
        }
        let spaced: CheckRule = "A  +B<=\tC".parse().unwrap();
        assert_eq!(spaced.to_string(), "A +B<= C");
    }
}
