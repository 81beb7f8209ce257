//! Judges the errors of servers, and names servers in messages.

use std::{error::Error, io, sync::Arc};

use ::redis::{ErrorKind, RedisError};

use super::{
    address::{Address, Place, Server},
    problem::Problem,
};

/// The names in error messages.
#[derive(Debug, Clone)]
pub(super) struct Names {
    place: String,
    user: String,
    database: i64,
}

impl Names {
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
