//! Maps refusals and errors of the store to problems.

use tonghop_access::{Refusal, ShareUsedUp, What};
use tonghop_storage::StoreError;

use crate::problem::{Denied, Missing, Problem};

impl From<ShareUsedUp> for Problem {
    fn from(ShareUsedUp(resource): ShareUsedUp) -> Self {
        Self::ShareUsedUp(resource)
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
            Refusal::ShareUsedUp(used_up) => used_up.into(),
            Refusal::TooManyKeys { max } => Self::TooManyKeys { max },
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
