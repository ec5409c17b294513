//! The errors of the store.

use tonghop_domain::Overflow;

/// The reason why a call failed. Unless a variant says otherwise, nothing was stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is out of reach or out of order; whether a change was committed may be unknown. Retry later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Too many changes are queued. Retry later.
    #[error("too many changes are waiting to be recorded")]
    Overloaded,
    /// The change conflicted with concurrent ones until the retries ran out; nothing was stored. Retry later.
    #[error("the change conflicted with concurrent ones: {0}")]
    Contention(String),
    /// The database contains another catalogue than this process.
    #[error("the database has another catalogue than this process; run `tonghop migrate` and restart")]
    CatalogueMismatch,
    /// The database lacks tables or migrations that this version needs. Newer ones go unnoticed.
    #[error("the database has not been migrated to this version; run `tonghop migrate`")]
    NotMigrated,
    /// Another process holds the SQLite file.
    #[error("{0} is in use by another tonghop process")]
    InUse(String),
    /// The new catalogue lacks something that reports use, or changes what it means.
    #[error("reports in the database use what the new catalogue lacks or changes: {0}")]
    CatalogueInUse(String),
    /// The change breaks a rule of the database, which only a bug of this program can cause; nothing was stored.
    #[error("the database rejected the change: {0}")]
    ConstraintViolated(String),
    /// A stored row is unreadable.
    #[error("the database contains an unreadable row: {0}")]
    Corrupt(String),
    /// A sum exceeds the range of a number.
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
    /// Classifies an error of PostgreSQL (<https://www.postgresql.org/docs/current/errcodes-appendix.html>). An error
    /// that is neither a conflict nor caused by the change itself is temporary, such as a full disk or a server that
    /// shuts down.
    pub(crate) fn of_sqlstate(code: [u8; 5], message: String) -> Self {
        match &code {
            // serialization_failure, deadlock_detected, lock_not_available
            b"40001" | b"40P01" | b"55P03" => Self::Contention(message),
            // Data exceptions, integrity constraints, program limits, and insufficient_privilege, which row-level
            // security raises.
            [b'2', b'2' | b'3', ..] | [b'5', b'4', ..] | b"42501" => Self::ConstraintViolated(message),
            _ => Self::Unavailable(message),
        }
    }
}

impl From<diesel::result::Error> for StoreError {
    /// Errors without a kind in diesel count as temporary faults of the database: a full disk, a read-only database, a
    /// failing device, a lost connection. When the transaction ends, it classifies them more precisely.
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
    fn errors_of_postgres_are_classified_by_sqlstate() {
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
