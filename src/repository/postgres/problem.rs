//! Why the server cannot be used, and how to fix it.

use std::io;

use tokio_postgres::{
    Error,
    config::{Config, Host},
    error::SqlState,
};

use super::TABLE;
use crate::repository::{RepositoryError, authorities::CaFileError};

/// The oldest supported version, as `server_version_num`.
pub(super) const OLDEST: i32 = 130_000;

/// Why a server cannot be used. The messages never quote a password.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error(
        "the URL of PostgreSQL cannot be read: write postgres://role@host:5432/database?sslmode=verify-full with special characters percent-encoded, `ca_file` in place of `sslrootcert`, and the password better under `password`"
    )]
    Url,
    #[error(
        "the sslmode of the PostgreSQL URL is unknown: write disable, prefer, require, verify-ca or verify-full"
    )]
    SslMode,
    #[error(transparent)]
    CaFile(#[from] CaFileError),
    #[error("the certificate authorities of this machine cannot be read: {0}: install them or set `ca_file`")]
    NoTrust(String),
    #[error("{server} does not answer: {reason}")]
    Away { server: String, reason: String },
    #[error("{server} cannot serve now: {reason}")]
    Busy { server: String, reason: String },
    #[error("{server} wants a password of the role \"{role}\": set `password`")]
    NoPassword { server: String, role: String },
    #[error(
        "{server} refuses the password of the role \"{role}\", or has no such role: correct `password` or the URL"
    )]
    WrongPassword { server: String, role: String },
    #[error("{server} has no role \"{role}\": create it, or name another in the URL")]
    NoRole { server: String, role: String },
    #[error(
        "{server} does not let the role \"{role}\" in from here ({reason}): add a line to its pg_hba.conf"
    )]
    NotLetIn { server: String, role: String, reason: String },
    #[error("{server} cannot agree on how the role \"{role}\" proves who it is: {reason}")]
    Proof { server: String, role: String, reason: String },
    #[error("{server} has no database \"{database}\": create it, or name another in the URL")]
    NoDatabase { server: String, database: String },
    #[error("the role \"{role}\" may not connect to the database \"{database}\": grant it CONNECT")]
    MayNotConnect { role: String, database: String },
    #[error("{server} offers no TLS: switch it on there, or write sslmode=disable if the way there is safe")]
    NoTls { server: String },
    #[error(
        "the certificate of {server} is not trusted ({reason}): set `ca_file` to the authority that signed it, and name the server in the URL as the certificate does"
    )]
    Certificate { server: String, reason: String },
    #[error("{server} can only be read (it is in recovery or set to read-only): name the primary in the URL")]
    ReadOnly { server: String },
    #[error("{server} is older than PostgreSQL 13 (it says {found}): use a newer one")]
    TooOld { server: String, found: i32 },
    #[error("the database \"{database}\" holds {found}, not UTF8: create one with ENCODING 'UTF8'")]
    Encoding { database: String, found: String },
    #[error(
        "the role \"{role}\" may not make the table {TABLE} in the database \"{database}\": grant it CREATE on a schema of its search_path, or start once with the role that owns the table"
    )]
    MayNotMake { role: String, database: String },
    #[error(
        "the role \"{role}\" may not use the table {TABLE} of the database \"{database}\": grant it SELECT, INSERT, UPDATE and DELETE on it"
    )]
    MayNotUse { role: String, database: String },
    #[error(
        "the table {TABLE} of the database \"{database}\" is another program's, or its comment was lost: use another database or schema, or restore the table with its comment"
    )]
    Foreign { database: String },
    #[error(
        "the table {TABLE} of the database \"{database}\" was written by a newer version of this program (schema {found}, known here: {known}): run that version"
    )]
    Newer { database: String, found: usize, known: usize },
}

impl From<Problem> for RepositoryError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Away { .. } | Problem::Busy { .. } => Self::Unavailable(problem.to_string()),
            _ => Self::Unusable(problem.to_string()),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Names {
    server: String,
    role: String,
    database: String,
}

impl Names {
    /// Takes the names from the URL.
    pub(super) fn of(config: &Config) -> Self {
        let hosts = config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let mut hosts: Vec<String> = hosts.collect();
        if hosts.is_empty() {
            hosts = config.get_hostaddrs().iter().map(ToString::to_string).collect();
        }
        let ports = config.get_ports();
        let port = |at: usize| ports.get(at).or_else(|| ports.first()).copied().unwrap_or(5432);
        let places: Vec<_> =
            hosts.iter().enumerate().map(|(at, host)| format!("{host}:{}", port(at))).collect();
        let role = config.get_user().unwrap_or("of this user's name").to_owned();
        let database = config.get_dbname().unwrap_or(&role).to_owned();
        Self { server: format!("PostgreSQL at {}", places.join(", ")), role, database }
    }

    /// The server and the database in it.
    pub(super) fn place(&self) -> String {
        format!("{}, database \"{}\"", self.server, self.database)
    }

    /// Judges a failed connection.
    pub(super) fn refused(&self, error: &Error) -> Problem {
        let Self { server, role, database } = self.clone();
        if let Some(told) = error.as_db_error() {
            let reason = told.message().to_owned();
            return match *told.code() {
                SqlState::INVALID_PASSWORD => Problem::WrongPassword { server, role },
                // The server's message is in the server's language.
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION
                    if told.routine() == Some("InitializeSessionUserId") =>
                {
                    Problem::NoRole { server, role }
                }
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION => Problem::NotLetIn { server, role, reason },
                SqlState::INVALID_CATALOG_NAME => Problem::NoDatabase { server, database },
                SqlState::INSUFFICIENT_PRIVILEGE => Problem::MayNotConnect { role, database },
                _ => Problem::Busy { server, reason },
            };
        }
        let cause = std::error::Error::source(error);
        let reason = cause.map_or_else(|| error.to_string(), ToString::to_string);
        let broke = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
        // This error shows its kind only in its text.
        match (error.to_string().as_str(), broke) {
            ("error performing TLS handshake", None) => Problem::NoTls { server },
            ("error performing TLS handshake", Some(broke)) if is_about_certificate(broke) => {
                Problem::Certificate { server, reason }
            }
            ("invalid configuration", _) => Problem::NoPassword { server, role },
            ("authentication error", _) => Problem::Proof { server, role, reason },
            ("error connecting to server", Some(broke))
                if broke.to_string() == "database does not allow writes" =>
            {
                Problem::ReadOnly { server }
            }
            _ => Problem::Away { server, reason },
        }
    }

    /// The server did not answer.
    pub(super) fn away(&self, reason: &str) -> Problem {
        Problem::Away { server: self.server.clone(), reason: reason.to_owned() }
    }

    /// Refuses servers that are too old.
    pub(super) fn judge_version(&self, found: i32) -> Result<(), Problem> {
        if found >= OLDEST { Ok(()) } else { Err(Problem::TooOld { server: self.server.clone(), found }) }
    }

    /// Refuses databases that are not UTF-8.
    pub(super) fn judge_encoding(&self, found: &str) -> Result<(), Problem> {
        if found == "UTF8" {
            return Ok(());
        }
        Err(Problem::Encoding { database: self.database.clone(), found: found.to_owned() })
    }

    pub(super) fn foreign(&self) -> Problem {
        Problem::Foreign { database: self.database.clone() }
    }

    pub(super) fn newer(&self, found: usize, known: usize) -> Problem {
        Problem::Newer { database: self.database.clone(), found, known }
    }

    pub(super) fn may_not_make(&self) -> Problem {
        Problem::MayNotMake { role: self.role.clone(), database: self.database.clone() }
    }

    pub(super) fn may_not_use(&self) -> Problem {
        Problem::MayNotUse { role: self.role.clone(), database: self.database.clone() }
    }
}

/// Whether the server's certificate is invalid or missing.
fn is_about_certificate(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_before_13_is_too_old() {
        let config: Config = "postgres://daemon@db.example.org/records".parse().expect("a URL");
        let names = Names::of(&config);
        assert!(names.judge_version(130_000).is_ok() && names.judge_version(180_001).is_ok());
        let refused = names.judge_version(120_022).expect_err("is too old").to_string();
        let sentence =
            "PostgreSQL at db.example.org:5432 is older than PostgreSQL 13 (it says 120022): use a newer one";
        assert_eq!(refused, sentence);
    }

    #[test]
    fn every_server_of_the_url_is_named() {
        let names = |url: &str| Names::of(&url.parse().expect("a URL")).server;
        assert_eq!(names("postgres://u@a,b:5433/d"), "PostgreSQL at a:5432, b:5433");
        assert_eq!(names("postgres://u@%2Frun%2Fpostgresql/d"), "PostgreSQL at /run/postgresql:5432");
        assert_eq!(names("postgres:///d?hostaddr=10.0.0.1"), "PostgreSQL at 10.0.0.1:5432");
    }
}
