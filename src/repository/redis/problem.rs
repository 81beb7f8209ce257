//! Why the server cannot be used, and how to fix it.

use std::{error::Error, io, sync::Arc};

use ::redis::{ErrorKind, RedisError};

use super::{
    address::{Address, Place, Server},
    scripts::SCHEMA,
};
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

/// The names in error messages.
#[derive(Debug, Clone)]
pub(super) struct Names {
    place: String,
    user: String,
    database: i64,
}

impl Names {
    /// Takes the names from the address.
    pub(super) fn of(address: &Address) -> Self {
        let list =
            |servers: &[Server]| servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let place = match &address.place {
            Place::Single(server) => format!("Redis at {server}"),
            Place::Sentinel { sentinels, service } => {
                format!("the service \"{service}\" of the Sentinels at {}", list(sentinels))
            }
            Place::Cluster(servers) => format!("the Redis Cluster at {}", list(servers)),
        };
        let user = address.user.clone().unwrap_or_else(|| "default".to_owned());
        Self { place, user, database: address.database }
    }

    /// All servers.
    pub(super) fn place(&self) -> String {
        self.place.clone()
    }

    /// All servers, and the database number.
    pub(super) fn database(&self) -> String {
        format!("{}, database {}", self.place, self.database)
    }

    /// Judges an error of a server.
    pub(super) fn refused(&self, server: &Server, error: &RedisError) -> Problem {
        let (server, user) = (format!("Redis at {server}"), self.user.clone());
        let reason = words(error);
        match code(error) {
            Some("NOAUTH") => Problem::NoPassword { server },
            Some("WRONGPASS") => Problem::WrongPassword { server, user },
            Some("NOPERM") => Problem::NotAllowed { server, user, reason },
            Some("READONLY") => Problem::ReadOnly { server },
            Some("WRONGTYPE") => Problem::Foreign { server, reason },
            Some("ERR") if reason.contains("without any password configured") => {
                Problem::WrongPassword { server, user }
            }
            Some("ERR") if reason.contains("unknown command") && reason.to_lowercase().contains("hello") => {
                Problem::TooOld { server, found: "it has no HELLO".to_owned() }
            }
            Some("ERR") if reason.contains("DB index is out of range") => {
                Problem::NoDatabase { server, database: self.database }
            }
            Some("ERR") if reason.contains("has no permissions") => {
                Problem::NotAllowed { server, user, reason }
            }
            Some(_) => Problem::Busy { server, reason },
            None if error.kind() == ErrorKind::AuthenticationFailed => {
                Problem::WrongPassword { server, user }
            }
            None if error.kind() == ErrorKind::RESP3NotSupported => {
                Problem::TooOld { server, found: "it has no HELLO".to_owned() }
            }
            None => match tls_error(error) {
                Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
                    Problem::Certificate { server, reason }
                }
                Some(rustls::Error::InvalidMessage(_)) => Problem::NoTls { server },
                _ => Problem::Away { server, reason },
            },
        }
    }

    /// The servers did not answer.
    pub(super) fn away(&self, reason: impl Into<String>) -> Problem {
        Problem::Away { server: self.place(), reason: reason.into() }
    }
}

/// Codes that servers before version 7 put into the text of a script's error.
const IN_SCRIPTS: [&str; 5] = ["READONLY", "OOM", "MISCONF", "NOREPLICAS", "WRONGTYPE"];

/// The code of a server's error; `None` if the server did not answer.
pub(super) fn code(error: &RedisError) -> Option<&str> {
    let code = error.code()?;
    let Some(detail) = error.detail().filter(|_| code == "ERR") else { return Some(code) };
    if detail.contains("user executing the script can't") {
        return Some("NOPERM");
    }
    let hidden = |code: &&&str| detail.contains(&format!("-{code} "));
    Some(IN_SCRIPTS.iter().find(hidden).copied().unwrap_or(code))
}

/// The error in one line.
fn words(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some("ERR"), Some(detail)) => detail.to_owned(),
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}

fn tls_error(error: &RedisError) -> Option<&rustls::Error> {
    let cause: &Arc<dyn Error + Send + Sync> = error.source()?.downcast_ref()?;
    let broke = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    broke.map_or_else(|| cause.downcast_ref(), |inner| inner.downcast_ref())
}
