//! How a command ends badly: a code for programs, a sentence for people, and what to do about it.

use super::output::complain;
use crate::{daemon::StartError, keys::KeyError, repository::RepositoryError};

/// The exit codes of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Something that has no code of its own.
    Failed = 1,
    /// The command line contradicts itself.
    Usage = 2,
    /// What was named is not there.
    NotFound = 3,
    /// Some of it was done.
    Partly = 4,
    /// A needed service is unreachable (`EX_UNAVAILABLE`).
    Unreachable = 69,
    /// The upstream refused (`EX_NOPERM`).
    Refused = 77,
    /// The configuration cannot be used (`EX_CONFIG`).
    Configuration = 78,
    /// Somebody pressed Ctrl-C.
    Interrupted = 130,
}

/// Every exit code and what it says.
pub(super) const EXIT_CODES: [(u8, &str); 9] = [
    (0, "done"),
    (Exit::Failed as u8, "failed"),
    (Exit::Usage as u8, "the command line is wrong"),
    (Exit::NotFound as u8, "what was named is not there"),
    (Exit::Partly as u8, "some of it was done"),
    (Exit::Unreachable as u8, "a needed service is unreachable"),
    (Exit::Refused as u8, "the upstream refused the credentials"),
    (Exit::Configuration as u8, "there is no usable configuration, or no repository where it says"),
    (Exit::Interrupted as u8, "interrupted"),
];

/// How a command ended badly.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) message: String,
    /// What to do about it.
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

/// The end of a command that did several things: every failure is told, and the code is that of all of
/// them, or that some of it was done.
pub(super) fn tell_all(mut failures: Vec<Failure>, is_some_done: bool) -> Result<(), Failure> {
    let Some(last) = failures.pop() else { return Ok(()) };
    failures.iter().for_each(complain);
    let exit = match last.exit {
        _ if is_some_done => Exit::Partly,
        exit if failures.iter().all(|failure| failure.exit == exit) => exit,
        _ => Exit::Failed,
    };
    Err(Failure { exit, ..last })
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
            StartError::Keys(_) | StartError::Folder { .. } => Exit::Configuration,
            StartError::Tls(_)
            | StartError::Metadata(_)
            | StartError::NoAuthorities(_)
            | StartError::Listen(..) => Exit::Failed,
        };
        let failure = Self::new(exit, error.to_string());
        match error {
            StartError::Keys(KeyError::Sealed(_)) => failure.hint(
                "put that key back; if it is lost, stop every daemon and run `pangea-mcp-auth keys rotate \
                 --revoke-all`: it begins anew under the present key, and everybody signs in again",
            ),
            _ => failure,
        }
    }
}
