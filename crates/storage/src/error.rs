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
    OtherCatalogue,
    /// The database lacks tables, or changes to them, that this version needs. Newer ones are not noticed.
    #[error("the database has not been migrated to this version; run `tonghop migrate`")]
    NotMigrated,
    /// Another process holds the SQLite file.
    #[error("{0} is in use by another tonghop process")]
    InUse(String),
    /// The new catalogue drops something that submissions use.
    #[error("the new catalogue lacks what submissions in the database use: {0}")]
    CatalogueInUse(String),
    /// A stored row cannot be read.
    #[error("the database holds something that cannot be read: {0}")]
    Corrupt(String),
    /// A sum does not fit.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

impl StoreError {
    pub(crate) fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Corrupt(what.to_string())
    }
}

impl From<diesel::result::Error> for StoreError {
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::{DatabaseErrorKind, Error};
        let text = error.to_string();
        let collided = matches!(
            error,
            Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _)
        ) || text.contains("deadlock detected")
            || text.contains("lock timeout")
            || text.contains("database is locked");
        if collided {
            Self::Contention(text)
        } else {
            Self::Unavailable(text)
        }
    }
}
