//! Why a program ends, and its exit code.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use tonghop_storage::{DatabaseUrl, StoreError};

/// Why a program ends: one sentence for the operator, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A setting or an argument is wrong, or another command must run first. Exit code 2: starting again does not help.
    Configuration(String),
    /// A dependency is unavailable, or the command found something wrong. Exit code 1: a later attempt can succeed.
    Runtime(String),
    /// A verification had nothing to verify, so it proves nothing. Exit code 3.
    NothingChecked(String),
}

impl Failure {
    /// A wrong setting or argument.
    pub fn configuration(sentence: impl Display) -> Self {
        Self::Configuration(sentence.to_string())
    }

    /// An unavailable dependency, or a negative finding.
    pub fn runtime(sentence: impl Display) -> Self {
        Self::Runtime(sentence.to_string())
    }

    /// A file that cannot be used. A path that is wrong in itself is a configuration failure; a full disk is not.
    pub fn file(path: &Path, error: &std::io::Error) -> Self {
        let sentence = format!("{}: {error}", path.display());
        match error.kind() {
            ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::PermissionDenied
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory
            | ErrorKind::InvalidData
            | ErrorKind::InvalidFilename => Self::Configuration(sentence),
            _ => Self::Runtime(sentence),
        }
    }

    /// A database that cannot be opened or prepared; the sentence names it, without its password.
    pub fn database(database: &DatabaseUrl, error: &StoreError) -> Self {
        Self::with_code_of(error, format!("{database}: {error}"))
    }

    fn with_code_of(error: &StoreError, sentence: String) -> Self {
        match error {
            StoreError::CatalogueMismatch | StoreError::NotMigrated | StoreError::CatalogueInUse(_) => {
                Self::Configuration(sentence)
            }
            StoreError::Unavailable(_)
            | StoreError::Overloaded
            | StoreError::Contention(_)
            | StoreError::InUse(_)
            | StoreError::ConstraintViolated(_)
            | StoreError::Corrupt(_)
            | StoreError::Overflow(_) => Self::Runtime(sentence),
        }
    }

    /// The sentence for the operator.
    pub fn sentence(&self) -> &str {
        match self {
            Self::Configuration(sentence) | Self::Runtime(sentence) | Self::NothingChecked(sentence) => {
                sentence
            }
        }
    }

    /// The exit code of the process: 1, 2 or 3.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) => ExitCode::from(2),
            Self::Runtime(_) => ExitCode::FAILURE,
            Self::NothingChecked(_) => ExitCode::from(3),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::with_code_of(&error, error.to_string())
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_must_fix_first_is_a_configuration_failure() {
        for error in [
            StoreError::CatalogueMismatch,
            StoreError::NotMigrated,
            StoreError::CatalogueInUse("unit 866".into()),
        ] {
            assert!(matches!(Failure::from(error), Failure::Configuration(_)));
        }
        for error in [
            StoreError::Unavailable("no route".into()),
            StoreError::InUse("tonghop.db".into()),
            StoreError::Corrupt("a row".into()),
        ] {
            assert!(matches!(Failure::from(error), Failure::Runtime(_)));
        }
    }

    #[test]
    fn a_wrong_path_is_a_configuration_failure_and_a_full_disk_is_not() {
        let failure = |kind: ErrorKind| Failure::file("report.json".as_ref(), &kind.into());
        assert!(matches!(failure(ErrorKind::NotFound), Failure::Configuration(_)));
        assert!(matches!(failure(ErrorKind::StorageFull), Failure::Runtime(_)));
        assert!(
            failure(ErrorKind::NotFound)
                .to_string()
                .starts_with("report.json: ")
        );
    }
}
