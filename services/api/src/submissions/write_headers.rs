//! What the headers of a write wish for.

use actix_web::HttpRequest;
use sha2::Digest;
use sha2::Sha256;
use tonghop_access::AuthorizedStore;
use tonghop_domain::{Caller, KeyId, Precondition, SubmissionKey};
use tonghop_storage::Idempotency;

use crate::problem::Problem;
use crate::problem::text::words;
use crate::request::idempotency::idempotency_key;
use crate::request::preconditions::Tags;
use crate::request::prefer::preferred_wait_s;

/// No revision has this number, so the condition never holds.
const NO_REVISION: i32 = -1;

/// What the headers of a request wish for.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    /// The key by which a retry is recognised.
    pub(crate) key: Option<String>,
    /// For how long to wait for the totals.
    pub(crate) wait_s: Option<u64>,
    /// If-Match.
    pub(crate) if_match: Option<Tags>,
    /// If-None-Match: *.
    pub(crate) first_only: bool,
    /// Whose idempotency keys they are.
    caller: KeyId,
    /// The method and the address.
    target: String,
}

impl Wishes {
    /// Reads the headers.
    pub(crate) fn of(request: &HttpRequest, caller: &Caller) -> Result<Self, Problem> {
        let headers = request.headers();
        let if_match = Tags::if_match(headers)?;
        let first_only = match Tags::if_none_match(headers)? {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::These(_)) => return Err(only_star()),
        };
        if first_only && if_match.is_some() {
            return Err(Problem::InvalidHeader {
                wanted: words(
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

    /// The condition. Where several revisions, or any, would do, the current one is looked up.
    pub(crate) async fn condition(
        &self,
        store: &AuthorizedStore,
        key: &SubmissionKey,
    ) -> Result<Precondition, Problem> {
        let Some(tags) = &self.if_match else {
            let absent = if self.first_only {
                Precondition::Absent
            } else {
                Precondition::None
            };
            return Ok(absent);
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

    /// The key with the digest of what it is used for: method, address, conditions and body.
    pub(crate) fn idempotency(&self, key: Option<String>, body: &[u8]) -> Option<Idempotency> {
        let key = key?;
        let mut hash = Sha256::new();
        let conditions = format!("{:?} {}", self.if_match, self.first_only);
        for part in [&self.target, &conditions] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(body);
        Some(Idempotency {
            caller: self.caller.to_string(),
            key,
            request: base16ct::lower::encode_string(&hash.finalize()),
        })
    }
}

fn only_star() -> Problem {
    Problem::InvalidHeader {
        wanted: words(
            "Here If-None-Match can only be *. To name a revision, send it in If-Match.",
            "Ở đây If-None-Match chỉ có thể là *. Muốn nêu số lần sửa, hãy gửi trong If-Match.",
        ),
    }
}
