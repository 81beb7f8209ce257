//! Failures of commands: an exit code for programs, a message for people, and a hint that says what to do.

use crate::{daemon::StartError, keys::KeyError, repository::RepositoryError};

/// The exit codes of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Any failure without a code of its own.
    Failed = 1,
    /// The command line contradicts itself.
    Usage = 2,
    /// Nothing matches the given ID or name.
    NotFound = 3,
    /// Part of the work was done.
    Partly = 4,
    /// A required service is unreachable (`EX_UNAVAILABLE`).
    Unreachable = 69,
    /// The upstream refused (`EX_NOPERM`).
    Refused = 77,
    /// The configuration cannot be used (`EX_CONFIG`).
    Configuration = 78,
    /// The user pressed Ctrl-C.
    Interrupted = 130,
}

/// Every exit code with its meaning, for `--help` and the manual page.
pub(super) const EXIT_CODES: [(u8, &str); 9] = [
    (0, "success"),
    (Exit::Failed as u8, "failure"),
    (Exit::Usage as u8, "the command line is invalid"),
    (Exit::NotFound as u8, "nothing matches the given ID or name"),
    (Exit::Partly as u8, "part of the work was done"),
    (Exit::Unreachable as u8, "a required service is unreachable"),
    (Exit::Refused as u8, "the upstream refused the credentials"),
    (Exit::Configuration as u8, "the configuration is invalid, or the repository it names does not exist"),
    (Exit::Interrupted as u8, "interrupted"),
];

/// Why a command failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<RepositoryError> for Failure {
    fn from(error: RepositoryError) -> Self {
        let exit = match error {
            RepositoryError::Unavailable(_) | RepositoryError::Unusable(_) => Exit::Unreachable,
            RepositoryError::Absent(_) => Exit::Configuration,
            RepositoryError::Corrupt(_) | RepositoryError::TooLarge { .. } => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let exit = match error {
            StartError::Repository(RepositoryError::Absent(_)) => Exit::Configuration,
            StartError::Repository(_)
            | StartError::Database { .. }
            | StartError::Keys(KeyError::Repository(_)) => Exit::Unreachable,
            StartError::Keys(_) | StartError::Folder { .. } | StartError::ClientDocuments(_) => {
                Exit::Configuration
            }
            StartError::Tls(_)
            | StartError::Metadata(_)
            | StartError::NoAuthorities(_)
            | StartError::Listen(..) => Exit::Failed,
        };
        let failure = Self::new(exit, error.to_string());
        match error {
            StartError::Keys(KeyError::Sealed(_)) => failure.hint(
                "put that sealing key back. If it is lost, stop every daemon and run `pangea-mcp-auth keys rotate \
                 --revoke-all`: it creates a new signing key, and all users sign in again",
            ),
            _ => failure,
        }
    }
}
