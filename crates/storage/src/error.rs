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

impl StoreError {
    /// What an error of PostgreSQL's means (<https://www.postgresql.org/docs/current/errcodes-appendix.html>). One that is
    /// neither a collision nor caused by the change itself passes: a full disk, a server that shuts down.
    pub(crate) fn of_sqlstate(code: [u8; 5], message: String) -> Self {
        match &code {
            // serialization_failure, deadlock_detected, lock_not_available
            b"40001" | b"40P01" | b"55P03" => Self::Contention(message),
            // Data exceptions, integrity constraints, program limits; and insufficient_privilege, which policies on rows raise.
            [b'2', b'2' | b'3', ..] | [b'5', b'4', ..] | b"42501" => Self::ConstraintViolated(message),
            _ => Self::Unavailable(message),
        }
    }
}

impl From<diesel::result::Error> for StoreError {
    /// Errors that diesel has no kind for are taken for the database's own: a full disk, a database made read-only, a
    /// device that fails, a connection that is gone. The transaction that they end in looks closer.
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
            _ => Self::Unavailable(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_postgres_are_told_apart_by_sqlstate() {
        for (code, expected) in [
            (b"40001", "Contention"),
            (b"40P01", "Contention"),
            (b"55P03", "Contention"),
            (b"22021", "ConstraintViolated"),
            (b"23505", "ConstraintViolated"),
            (b"42501", "ConstraintViolated"),
            (b"54000", "ConstraintViolated"),
            (b"25006", "Unavailable"),
            (b"53100", "Unavailable"),
            (b"53300", "Unavailable"),
            (b"57014", "Unavailable"),
            (b"57P01", "Unavailable"),
            (b"58030", "Unavailable"),
        ] {
            let error = StoreError::of_sqlstate(*code, "Meldung".to_owned());
            let name = format!("{error:?}");
            assert_eq!(
                name,
                format!("{expected}(\"Meldung\")"),
                "{}",
                code.escape_ascii()
            );
        }
    }
}
