//! Ids in paths.

use tonghop_domain::SubmissionId;

use crate::problem::{Missing, Problem};
use crate::request::spelling::id;

/// The id in a path. A text that is not an id gets 404.
pub(crate) fn submission_id(text: &str) -> Result<SubmissionId, Problem> {
    let id = id(text).ok_or(Problem::NotFound(Missing::Submission))?;
    Ok(SubmissionId(id))
}
