//! For whom a transaction works, which the policies on rows of PostgreSQL ask.

use tonghop_domain::KeyId;

/// For whom a transaction works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ActingAs {
    /// For the service itself, which must see all submissions to add them up.
    Service,
    /// For the holder of a key, who sees what it reaches.
    Key(KeyId),
}

impl ActingAs {
    /// The statement by which a transaction says so. Where none did, it would see nothing.
    pub(crate) fn statement(&self) -> String {
        match self {
            Self::Service => "SET LOCAL tonghop.key = '*'".to_owned(),
            // Letters and digits.
            Self::Key(id) => format!("SET LOCAL tonghop.key = '{id}'"),
        }
    }
}
