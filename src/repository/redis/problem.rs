//! Why the server cannot be used, and how to fix it.

use super::scripts::SCHEMA;
use crate::repository::{RepositoryError, authorities::CaFileError};

/// The permissions that the daemon's user needs, for `ACL SETUSER`.
pub(super) const NEEDED: &str = "~pangea-mcp-auth:* +get +mget +set +del +getrange +zadd +zrem \
    +zrangebylex +zrevrangebylex +zrangebyscore +evalsha +script|load +select +asking +info +config|get";

/// Why a server cannot be used. The messages never quote a password.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error(
        "the URL of Redis cannot be read: {0}; write redis://user@host:6379/0, rediss://… for TLS, redis+unix:///path, redis+sentinel://host:26379,host:26379/service or redis+cluster://host:6379,host:6379, with special characters percent-encoded, and the password better under `password`"
    )]
    Url(&'static str),
    #[error(transparent)]
    CaFile(#[from] CaFileError),
    #[error("`ca_file` is set, but the URL of Redis asks for no TLS: write rediss://, or remove `ca_file`")]
    CaFileWithoutTls,
    #[error("{server} does not answer: {reason}")]
    Away { server: String, reason: String },
    #[error("{server} cannot serve now: {reason}")]
    Busy { server: String, reason: String },
    #[error(
        "{server} wants a password: set `password`, and name the user in the URL if it has one of its own"
    )]
    NoPassword { server: String },
    #[error(
        "{server} refuses the password of the user \"{user}\", or has no such user: correct `password` or the URL"
    )]
    WrongPassword { server: String, user: String },
    #[error(
        "{server} does not let the user \"{user}\" do all that is needed ({reason}): run ACL SETUSER {user} {NEEDED}"
    )]
    NotAllowed { server: String, user: String, reason: String },
    #[error("{server} has no database {database}: name another in the URL")]
    NoDatabase { server: String, database: i64 },
    #[error("{server} offers no TLS: name its TLS port, or write redis:// if the way there is safe")]
    NoTls { server: String },
    #[error(
        "the certificate of {server} is not trusted ({reason}): set `ca_file` to the authority that signed it, and name the server in the URL as the certificate does"
    )]
    Certificate { server: String, reason: String },
    #[error("{server} is a replica and can only be read: name the primary in the URL, or the Sentinels")]
    ReadOnly { server: String },
    #[error("{server} is older than Redis 6 (it says {found}): use a newer one, or Valkey")]
    TooOld { server: String, found: String },
    #[error("{server} belongs to a Cluster: write redis+cluster:// in the URL")]
    InCluster { server: String },
    #[error("{server} is a Sentinel: write redis+sentinel://host:26379/service in the URL")]
    IsSentinel { server: String },
    #[error("{server} is no Sentinel ({reason}): name Sentinels in the URL, or write redis://")]
    NoSentinel { server: String, reason: String },
    #[error("{server} knows no service \"{service}\": correct the end of the URL")]
    NoService { server: String, service: String },
    #[error(
        "{server} was written by a newer version of this program (schema {found}, known here: {SCHEMA}): run that version"
    )]
    Newer { server: String, found: String },
    #[error("{server} holds something else under a key of this program's: {reason}")]
    Foreign { server: String, reason: String },
}

impl Problem {
    /// Whether the problem may pass without a change of configuration.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Busy { .. } | Self::ReadOnly { .. })
    }
}

impl From<Problem> for RepositoryError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Away { .. } | Problem::Busy { .. } => Self::Unavailable(problem.to_string()),
            _ => Self::Unusable(problem.to_string()),
        }
    }
}
