//! Errors of query parameters.

use crate::problem::field_error::FieldErrorCode;
use crate::problem::text::{Localized, localized};

/// An error in a query parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParameterError {
    /// The name of the parameter.
    pub(crate) name: String,
    /// The kind of error.
    pub(crate) kind: ParameterErrorKind,
}

/// The kinds of errors in query parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParameterErrorKind {
    /// The path does not have this parameter.
    Unknown,
    /// A required parameter is missing.
    Missing,
    /// The parameter occurs more than once.
    Repeated,
    /// The value is invalid; the text explains the right format.
    Malformed(Localized),
}

impl ParameterError {
    /// The stable code.
    pub(crate) fn code(&self) -> FieldErrorCode {
        match self.kind {
            ParameterErrorKind::Unknown => FieldErrorCode::UnknownParameter,
            ParameterErrorKind::Missing => FieldErrorCode::MissingParameter,
            ParameterErrorKind::Repeated => FieldErrorCode::RepeatedParameter,
            ParameterErrorKind::Malformed(_) => FieldErrorCode::MalformedParameter,
        }
    }

    /// The text: what is wrong and how to fix it.
    pub(crate) fn detail(&self) -> Localized {
        match &self.kind {
            ParameterErrorKind::Unknown => localized(
                "This path does not have this parameter.",
                "Đường dẫn này không có tham số đó.",
            ),
            ParameterErrorKind::Missing => localized("The parameter is missing.", "Thiếu tham số này."),
            ParameterErrorKind::Repeated => {
                localized("The parameter occurs twice.", "Tham số được ghi hai lần.")
            }
            ParameterErrorKind::Malformed(expected) => expected.clone(),
        }
    }
}
