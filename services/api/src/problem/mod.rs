//! Everything that can be answered instead of what was asked for: one table from error to status and words.

pub(crate) mod body;
pub(crate) mod field_error;
pub(crate) mod kind;
pub(crate) mod text;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use tonghop_access::{KeyRefusal, Refusal, What};
use tonghop_domain::Fault;
use tonghop_storage::StoreError;

use crate::problem::kind::Code;
use crate::problem::text::{Words, words};

/// Why a request is not answered as asked. It is rendered where the request's language and id are known, in
/// [`crate::middleware::response`] or, for a line of a batch, in [`crate::submissions::batch`].
#[derive(Debug)]
pub(crate) enum Problem {
    /// The body is not JSON, by line and column.
    InvalidJson { line: usize, column: usize },
    /// Query parameters are unknown, missing or malformed; all of them.
    InvalidQuery(Vec<ParameterFault>),
    /// A header is malformed; what it should be.
    InvalidHeader { wanted: Words },
    /// The body broke off.
    BrokenBody,
    /// The request names no key.
    MissingKey,
    /// The key is not taken.
    InvalidKey(KeyRefusal),
    /// The key may not do this.
    Forbidden(Denied),
    /// There is no such thing.
    NotFound(Missing),
    /// The address takes only these methods.
    MethodNotAllowed { allow: String },
    /// Only these media types can be answered.
    NotAcceptable { offered: &'static [&'static str] },
    /// The body did not come in time.
    BodyTimeout,
    /// The current revision is another than the one named; 0 when there is none.
    RevisionConflict { current: i32 },
    /// The body is too large.
    BodyTooLarge,
    /// The body holds more values than are read.
    TooManyValues,
    /// Only this media type is taken.
    UnsupportedMediaType { wanted: &'static str },
    /// The submission has these faults.
    InvalidSubmission(Vec<Fault>),
    /// The key that is asked for has these faults.
    InvalidKeyRequest(Vec<Fault>),
    /// The key was used for another request.
    IdempotencyKeyReused,
    /// If-Match is missing.
    PreconditionRequired,
    /// The key, or the address, has used up its quota.
    RateLimited { retry_after_s: u32 },
    /// One verification at a time.
    VerificationRunning,
    /// A fault of ours; the cause is for the log.
    Internal(String),
    /// The database is away; the cause is for the log.
    Unavailable(String),
    /// Too much is waiting; the cause is for the log.
    Overloaded(String),
    /// The database has another catalogue.
    CatalogueMismatch,
    /// The database has other tables.
    NotMigrated,
}

/// Why a key may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Its role does not include it.
    Role,
    /// It is about another's unit.
    Unit,
}

/// What was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The path leads nowhere.
    Path,
    /// No submission has this id.
    Submission,
    /// The submission has no such revision.
    Revision,
    /// No access key has this id.
    Key,
    /// The code in this query parameter is well-formed and unknown.
    Parameter(&'static str),
    /// No form has this code.
    Form,
    /// No problem has this code.
    Problem,
}

/// What is wrong with a query parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParameterFault {
    /// Its name.
    pub(crate) name: String,
    /// What is wrong.
    pub(crate) kind: ParameterFaultKind,
}

/// The ways in which a query parameter can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParameterFaultKind {
    /// The path has no such parameter.
    Unknown,
    /// It must be there.
    Missing,
    /// It is there more than once.
    Repeated,
    /// It is not what it should be, which is this.
    Malformed(Words),
}

impl ParameterFault {
    /// Its stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self.kind {
            ParameterFaultKind::Unknown => "unknown-parameter",
            ParameterFaultKind::Missing => "missing-parameter",
            ParameterFaultKind::Repeated => "repeated-parameter",
            ParameterFaultKind::Malformed(_) => "malformed-parameter",
        }
    }

    /// What to tell about it.
    pub(crate) fn detail(&self) -> Words {
        match &self.kind {
            ParameterFaultKind::Unknown => words(
                "This path has no such parameter.",
                "Đường dẫn này không có tham số như vậy.",
            ),
            ParameterFaultKind::Missing => words("The parameter is missing.", "Thiếu tham số này."),
            ParameterFaultKind::Repeated => {
                words("The parameter is given twice.", "Tham số được ghi hai lần.")
            }
            ParameterFaultKind::Malformed(wanted) => wanted.clone(),
        }
    }
}

impl Problem {
    /// The kind of problem.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::InvalidJson { .. } => Code::InvalidJson,
            Self::InvalidQuery(faults) => {
                let unknown = |fault: &ParameterFault| fault.kind == ParameterFaultKind::Unknown;
                if faults.iter().any(unknown) {
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

    /// What is wrong with this request; where there is no more to say than in general, that.
    pub(crate) fn detail(&self) -> Words {
        match self {
            Self::InvalidJson { line, column } => words(
                format!(
                    "The body is not JSON at line {line}, column {column}, or it is nested more than 32 levels deep."
                ),
                format!("Nội dung không phải JSON ở dòng {line}, cột {column}, hoặc lồng nhau quá 32 cấp."),
            ),
            Self::InvalidQuery(faults) => {
                let names: Vec<&str> = faults.iter().map(|fault| fault.name.as_str()).collect();
                let names = names.join(", ");
                words(
                    format!("Look at these query parameters: {names}."),
                    format!("Hãy xem lại các tham số truy vấn: {names}."),
                )
            }
            Self::InvalidHeader { wanted, .. } => wanted.clone(),
            Self::InvalidKey(refusal) => key_detail(*refusal),
            Self::Forbidden(denied) => denied.detail(),
            Self::NotFound(missing) => missing.detail(),
            Self::MethodNotAllowed { allow } => words(
                format!("The address takes only {allow}."),
                format!("Địa chỉ này chỉ nhận {allow}."),
            ),
            Self::NotAcceptable { offered } => words(
                format!("This can be answered as {}.", offered.join(" or ")),
                format!("Có thể trả lời theo kiểu {}.", offered.join(" hoặc ")),
            ),
            Self::RevisionConflict { current: 0 } => words(
                "The submission has no revision yet.",
                "Báo cáo này chưa được gửi lần nào.",
            ),
            Self::RevisionConflict { current } => words(
                format!("The current revision is {current}."),
                format!("Lần sửa hiện tại là {current}."),
            ),
            Self::UnsupportedMediaType { wanted } => words(
                format!("Send the body as {wanted}, in UTF-8."),
                format!("Hãy gửi nội dung theo kiểu {wanted}, mã UTF-8."),
            ),
            Self::InvalidSubmission(faults) | Self::InvalidKeyRequest(faults) => words(
                format!("{} to correct; nothing was stored.", counted(faults.len())),
                format!("Có {} lỗi cần sửa; chưa có gì được lưu.", faults.len()),
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

    /// After how many seconds to try again.
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

    /// Tells the log what only it may tell: the cause, which the caller does not learn.
    pub(crate) fn log(&self, request_id: &str, line: Option<u64>) {
        let Some(cause) = self.cause() else {
            return;
        };
        let code = self.code().slug();
        match self {
            Self::Internal(_) => tracing::error!(code, cause, request_id, line, "not answered as asked"),
            _ => tracing::warn!(code, cause, request_id, line, "not answered as asked"),
        }
    }

    /// What only the log may tell.
    fn cause(&self) -> Option<&str> {
        match self {
            Self::Internal(cause) | Self::Unavailable(cause) | Self::Overloaded(cause) => Some(cause),
            _ => None,
        }
    }
}

fn counted(faults: usize) -> String {
    match faults {
        1 => "1 fault".into(),
        many => format!("{many} faults"),
    }
}

fn key_detail(refusal: KeyRefusal) -> Words {
    match refusal {
        KeyRefusal::Malformed => words(
            "A key is sent as `Authorization: Bearer th_…`, 47 characters without a change.",
            "Khóa gửi theo dạng `Authorization: Bearer th_…`, đủ 47 ký tự, không thay đổi.",
        ),
        KeyRefusal::Unknown => words("Nobody was given this key.", "Khóa này chưa được cấp cho ai."),
        KeyRefusal::Expired => words("The key has expired.", "Khóa đã hết hạn."),
        KeyRefusal::Revoked => words("The key was revoked.", "Khóa đã bị thu hồi."),
    }
}

impl Denied {
    fn detail(self) -> Words {
        match self {
            Self::Role => words(
                "The role of this key does not include that.",
                "Vai trò của khóa này không gồm việc đó.",
            ),
            Self::Unit => words(
                "The key acts on its own unit and those below it, in the period that this is about; this is another's.",
                "Khóa chỉ dùng cho đơn vị của mình và các đơn vị trực thuộc trong kỳ báo cáo đó; đây là của đơn vị khác.",
            ),
        }
    }
}

impl Missing {
    fn detail(&self) -> Words {
        match self {
            Self::Path => words("Nothing is at this address.", "Không có gì ở địa chỉ này."),
            Self::Submission => words(
                "No submission has this id.",
                "Không có báo cáo nào mang số hiệu này.",
            ),
            Self::Revision => words(
                "The submission has no such revision.",
                "Báo cáo không có lần sửa này.",
            ),
            Self::Key => words("No key has this id.", "Không có khóa nào mang số hiệu này."),
            Self::Parameter(name) => words(
                format!("The query parameter {name} names something that does not exist here."),
                format!("Tham số {name} nêu một mã không tồn tại ở đây."),
            ),
            Self::Form => words("No form has this code.", "Không có biểu mẫu nào mang mã này."),
            Self::Problem => words("No problem has this code.", "Không có lỗi nào mang mã này."),
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

    /// Bare: the words are added where the request is known.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_is_told_apart_and_found_again() {
        let slugs: HashSet<&str> = Code::ALL.iter().map(|code| code.slug()).collect();
        assert_eq!(slugs.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(Code::of_slug(code.slug()), Some(*code));
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
        assert_eq!(Code::of_slug("no-such"), None);
    }

    #[test]
    fn the_cause_of_a_fault_of_ours_is_not_told() {
        let problem = Problem::from(StoreError::Corrupt("row 7".into()));
        assert!(
            !problem
                .detail()
                .get(crate::problem::text::Language::En)
                .contains("row 7")
        );
        assert_eq!(
            problem.cause().unwrap(),
            StoreError::Corrupt("row 7".into()).to_string()
        );
    }
}
