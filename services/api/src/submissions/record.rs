//! Records a change and renders its response: common to creating, withdrawing and the lines of a batch.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, LOCATION};
use actix_web::{HttpResponse, HttpResponseBuilder};
use chrono::{DateTime, Utc};
use tonghop_access::AuthorizedStore;
use tonghop_domain::Revision;
use tonghop_storage::{Outcome, Write};

use crate::problem::Problem;
use crate::request::idempotency::IDEMPOTENCY_REPLAYED;
use crate::request::prefer::PREFERENCE_APPLIED;
use crate::submissions::body::{SubmissionBody, path_of, tag_of};

/// The outcome of a change: the current revision, and whether the change recorded it.
#[derive(Debug)]
pub(crate) struct RecordedChange {
    /// The current revision.
    pub(crate) revision: Revision,
    /// Whether this request, or the one that it repeats, recorded the revision.
    pub(crate) recorded: bool,
    /// Whether this repeats the response to an earlier request with the same idempotency key.
    pub(crate) replayed: bool,
}

/// Records a change, or with `dry_run` only determines its outcome.
pub(crate) async fn record(
    store: &AuthorizedStore,
    change: Write,
    dry_run: bool,
) -> Result<RecordedChange, Problem> {
    tracing::trace!(target: "tonghop::step", step = "request_read");
    match store.record(change, dry_run).await? {
        Outcome::Recorded { revision, replayed } => Ok(RecordedChange {
            revision,
            recorded: true,
            replayed,
        }),
        Outcome::Unchanged { revision, replayed } => Ok(RecordedChange {
            revision,
            recorded: false,
            replayed,
        }),
        Outcome::Conflict { current } => Err(Problem::RevisionConflict { current }),
        Outcome::KeyReused => Err(Problem::IdempotencyKeyReused),
    }
}

impl RecordedChange {
    /// Since when the totals contain the revision, after the wait that the caller prefers.
    pub(crate) async fn aggregated_at(
        &self,
        store: &AuthorizedStore,
        wait_s: Option<u64>,
    ) -> Option<DateTime<Utc>> {
        match wait_s {
            Some(seconds) if seconds > 0 => store.wait_until_aggregated(&self.revision, seconds).await,
            _ => self.known_aggregated_at(store).await,
        }
    }

    /// Since when the totals contain the revision, as far as is known now.
    pub(crate) async fn known_aggregated_at(&self, store: &AuthorizedStore) -> Option<DateTime<Utc>> {
        if self.recorded && !self.replayed {
            // No total can contain what was recorded just now.
            return None;
        }
        // The change is committed whether or not this can be read, so a failure here does not change the response.
        store
            .aggregated_at(std::slice::from_ref(&self.revision))
            .await
            .ok()?
            .pop()?
    }

    /// 201 when a revision was recorded, else 200.
    pub(crate) fn status(&self, dry_run: bool) -> StatusCode {
        if self.recorded && !dry_run {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        }
    }

    /// The response.
    pub(crate) fn response(
        &self,
        status: StatusCode,
        body: &SubmissionBody,
        wait_s: Option<u64>,
    ) -> HttpResponse {
        tracing::trace!(target: "tonghop::step", step = "answering");
        let mut response = HttpResponseBuilder::new(status);
        response.insert_header((CACHE_CONTROL, "no-store"));
        if body.dry_run.is_none() {
            response.insert_header((ETAG, tag_of(&self.revision, None)));
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
