//! Problems: the responses to failed requests, and the table from errors to problems.

pub(crate) mod body;
mod detail;
pub(crate) mod field_error;
pub(crate) mod json_pointer;
pub(crate) mod kind;
pub(crate) mod parameter_error;
mod refusal;
pub(crate) mod text;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use chrono::NaiveDate;
use tonghop_access::{KeyRefusal, Resource};
use tonghop_domain::{FieldError, UnitCode};

use crate::problem::detail::{invalid_query, key_detail, share_detail, too_many_keys};
use crate::problem::kind::ProblemKind;
use crate::problem::parameter_error::{ParameterError, ParameterErrorKind};
use crate::problem::text::{Localized, localized, vietnamese_day};

/// The reason why a request failed. It is rendered where the request's language and id are known, in
/// [`crate::middleware::response`] or, for a line of a batch, in [`crate::submissions::batch`].
#[derive(Debug)]
pub(crate) enum Problem {
    /// The body is not JSON, by line and column.
    InvalidJson { line: usize, column: usize },
    /// All query parameters that are unknown, missing or malformed.
    InvalidQuery(Vec<ParameterError>),
    /// A header is malformed; `expected` explains the right format.
    InvalidHeader { expected: Localized },
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
    UnsupportedMediaType { expected: &'static str },
    /// The body is compressed.
    UnsupportedCoding,
    /// The submission has these errors.
    InvalidSubmission(Vec<FieldError>),
    /// The request for a key has these errors.
    InvalidKeyRequest(Vec<FieldError>),
    /// The unit has as many valid keys as it may.
    TooManyKeys { max: u32 },
    /// The idempotency key was used for another request.
    IdempotencyKeyReused,
    /// `If-Match` is missing.
    PreconditionRequired,
    /// The key or the address has exceeded its quota.
    RateLimited { retry_after_s: u32 },
    /// The key holds as much of a resource as it may.
    ShareUsedUp(Resource),
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
    /// A unit with the code in this query parameter, on a day.
    Unit {
        /// The name of the parameter.
        parameter: &'static str,
        /// The code.
        code: UnitCode,
        /// The day on which no unit has it.
        day: NaiveDate,
    },
    /// A form with this code.
    Form,
    /// A problem with this code.
    Problem,
}

impl Problem {
    /// The kind of problem.
    pub(crate) fn kind(&self) -> ProblemKind {
        match self {
            Self::InvalidJson { .. } => ProblemKind::InvalidJson,
            Self::InvalidQuery(errors) => {
                let unknown = |error: &ParameterError| error.kind == ParameterErrorKind::Unknown;
                if errors.iter().any(unknown) {
                    ProblemKind::UnknownParameter
                } else {
                    ProblemKind::InvalidParameter
                }
            }
            Self::InvalidHeader { .. } => ProblemKind::InvalidHeader,
            Self::BrokenBody => ProblemKind::BrokenBody,
            Self::MissingKey => ProblemKind::MissingKey,
            Self::InvalidKey(_) => ProblemKind::InvalidKey,
            Self::Forbidden(_) => ProblemKind::Forbidden,
            Self::NotFound(_) => ProblemKind::NotFound,
            Self::MethodNotAllowed { .. } => ProblemKind::MethodNotAllowed,
            Self::NotAcceptable { .. } => ProblemKind::NotAcceptable,
            Self::BodyTimeout => ProblemKind::BodyTimeout,
            Self::RevisionConflict { .. } => ProblemKind::RevisionConflict,
            Self::BodyTooLarge => ProblemKind::BodyTooLarge,
            Self::TooManyValues => ProblemKind::TooManyValues,
            Self::UnsupportedMediaType { .. } | Self::UnsupportedCoding => ProblemKind::UnsupportedMediaType,
            Self::InvalidSubmission(_) => ProblemKind::InvalidSubmission,
            Self::InvalidKeyRequest(_) => ProblemKind::InvalidKeyRequest,
            Self::TooManyKeys { .. } => ProblemKind::TooManyKeys,
            Self::IdempotencyKeyReused => ProblemKind::IdempotencyKeyReused,
            Self::PreconditionRequired => ProblemKind::PreconditionRequired,
            Self::RateLimited { .. } => ProblemKind::RateLimited,
            Self::ShareUsedUp(_) => ProblemKind::ShareUsedUp,
            Self::Internal(_) => ProblemKind::Internal,
            Self::Unavailable(_) => ProblemKind::Unavailable,
            Self::Overloaded(_) => ProblemKind::Overloaded,
            Self::CatalogueMismatch => ProblemKind::CatalogueMismatch,
            Self::NotMigrated => ProblemKind::NotMigrated,
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
            Self::InvalidQuery(errors) => invalid_query(errors),
            Self::InvalidHeader { expected, .. } => expected.clone(),
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
            Self::UnsupportedMediaType { expected } => localized(
                format!("Send the body as {expected}, in UTF-8."),
                format!("Hãy gửi nội dung theo định dạng {expected}, mã UTF-8."),
            ),
            Self::UnsupportedCoding => localized(
                "Send the body uncompressed, without Content-Encoding.",
                "Hãy gửi nội dung không nén, không kèm Content-Encoding.",
            ),
            Self::ShareUsedUp(resource) => share_detail(*resource),
            Self::TooManyKeys { max } => too_many_keys(*max),
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
            | Self::Internal(_)
            | Self::Unavailable(_)
            | Self::Overloaded(_)
            | Self::CatalogueMismatch
            | Self::NotMigrated => self.kind().help(),
        }
    }

    /// The number of seconds after which a retry makes sense.
    pub(crate) fn retry_after_s(&self) -> Option<u32> {
        if let Self::RateLimited { retry_after_s } = self {
            return Some(*retry_after_s);
        }
        match self.kind() {
            ProblemKind::Unavailable => Some(2),
            ProblemKind::Overloaded | ProblemKind::ShareUsedUp => Some(1),
            ProblemKind::CatalogueMismatch | ProblemKind::NotMigrated => Some(30),
            _ => None,
        }
    }

    /// Logs the cause, which the response does not contain.
    pub(crate) fn log(&self, request_id: &str, line: Option<u64>) {
        let Some(cause) = self.cause() else {
            return;
        };
        let code = self.kind().slug();
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

impl Denied {
    fn detail(self) -> Localized {
        match self {
            Self::Role => localized(
                "The role of this key does not permit this action.",
                "Khóa này không được cấp quyền thực hiện việc đó.",
            ),
            Self::Unit => localized(
                "The data belongs to another unit. A key gives access to its own unit and the units below it.",
                "Nội dung này thuộc đơn vị khác. Khóa chỉ có quyền với đơn vị được cấp và các đơn vị cấp dưới.",
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
            Self::Unit { code, day, .. } => localized(
                format!("No unit has the code {code} on {day}. Codes are reused over the years."),
                format!(
                    "Ngày {} không có đơn vị nào mang mã {code}. Mã đơn vị được dùng lại qua các năm.",
                    vietnamese_day(*day)
                ),
            ),
            Self::Form => localized("No form has this code.", "Không có biểu mẫu nào mang mã này."),
            Self::Problem => localized("No problem has this code.", "Không có lỗi nào mang mã này."),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind().slug())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind().status()
    }

    /// An empty response. The middleware adds the text, which depends on the request.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use tonghop_storage::StoreError;

    use unicode_normalization::is_nfc;

    use super::*;
    use crate::problem::text::Language;

    /// The snapshot shows every text in both languages, so that a change of one is reviewed beside the other.
    #[test]
    fn texts_say_what_is_wrong_and_what_to_do() {
        let mut texts = String::new();
        let mut add = |code: &str, text: &Localized| {
            for language in [Language::En, Language::Vi] {
                texts.push_str(&format!("{code}: {}\n", text.get(language)));
            }
        };
        for kind in ProblemKind::ALL {
            add(kind.slug(), &kind.title());
            add(kind.slug(), &kind.help());
        }
        for kind in field_error::tests::every_kind() {
            add(field_error::code(&kind).as_str(), &field_error::detail(&kind));
        }
        insta::assert_snapshot!("texts", texts);
    }

    #[test]
    fn every_code_is_distinct_and_can_be_found() {
        let slugs: HashSet<&str> = ProblemKind::ALL.iter().map(|code| code.slug()).collect();
        assert_eq!(slugs.len(), ProblemKind::ALL.len());
        for code in ProblemKind::ALL {
            assert_eq!(ProblemKind::of_slug(code.slug()), Some(*code));
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
        assert_eq!(ProblemKind::of_slug("no-such"), None);
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
        for code in ProblemKind::ALL {
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
