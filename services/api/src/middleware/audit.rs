//! Records refused requests in the audit trail.

use actix_web::dev::ServiceResponse;
use tonghop_access::{AuthorizedStore, RefusalCause};

use crate::problem::Problem;

/// Records that a request was refused, if the response is a problem.
pub(crate) fn record_refusal(store: &AuthorizedStore, response: &ServiceResponse<impl Sized>) {
    let error = response.response().error();
    if let Some(problem) = error.and_then(|error| error.as_error::<Problem>()) {
        store.record_refusal(problem.kind().slug(), cause(problem));
    }
}

/// The cause of a refusal, as far as the audit trail cares.
pub(crate) fn cause(problem: &Problem) -> RefusalCause {
    match problem {
        Problem::Forbidden(_) => RefusalCause::Rights,
        Problem::RevisionConflict { .. } | Problem::IdempotencyKeyReused => RefusalCause::Transaction,
        _ => RefusalCause::Other,
    }
}
