//! The headers that steer a write: conditions, preferences and the idempotency key.

use actix_web::HttpRequest;
use tonghop_access::AuthorizedStore;
use tonghop_domain::{Caller, KeyId, Precondition, SubmissionKey};
use tonghop_storage::Idempotency;

use crate::problem::Problem;
use crate::problem::text::localized;
use crate::request::idempotency::{idempotency_key, request_digest};
use crate::request::parameters::query_parameters;
use crate::request::preconditions::Tags;
use crate::request::prefer::preferred_wait_s;
use crate::request::query::Query;

query_parameters! {
    /// The query parameter of a dry run.
    pub(crate) struct DryRunQuery {
        /// Whether to check the submission without storing it
        #[param(value_type = Option<bool>, example = false)]
        dry_run: bool = Query::flag,
    }
}

/// The number of no revision, so that a condition never holds.
const NO_REVISION: i32 = -1;

/// The headers that steer a write.
#[derive(Clone, Debug)]
pub(crate) struct WriteHeaders {
    /// The idempotency key, by which a retry is recognized.
    pub(crate) key: Option<String>,
    /// The seconds to wait for the totals.
    pub(crate) wait_s: Option<u64>,
    /// If-Match.
    pub(crate) if_match: Option<Tags>,
    /// Whether `If-None-Match: *` was sent: only a first revision is wanted.
    pub(crate) first_only: bool,
    /// The caller, since each has their own idempotency keys.
    caller: KeyId,
    /// The method and the URI.
    target: String,
}

impl WriteHeaders {
    /// Reads the headers.
    pub(crate) fn of(request: &HttpRequest, caller: &Caller) -> Result<Self, Problem> {
        let headers = request.headers();
        let if_match = Tags::if_match(headers)?;
        let first_only = match Tags::if_none_match(headers)? {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::These(_)) => return Err(only_asterisk()),
        };
        if first_only && if_match.is_some() {
            return Err(Problem::InvalidHeader {
                expected: localized(
                    "If-Match and If-None-Match contradict each other. Send only one of them.",
                    "If-Match và If-None-Match mâu thuẫn nhau. Chỉ gửi một trong hai.",
                ),
            });
        }
        Ok(Self {
            key: idempotency_key(headers)?,
            wait_s: preferred_wait_s(headers),
            if_match,
            first_only,
            caller: caller.key.clone(),
            target: format!("{} {}", request.method(), request.uri()),
        })
    }

    /// The condition. If several revisions, or any, satisfy it, the current one is looked up.
    pub(crate) async fn condition(
        &self,
        store: &AuthorizedStore,
        key: &SubmissionKey,
    ) -> Result<Precondition, Problem> {
        let Some(tags) = &self.if_match else {
            let condition = if self.first_only {
                Precondition::Absent
            } else {
                Precondition::None
            };
            return Ok(condition);
        };
        let named = tags.revisions();
        if let (Tags::These(_), [] | [_]) = (tags, named.as_slice()) {
            return Ok(Precondition::Current(
                named.first().copied().unwrap_or(NO_REVISION),
            ));
        }
        let current = store.current_revision(key).await?;
        let holds = current.filter(|current| *tags == Tags::Any || named.contains(current));
        Ok(Precondition::Current(holds.unwrap_or(NO_REVISION)))
    }

    /// The key with the digest of the request: method, URI, conditions and body.
    pub(crate) fn idempotency(&self, key: Option<String>, body: &[u8]) -> Option<Idempotency> {
        let conditions = format!("{:?} {}", self.if_match, self.first_only);
        Some(Idempotency {
            caller: self.caller.to_string(),
            key: key?,
            request: request_digest(&self.target, &conditions, body),
        })
    }
}

fn only_asterisk() -> Problem {
    Problem::InvalidHeader {
        expected: localized(
            "If-None-Match must be * here. To name a revision, send If-Match.",
            "Yêu cầu này chỉ nhận If-None-Match: *. Muốn nêu phiên bản, hãy gửi trong If-Match.",
        ),
    }
}
