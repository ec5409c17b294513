//! Problems in responses (RFC 9457).

use actix_web::HttpMessage;
use actix_web::http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderValue, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::field_error;
use crate::problem::field_error::FieldErrorCode;
use crate::problem::json_pointer::json_pointer;
use crate::problem::kind::ProblemKind;
use crate::problem::text::Language;
use crate::problem::{Missing, Problem};
use crate::request::request_id::RequestId;

/// The media type of problems.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// The parts of a request on which the text of a problem depends.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The request id.
    pub(crate) request_id: String,
    /// The caller's language.
    pub(crate) language: Language,
    /// The requested path.
    pub(crate) instance: String,
}

impl Context {
    /// The context of a request that has passed the middleware.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let id = request.extensions().get::<RequestId>().cloned();
        Self {
            request_id: id.unwrap_or_else(|| RequestId::of(request.headers())).0,
            language: Language::preferred(request.headers()),
            instance: request.path().to_owned(),
        }
    }

    /// The body of a problem for this caller.
    pub(crate) fn body(&self, problem: &Problem) -> ProblemBody {
        let code = problem.kind();
        ProblemBody {
            r#type: format!("/problems/{}", code.slug()),
            title: code.title().get(self.language).to_owned(),
            status: code.status().as_u16(),
            detail: problem.detail().get(self.language).to_owned(),
            instance: self.instance.clone(),
            code,
            request_id: self.request_id.clone(),
            errors: self.errors(problem),
        }
    }

    /// An example of a problem of this kind, which says in general what to do.
    pub(crate) fn example(&self, kind: ProblemKind) -> ProblemBody {
        ProblemBody {
            r#type: format!("/problems/{}", kind.slug()),
            title: kind.title().get(self.language).to_owned(),
            status: kind.status().as_u16(),
            detail: kind.help().get(self.language).to_owned(),
            instance: self.instance.clone(),
            code: kind,
            request_id: self.request_id.clone(),
            errors: None,
        }
    }

    fn errors(&self, problem: &Problem) -> Option<Vec<FieldErrorBody>> {
        match problem {
            Problem::InvalidSubmission(errors) | Problem::InvalidKeyRequest(errors) => {
                let bodies = errors.iter().map(|found| FieldErrorBody {
                    pointer: Some(json_pointer(&found.path)),
                    parameter: None,
                    code: field_error::code(&found.kind),
                    detail: field_error::detail(&found.kind).get(self.language).to_owned(),
                });
                Some(bodies.collect())
            }
            Problem::InvalidQuery(errors) => {
                let bodies = errors.iter().map(|found| FieldErrorBody {
                    pointer: None,
                    parameter: Some(found.name.clone()),
                    code: found.code(),
                    detail: found.detail().get(self.language).to_owned(),
                });
                Some(bodies.collect())
            }
            Problem::NotFound(Missing::Parameter(name) | Missing::Unit { parameter: name, .. }) => {
                Some(vec![FieldErrorBody {
                    pointer: None,
                    parameter: Some((*name).to_owned()),
                    code: FieldErrorCode::NotFound,
                    detail: problem.detail().get(self.language).to_owned(),
                }])
            }
            _ => None,
        }
    }

    /// The response for a problem.
    pub(crate) fn response(&self, problem: &Problem) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(problem.kind().status());
        response.insert_header((CONTENT_TYPE, PROBLEM_JSON));
        response.insert_header((CONTENT_LANGUAGE, self.language.tag()));
        response.insert_header((VARY, "Accept-Language"));
        if let Some(seconds) = problem.retry_after_s() {
            response.insert_header((RETRY_AFTER, seconds));
        }
        let challenge = match problem {
            Problem::MissingKey => Some(r#"Bearer realm="tonghop""#),
            Problem::InvalidKey(_) => Some(r#"Bearer realm="tonghop", error="invalid_token""#),
            _ => None,
        };
        if let Some(challenge) = challenge {
            response.insert_header((WWW_AUTHENTICATE, challenge));
        }
        if let Problem::MethodNotAllowed { allow } = problem
            && let Ok(allow) = HeaderValue::from_str(allow)
        {
            response.insert_header((ALLOW, allow));
        }
        if matches!(problem, Problem::UnsupportedCoding) {
            // RFC 9110, section 12.5.3.
            response.insert_header((ACCEPT_ENCODING, "identity"));
        }
        response.body(serde_json::to_vec(&self.body(problem)).unwrap_or_default())
    }
}

/// A problem (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "/problems/invalid-submission",
    "title": "The submission has errors",
    "status": 422,
    "detail": "Correct 1 error. Nothing was stored.",
    "instance": "/v1/submissions",
    "code": "invalid-submission",
    "request_id": "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11",
    "errors": [{"pointer": "/figures/0/value", "code": "below-minimum", "detail": "The value must be 0 or more."}]
}))]
pub(crate) struct ProblemBody {
    /// The path of a page about this kind of problem.
    r#type: String,
    /// A short summary of the problem.
    title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// An explanation of this occurrence of the problem.
    detail: String,
    /// The requested path.
    instance: String,
    /// The stable code of the problem.
    code: ProblemKind,
    /// The request id, as in the header X-Request-Id and in the log.
    request_id: String,
    /// All errors in the body or in the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FieldErrorBody>>,
}

/// An error in a body or in a query.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FieldError)]
pub(crate) struct FieldErrorBody {
    /// The place in the body, as a JSON Pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// The query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// The stable code of the error.
    code: FieldErrorCode,
    /// What is wrong and how to fix it.
    detail: String,
}
