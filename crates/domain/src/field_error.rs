//! Errors in the fields of a request body, each with its place.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, Utc};

use crate::code::CategoryCode;
use crate::names::Names;

/// One step on the way from a request body to one of its values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathSegment {
    /// The field of an object.
    Field(Cow<'static, str>),
    /// The element of a list, counted from 0.
    Index(usize),
}

/// The path of the value that is being read or checked: a linked list on the stack.
///
/// It becomes [`PathSegment`]s only if there is an error, so a valid body costs no allocation.
///
/// ```
/// use tonghop_domain::{BodyPath, PathSegment};
/// let figures = BodyPath::ROOT.field("figures");
/// let third = figures.index(2);
/// assert_eq!(third.to_segments(), [PathSegment::Field("figures".into()), PathSegment::Index(2)]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BodyPath<'a>(Option<(&'a BodyPath<'a>, Step<'a>)>);

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Field(&'static str),
    NamedField(&'a str),
    Index(usize),
}

impl<'a> BodyPath<'a> {
    /// The body itself.
    pub const ROOT: Self = Self(None);

    /// The path of a field of this value.
    pub fn field(&'a self, name: &'static str) -> Self {
        Self(Some((self, Step::Field(name))))
    }

    /// The path of a field of this value, by the name that the caller sent.
    pub fn named_field(&'a self, name: &'a str) -> Self {
        Self(Some((self, Step::NamedField(name))))
    }

    /// The path of an element of this value.
    pub fn index(&'a self, index: usize) -> Self {
        Self(Some((self, Step::Index(index))))
    }

    /// The segments of the path, from the outside in.
    pub fn to_segments(&self) -> Vec<PathSegment> {
        let mut segments = Vec::new();
        let mut path = self;
        while let Some((parent, step)) = &path.0 {
            segments.push(match step {
                Step::Field(name) => PathSegment::Field(Cow::Borrowed(name)),
                Step::NamedField(name) => PathSegment::Field(Cow::Owned((*name).to_owned())),
                Step::Index(index) => PathSegment::Index(*index),
            });
            path = parent;
        }
        segments.reverse();
        segments
    }
}

/// An error in one field of a request body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The path of the field.
    pub path: Vec<PathSegment>,
    /// The kind of error.
    pub kind: FieldErrorKind,
}

impl FieldError {
    /// An error at a place.
    pub fn new(path: &BodyPath<'_>, kind: FieldErrorKind) -> Self {
        Self {
            path: path.to_segments(),
            kind,
        }
    }
}

/// The type that a value should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A whole number.
    Integer,
    /// True or false.
    Flag,
    /// A whole number, true or false.
    IntegerOrFlag,
    /// The items of a list indicator.
    Items,
    /// A string.
    Text,
    /// An array.
    List,
    /// An object.
    Object,
}

/// The kinds of errors in fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldErrorKind {
    /// A required field is missing.
    MissingField(&'static str),
    /// The field does not exist.
    UnknownField(String),
    /// The field occurs twice.
    RepeatedField(String),
    /// The value is not of this type.
    WrongType(ValueType),
    /// A figure has none of value, items, text and state.
    ValueMissing,
    /// A figure has more than one of value, items, text and state.
    ValueAmbiguous,
    /// The state does not exist.
    UnknownState,
    /// The form does not exist.
    UnknownForm,
    /// The text is not a period.
    InvalidPeriod,
    /// The form is not reported for the period.
    PeriodNotExpected,
    /// The period can be reported from this day on, which is in the future.
    PeriodNotBegun(NaiveDate),
    /// No unit has the code on the last day of the period.
    UnknownUnit,
    /// The unit does not report the form.
    UnitDoesNotReport,
    /// The form does not contain the indicator.
    UnknownIndicator,
    /// The indicator is a ratio, which is computed and not reported.
    ComputedIndicator,
    /// The indicator occurs twice.
    RepeatedIndicator,
    /// The value is not of this type, which the indicator requires.
    WrongValueType(ValueType),
    /// The value is below this minimum.
    BelowMinimum(i64),
    /// The value is above this maximum.
    AboveMaximum(i64),
    /// The text has more than this number of characters.
    TooLong(usize),
    /// The list has more than this number of entries.
    TooMany(usize),
    /// The text is empty.
    Empty,
    /// The text contains a control character, such as NUL.
    ControlCharacter,
    /// The text contains a character that reorders others on the screen, such as U+202E.
    ReorderingControl,
    /// The indicator cannot be broken down by this dimension.
    BreakdownNotAllowed(String),
    /// The dimension does not have this category.
    UnknownCategory {
        /// The category.
        category: String,
        /// The categories of the dimension.
        known: Vec<CategoryCode>,
    },
    /// A cell names no dimension.
    BreakdownWithoutDimension,
    /// A cell occurs twice.
    RepeatedCell,
    /// The value that is broken down is not a number.
    BreakdownNotNumeric,
    /// The cells of a set of dimensions do not add up to the figure.
    BreakdownSum {
        /// The names of the dimensions.
        dimensions: Vec<Names>,
        /// The sum of the cells.
        sum: i64,
        /// The value of the figure.
        value: i64,
    },
    /// The figures fail a check of the form.
    CheckFailed {
        /// What must hold.
        rule: String,
        /// The explanation.
        texts: Names,
    },
    /// The role does not exist.
    UnknownRole,
    /// No unit has or ever had the code.
    UnknownUnitCode,
    /// The text is not a date and time.
    InvalidDateTime,
    /// The expiry is not in the future.
    ExpiryInPast,
    /// The expiry is later than this time, the latest that is allowed.
    ExpiryTooLate(DateTime<Utc>),
}

/// The errors of a body, collected in its order.
#[derive(Default)]
pub(crate) struct Errors(Vec<FieldError>);

impl Errors {
    pub(crate) fn add(&mut self, path: &BodyPath<'_>, kind: FieldErrorKind) {
        self.0.push(FieldError::new(path, kind));
    }

    pub(crate) fn extend(&mut self, errors: Vec<FieldError>) {
        self.0.extend(errors);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn into_inner(self) -> Vec<FieldError> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lists_its_segments_from_the_outside_in() {
        let figures = BodyPath::ROOT.field("figures");
        let figure = figures.index(7);
        let name = "a/b".to_owned();
        let field = figure.named_field(&name);
        assert_eq!(
            field.to_segments(),
            [
                PathSegment::Field("figures".into()),
                PathSegment::Index(7),
                PathSegment::Field("a/b".into())
            ]
        );
        assert_eq!(BodyPath::ROOT.to_segments(), []);
    }
}
