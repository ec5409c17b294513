//! What creating, withdrawing and the lines of a batch have in common: the wishes of a request, and the answer.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, LOCATION};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use tonghop_domain::{Caller, KeyId, Precondition, Revision, SubmissionKey};
use tonghop_storage::{Idempotency, Outcome, Write};

use crate::access::Access;
use crate::header::{IDEMPOTENCY_REPLAYED, PREFERENCE_APPLIED, Tags, idempotency_key, preferred_wait_s};
use crate::problem::Problem;
use crate::submission::{SubmissionBody, path_of, tag_of};
use crate::wait::Wait;
use crate::words::words;

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
        access: &Access,
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
        let current = access.current(key).await?;
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

/// What was written, or was there already.
#[derive(Debug)]
pub(crate) struct Written {
    /// The current revision.
    pub(crate) revision: Revision,
    /// Whether this request, or the one that it repeats, recorded it.
    pub(crate) recorded: bool,
    /// Whether the answer was given before, for the same key.
    pub(crate) replayed: bool,
}

/// Records a change, or only tells what would become of it.
pub(crate) async fn write(access: &Access, write: Write, dry_run: bool) -> Result<Written, Problem> {
    tracing::trace!(target: "tonghop::step", step = "request_read");
    match access.record(write, dry_run).await? {
        Outcome::Recorded { revision, replayed } => Ok(Written {
            revision,
            recorded: true,
            replayed,
        }),
        Outcome::Unchanged { revision, replayed } => Ok(Written {
            revision,
            recorded: false,
            replayed,
        }),
        Outcome::Conflict { current } => Err(Problem::RevisionConflict { current }),
        Outcome::KeyReused => Err(Problem::IdempotencyKeyReused),
    }
}

impl Written {
    /// Since when the totals hold the revision, after the wait that the caller prefers.
    pub(crate) async fn aggregated_at(
        &self,
        access: &Access,
        wait: &Wait,
        wait_s: Option<u64>,
    ) -> Option<DateTime<Utc>> {
        match wait_s {
            Some(seconds) if seconds > 0 => wait.for_totals(&self.revision, seconds).await,
            _ => self.known_aggregated_at(access).await,
        }
    }

    /// Since when the totals hold the revision, as far as is known now.
    pub(crate) async fn known_aggregated_at(&self, access: &Access) -> Option<DateTime<Utc>> {
        if self.recorded && !self.replayed {
            // Just recorded: no total can hold it yet.
            return None;
        }
        // The change is in the database whether or not this can be read, and so the answer is given.
        access
            .aggregated_at(std::slice::from_ref(&self.revision))
            .await
            .ok()?
            .pop()?
    }

    /// Whether something was created.
    pub(crate) fn status(&self, dry_run: bool) -> StatusCode {
        if self.recorded && !dry_run {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        }
    }

    /// The answer.
    pub(crate) fn respond(
        &self,
        status: StatusCode,
        body: &SubmissionBody,
        wait_s: Option<u64>,
    ) -> HttpResponse {
        tracing::trace!(target: "tonghop::step", step = "answering");
        let mut response = HttpResponseBuilder::new(status);
        response.insert_header((CACHE_CONTROL, "no-store"));
        if body.dry_run.is_none() {
            response.insert_header((ETAG, tag_of(&self.revision)));
            response.insert_header((LOCATION, path_of(&self.revision)));
        }
        if self.replayed {
            response.insert_header((IDEMPOTENCY_REPLAYED, "true"));
        }
        if let Some(seconds) = wait_s {
            response.insert_header((PREFERENCE_APPLIED, format!("wait={seconds}")));
        }
        response.json(body)
    }
}
