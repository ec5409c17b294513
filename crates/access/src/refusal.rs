//! Why something is not allowed, or not found.

use std::time::Duration;

use tonghop_storage::StoreError;

use crate::shares::ShareUsedUp;

/// Why a caller does not get what they asked for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// The request has no access key.
    #[error("the request has no access key")]
    NoKey,
    /// The access key is not valid.
    #[error("invalid access key: {0}")]
    Key(KeyRefusal),
    /// The role of the key does not allow the operation.
    #[error("the role of the key does not allow the operation")]
    Role,
    /// The data belongs to a unit that is not at or below the key's.
    #[error("the data belongs to a unit that is not at or below the key's")]
    Unit,
    /// The key, or the address, has used up its quota.
    #[error("the quota is used up for another {retry_after:?}")]
    RateLimited {
        /// The time until one more request is admitted.
        retry_after: Duration,
    },
    /// The key holds as much of a resource as it may.
    #[error(transparent)]
    ShareUsedUp(#[from] ShareUsedUp),
    /// The unit has as many valid keys as it may.
    #[error("the unit has {max} valid keys already")]
    TooManyKeys {
        /// The most that it may have.
        max: u32,
    },
    /// Something that the request names does not exist.
    #[error("there is no such {0:?}")]
    NotFound(What),
    /// Too many entries of the audit trail wait to be written, so nothing confidential can be shown.
    #[error("too many entries of the audit trail are waiting")]
    AuditBacklog,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an access key is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// It is not written as keys are.
    #[error("malformed")]
    Malformed,
    /// It was never issued.
    #[error("never issued")]
    Unknown,
    /// It has expired.
    #[error("expired")]
    Expired,
    /// It was revoked.
    #[error("revoked")]
    Revoked,
}

/// What does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A submission with the id.
    Submission,
    /// A revision of the submission with the number.
    Revision,
    /// An access key with the id.
    Key,
    /// A form with the code.
    Form,
    /// A period of the form.
    Period,
    /// A unit with the code in the tree of the period.
    Unit,
}
