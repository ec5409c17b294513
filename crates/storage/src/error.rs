//! What can go wrong with the store.

use tonghop_domain::Overflow;

/// Why the store did not do what was asked. Nothing was stored, unless it says otherwise.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or used now; whether a change was committed may be unknown. Try again.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Too many changes wait already. Try again.
    #[error("too many changes are waiting to be recorded")]
    Overloaded,
    /// The change kept colliding with others; nothing was stored. Try again.
    #[error("the change kept colliding with others: {0}")]
    Contention(String),
    /// The database holds another catalogue than this process.
    #[error("the database has another catalogue than this process; run `tonghop migrate` and start again")]
    CatalogueMismatch,
    /// The database lacks tables, or changes to them, that this version needs. Newer ones are not noticed.
    #[error("the database has not been migrated to this version; run `tonghop migrate`")]
    NotMigrated,
    /// Another process holds the SQLite file.
    #[error("{0} is in use by another tonghop process")]
    InUse(String),
    /// The new catalogue drops something that submissions use.
    #[error("the new catalogue lacks what submissions in the database use: {0}")]
    CatalogueInUse(String),
    /// The database rejected what only a fault of this program can have sent; nothing was stored.
    #[error("the database rejected a change that breaks its rules: {0}")]
    ConstraintViolated(String),
    /// A stored row cannot be read.
    #[error("the database holds something that cannot be read: {0}")]
    Corrupt(String),
    /// A sum does not fit.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

impl StoreError {
    pub(crate) fn unavailable(cause: impl std::fmt::Display) -> Self {
        Self::Unavailable(cause.to_string())
    }

    pub(crate) fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Corrupt(what.to_string())
    }
}

impl From<diesel::result::Error> for StoreError {
    /// What is no collision and no fault of the statement or the row is the database's own: a full disk, a database
    /// made read-only, a device that fails, a connection that is gone. It passes, and the caller may try again.
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::{DatabaseErrorKind as Kind, Error};
        let text = error.to_string();
        match error {
            Error::DatabaseError(Kind::SerializationFailure, _) => Self::Contention(text),
            Error::DatabaseError(
                Kind::UniqueViolation
                | Kind::ForeignKeyViolation
                | Kind::NotNullViolation
                | Kind::CheckViolation
                | Kind::ExclusionViolation
                | Kind::RestrictViolation,
                _,
            )
            | Error::InvalidCString(_)
            | Error::QueryBuilderError(_)
            | Error::SerializationError(_) => Self::ConstraintViolated(text),
            Error::DeserializationError(_) | Error::NotFound => Self::Corrupt(text),
            // The policies on rows refuse what the service should have refused.
            _ if text.contains("row-level security") => Self::ConstraintViolated(text),
            _ if COLLISIONS.iter().any(|words| text.contains(words)) => Self::Contention(text),
            _ => Self::Unavailable(text),
        }
    }
}

/// What databases say of collisions for which diesel has no kind.
const COLLISIONS: [&str; 3] = ["deadlock detected", "lock timeout", "database is locked"];

#[cfg(test)]
mod tests {
    use diesel::result::{DatabaseErrorKind as Kind, Error};

    use super::*;

    fn database_error(kind: Kind, text: &str) -> StoreError {
        Error::DatabaseError(kind, Box::new(text.to_owned())).into()
    }

    #[test]
    fn what_passes_is_told_from_what_collides_and_from_what_is_a_fault_of_ours() {
        for passing in [
            "could not extend file \"base/5/16402\": No space left on device",
            "database or disk is full",
            "disk I/O error",
            "attempt to write a readonly database",
            "sorry, too many clients already",
            "unable to open database file",
        ] {
            let error = database_error(Kind::Unknown, passing);
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        }
        let error = database_error(
            Kind::ReadOnlyTransaction,
            "cannot execute INSERT in a read-only transaction",
        );
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        for collision in [
            "deadlock detected",
            "canceling statement due to lock timeout",
            "database is locked",
        ] {
            let error = database_error(Kind::Unknown, collision);
            assert!(matches!(error, StoreError::Contention(_)), "{error:?}");
        }
        for kind in [
            Kind::UniqueViolation,
            Kind::ForeignKeyViolation,
            Kind::CheckViolation,
        ] {
            let error = database_error(kind, "violates constraint");
            assert!(matches!(error, StoreError::ConstraintViolated(_)), "{error:?}");
        }
    }
}
