//! The subject of row-level security: for whom a transaction works.

use tonghop_domain::KeyId;

/// The subject of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ActingAs {
    /// The service itself, which must read all submissions to add them up.
    Service,
    /// The holder of a key, who reads what the key covers.
    Key(KeyId),
}

impl ActingAs {
    /// The statement that sets the subject of a transaction. A transaction without one reads nothing.
    pub(crate) fn statement(&self) -> String {
        match self {
            Self::Service => "SET LOCAL tonghop.key = '*'".to_owned(),
            // An id consists of letters and digits.
            Self::Key(id) => format!("SET LOCAL tonghop.key = '{id}'"),
        }
    }
}
