//! Problems: the responses to failed requests, and the table from errors to problems.

pub(crate) mod body;
pub(crate) mod field_error;
pub(crate) mod json_pointer;
pub(crate) mod kind;
pub(crate) mod text;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use tonghop_access::{KeyRefusal, Refusal, What};
use tonghop_domain::FieldError;
use tonghop_storage::StoreError;

use crate::problem::kind::Code;
use crate::problem::text::{Localized, localized};

/// The reason why a request failed. It is rendered where the request's language and id are known, in
/// [`crate::middleware::response`] or, for a line of a batch, in [`crate::submissions::batch`].
#[derive(Debug)]
pub(crate) enum Problem {
    /// The body is not JSON, by line and column.
    InvalidJson { line: usize, column: usize },
    /// All query parameters that are unknown, missing or malformed.
    InvalidQuery(Vec<ParameterError>),
    /// A header is malformed; `wanted` explains the right format.
    InvalidHeader { wanted: Localized },
    /// The connection ended before the body was complete.
    BrokenBody,
    /// The request has no access key.
    MissingKey,
    /// The access key is rejected.
    InvalidKey(KeyRefusal),
    /// The key lacks the permission.
    Forbidden(Denied),
    /// The requested resource does not exist.
    NotFound(Missing),
    /// The path supports only these methods.
    MethodNotAllowed { allow: String },
    /// Only these media types are available.
    NotAcceptable { offered: &'static [&'static str] },
    /// The body did not arrive in time.
    BodyTimeout,
    /// The current revision differs from the one in the request; 0 if there is none.
    RevisionConflict { current: i32 },
    /// The body is too large.
    BodyTooLarge,
    /// The body has too many values.
    TooManyValues,
    /// Only this media type is supported.
    UnsupportedMediaType { wanted: &'static str },
    /// The submission has these errors.
    InvalidSubmission(Vec<FieldError>),
    /// The request for a key has these errors.
    InvalidKeyRequest(Vec<FieldError>),
    /// The idempotency key was used for another request.
    IdempotencyKeyReused,
    /// `If-Match` is missing.
    PreconditionRequired,
    /// The key or the address has exceeded its quota.
    RateLimited { retry_after_s: u32 },
    /// Another verification is running.
    VerificationRunning,
    /// An error in the service. The cause is only logged.
    Internal(String),
    /// The database is unavailable. The cause is only logged.
    Unavailable(String),
    /// Too many requests are waiting. The cause is only logged.
    Overloaded(String),
    /// The database contains another catalogue.
    CatalogueMismatch,
    /// The database has another schema version.
    NotMigrated,
}

/// The reason why a key lacks a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The role does not include the action.
    Role,
    /// The unit is neither the key's nor below it.
    Unit,
}

/// The resource that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The path.
    Path,
    /// A submission with this id.
    Submission,
    /// A revision of the submission.
    Revision,
    /// An access key with this id.
    Key,
    /// The code in this query parameter, which is well-formed but unknown.
    Parameter(&'static str),
    /// A form with this code.
    Form,
    /// A problem with this code.
    Problem,
}

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
    pub(crate) fn code(&self) -> &'static str {
        match self.kind {
            ParameterErrorKind::Unknown => "unknown-parameter",
            ParameterErrorKind::Missing => "missing-parameter",
            ParameterErrorKind::Repeated => "repeated-parameter",
            ParameterErrorKind::Malformed(_) => "malformed-parameter",
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
            ParameterErrorKind::Malformed(wanted) => wanted.clone(),
        }
    }
}

impl Problem {
    /// The kind of problem.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::InvalidJson { .. } => Code::InvalidJson,
            Self::InvalidQuery(errors) => {
                let unknown = |error: &ParameterError| error.kind == ParameterErrorKind::Unknown;
                if errors.iter().any(unknown) {
                    Code::UnknownParameter
                } else {
                    Code::InvalidParameter
                }
            }
            Self::InvalidHeader { .. } => Code::InvalidHeader,
            Self::BrokenBody => Code::BrokenBody,
            Self::MissingKey => Code::MissingKey,
            Self::InvalidKey(_) => Code::InvalidKey,
            Self::Forbidden(_) => Code::Forbidden,
            Self::NotFound(_) => Code::NotFound,
            Self::MethodNotAllowed { .. } => Code::MethodNotAllowed,
            Self::NotAcceptable { .. } => Code::NotAcceptable,
            Self::BodyTimeout => Code::BodyTimeout,
            Self::RevisionConflict { .. } => Code::RevisionConflict,
            Self::BodyTooLarge => Code::BodyTooLarge,
            Self::TooManyValues => Code::TooManyValues,
            Self::UnsupportedMediaType { .. } => Code::UnsupportedMediaType,
            Self::InvalidSubmission(_) => Code::InvalidSubmission,
            Self::InvalidKeyRequest(_) => Code::InvalidKeyRequest,
            Self::IdempotencyKeyReused => Code::IdempotencyKeyReused,
            Self::PreconditionRequired => Code::PreconditionRequired,
            Self::RateLimited { .. } => Code::RateLimited,
            Self::VerificationRunning => Code::VerificationRunning,
            Self::Internal(_) => Code::Internal,
            Self::Unavailable(_) => Code::Unavailable,
            Self::Overloaded(_) => Code::Overloaded,
            Self::CatalogueMismatch => Code::CatalogueMismatch,
            Self::NotMigrated => Code::NotMigrated,
        }
    }

    /// The explanation of this problem; the general help if there is nothing more specific.
    pub(crate) fn detail(&self) -> Localized {
        match self {
            Self::InvalidJson { line, column } => localized(
                format!(
                    "The body is invalid at line {line}, column {column}: it is not JSON, or nested more than 32 levels deep."
                ),
                format!("Nội dung không phải JSON ở dòng {line}, cột {column}, hoặc lồng nhau quá 32 cấp."),
            ),
            Self::InvalidQuery(errors) => {
                let names: Vec<&str> = errors.iter().map(|error| error.name.as_str()).collect();
                let names = names.join(", ");
                localized(
                    format!("Correct these query parameters: {names}."),
                    format!("Hãy sửa các tham số truy vấn: {names}."),
                )
            }
            Self::InvalidHeader { wanted, .. } => wanted.clone(),
            Self::InvalidKey(refusal) => key_detail(*refusal),
            Self::Forbidden(denied) => denied.detail(),
            Self::NotFound(missing) => missing.detail(),
            Self::MethodNotAllowed { allow } => localized(
                format!("This path supports only {allow}."),
                format!("Địa chỉ này chỉ hỗ trợ {allow}."),
            ),
            Self::NotAcceptable { offered } => localized(
                format!("Available media types: {}.", offered.join(", ")),
                format!("Các định dạng có thể trả lời: {}.", offered.join(", ")),
            ),
            Self::RevisionConflict { current: 0 } => localized(
                "The submission has no revision yet.",
                "Báo cáo này chưa được gửi lần nào.",
            ),
            Self::RevisionConflict { current } => localized(
                format!("The current revision is {current}."),
                format!("Phiên bản hiện tại: {current}."),
            ),
            Self::UnsupportedMediaType { wanted } => localized(
                format!("Send the body as {wanted}, in UTF-8."),
                format!("Hãy gửi nội dung theo định dạng {wanted}, mã UTF-8."),
            ),
            Self::InvalidSubmission(errors) | Self::InvalidKeyRequest(errors) => localized(
                format!("Correct {}. Nothing was stored.", counted(errors.len())),
                format!("Có {} lỗi cần sửa. Chưa có gì được lưu.", errors.len()),
            ),
            Self::BrokenBody
            | Self::MissingKey
            | Self::BodyTimeout
            | Self::BodyTooLarge
            | Self::TooManyValues
            | Self::IdempotencyKeyReused
            | Self::PreconditionRequired
            | Self::RateLimited { .. }
            | Self::VerificationRunning
            | Self::Internal(_)
            | Self::Unavailable(_)
            | Self::Overloaded(_)
            | Self::CatalogueMismatch
            | Self::NotMigrated => self.code().help(),
        }
    }

    /// The number of seconds after which a retry makes sense.
    pub(crate) fn retry_after_s(&self) -> Option<u32> {
        if let Self::RateLimited { retry_after_s } = self {
            return Some(*retry_after_s);
        }
        match self.code() {
            Code::Unavailable => Some(2),
            Code::Overloaded | Code::VerificationRunning => Some(1),
            Code::CatalogueMismatch | Code::NotMigrated => Some(30),
            _ => None,
        }
    }

    /// Logs the cause, which the response does not contain.
    pub(crate) fn log(&self, request_id: &str, line: Option<u64>) {
        let Some(cause) = self.cause() else {
            return;
        };
        let code = self.code().slug();
        match self {
            Self::Internal(_) => tracing::error!(code, cause, request_id, line, "a request failed"),
            _ => tracing::warn!(code, cause, request_id, line, "a request failed"),
        }
    }

    /// The cause, which is only logged.
    fn cause(&self) -> Option<&str> {
        match self {
            Self::Internal(cause) | Self::Unavailable(cause) | Self::Overloaded(cause) => Some(cause),
            _ => None,
        }
    }
}

fn counted(errors: usize) -> String {
    match errors {
        1 => "1 error".into(),
        many => format!("{many} errors"),
    }
}

fn key_detail(refusal: KeyRefusal) -> Localized {
    match refusal {
        KeyRefusal::Malformed => localized(
            "Malformed key. Send all 47 characters as `Authorization: Bearer th_…`.",
            "Khóa sai định dạng. Hãy gửi đủ 47 ký tự theo dạng `Authorization: Bearer th_…`.",
        ),
        KeyRefusal::Unknown => localized("This key does not exist.", "Khóa này không tồn tại."),
        KeyRefusal::Expired => localized("The key has expired.", "Khóa đã hết hạn."),
        KeyRefusal::Revoked => localized("The key was revoked.", "Khóa đã bị thu hồi."),
    }
}

impl Denied {
    fn detail(self) -> Localized {
        match self {
            Self::Role => localized(
                "The role of this key does not permit this action.",
                "Khóa này không được cấp quyền thực hiện việc đó.",
            ),
            Self::Unit => localized(
                "The key only has permissions for its unit and the units below it in that reporting period.",
                "Khóa chỉ có quyền với đơn vị được cấp và các đơn vị cấp dưới của kỳ báo cáo đó; nội dung này thuộc đơn vị khác.",
            ),
        }
    }
}

impl Missing {
    fn detail(&self) -> Localized {
        match self {
            Self::Path => localized("This path does not exist.", "Không tìm thấy địa chỉ này."),
            Self::Submission => localized(
                "No submission has this id.",
                "Không có báo cáo nào mang mã định danh này.",
            ),
            Self::Revision => localized(
                "The submission does not have this revision.",
                "Báo cáo không có phiên bản này.",
            ),
            Self::Key => localized("No key has this id.", "Không có khóa nào mang mã định danh này."),
            Self::Parameter(name) => localized(
                format!("The value of the query parameter {name} does not exist."),
                format!("Mã ghi ở tham số {name} không tồn tại."),
            ),
            Self::Form => localized("No form has this code.", "Không có biểu mẫu nào mang mã này."),
            Self::Problem => localized("No problem has this code.", "Không có lỗi nào mang mã này."),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoKey => Self::MissingKey,
            Refusal::Key(key) => Self::InvalidKey(key),
            Refusal::Role => Self::Forbidden(Denied::Role),
            Refusal::Unit => Self::Forbidden(Denied::Unit),
            Refusal::RateLimited { retry_after } => {
                let seconds = retry_after.as_millis().div_ceil(1000).max(1);
                Self::RateLimited {
                    retry_after_s: u32::try_from(seconds).unwrap_or(u32::MAX),
                }
            }
            Refusal::NotFound(what) => Self::NotFound(what.into()),
            Refusal::AuditBacklog => Self::Overloaded(refusal.to_string()),
            Refusal::Store(error) => error.into(),
        }
    }
}

impl From<What> for Missing {
    fn from(what: What) -> Self {
        match what {
            What::Submission => Self::Submission,
            What::Revision => Self::Revision,
            What::Key => Self::Key,
            What::Form => Self::Parameter("form"),
            What::Period => Self::Parameter("period"),
            What::Unit => Self::Parameter("unit"),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => Self::Unavailable(cause),
            StoreError::Overloaded | StoreError::Contention(_) => Self::Overloaded(error.to_string()),
            StoreError::CatalogueMismatch => Self::CatalogueMismatch,
            StoreError::NotMigrated => Self::NotMigrated,
            StoreError::InUse(_)
            | StoreError::CatalogueInUse(_)
            | StoreError::ConstraintViolated(_)
            | StoreError::Corrupt(_)
            | StoreError::Overflow(_) => Self::Internal(error.to_string()),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code().slug())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code().status()
    }

    /// An empty response. The middleware adds the text, which depends on the request.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use unicode_normalization::is_nfc;

    use super::*;
    use crate::problem::text::Language;

    #[test]
    fn every_code_is_distinct_and_can_be_found() {
        let slugs: HashSet<&str> = Code::ALL.iter().map(|code| code.slug()).collect();
        assert_eq!(slugs.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(Code::of_slug(code.slug()), Some(*code));
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
        assert_eq!(Code::of_slug("no-such"), None);
    }

    fn assert_bilingual(text: &Localized) {
        let (en, vi) = (text.get(Language::En), text.get(Language::Vi));
        assert!(en.chars().all(|c| c.is_ascii() || c == '…'), "{en}");
        assert!(!vi.is_ascii() && is_nfc(vi), "{vi}");
    }

    #[test]
    fn every_field_error_and_problem_has_a_text_in_both_languages() {
        for kind in field_error::tests::every_kind() {
            assert_bilingual(&field_error::detail(&kind));
        }
        for code in Code::ALL {
            assert_bilingual(&code.title());
            assert_bilingual(&code.help());
        }
    }

    #[test]
    fn the_cause_of_an_internal_error_is_not_in_the_response() {
        let problem = Problem::from(StoreError::Corrupt("row 7".into()));
        assert!(!problem.detail().get(Language::En).contains("row 7"));
        assert_eq!(
            problem.cause().unwrap(),
            StoreError::Corrupt("row 7".into()).to_string()
        );
    }
}
