//! Checks at the start that the servers can be used.

use ::redis::{FromRedisValue, Value, from_redis_value};
use tokio::time::Instant;

use super::{
    connections::{Connections, Failure},
    problem::Problem,
    scripts::{Request, SCHEMA},
};
use crate::repository::{self, Access, Kind, RepositoryError, retry::Repeat};

/// The first version with users and RESP3.
const OLDEST: u32 = 6;

/// Inspects every server. If it may write, it runs every command on nothing, so that missing permissions show at
/// once.
pub(super) async fn inspect(
    connections: &Connections,
    is_single: bool,
    access: Access,
) -> repository::Result<()> {
    let deadline = connections.deadline();
    for kind in connections.parts() {
        let server = connections.names().place();
        if let Some(told) = Information::of(connections, kind, deadline).await? {
            told.judge(server, is_single)?;
        }
        if access == Access::ReadOnly {
            continue;
        }
        let rehearsal = connections.run(&Request::rehearsal(kind), Repeat::Always, deadline).await;
        rehearsal.map_err(Failure::into_problem)?;
    }
    let request = if access == Access::Create { Request::mark() } else { Request::found_mark() };
    let mark = connections.run(&request, Repeat::Always, deadline).await;
    let found: Option<String> = of_value(mark.map_err(Failure::into_problem)?.value);
    if found.is_none() && access != Access::Create {
        return Err(RepositoryError::Absent(connections.names().database()));
    }
    let (found, server) = (found.unwrap_or_default(), connections.names().place());
    match found.parse::<u32>() {
        Ok(_) if found == SCHEMA => Ok(()),
        Ok(_) => Err(Problem::Newer { server, found }.into()),
        Err(_) => {
            let reason =
                "its mark is no number: use another database, or remove pangea-mcp-auth:{key}:schema";
            Err(Problem::Foreign { server, reason: reason.to_owned() }.into())
        }
    }
}

/// The answer to `INFO`: lines of `name:value`.
pub(super) struct Information(String);

impl Information {
    /// Asks the server with this kind; `None` if `INFO` is not permitted.
    pub(super) async fn of(
        connections: &Connections,
        kind: Kind,
        deadline: Instant,
    ) -> Result<Option<Self>, Problem> {
        let answer = connections.run(&Request::information(kind), Repeat::Always, deadline).await;
        match answer {
            Ok(answer) => Ok(of_value(answer.value).map(Self)),
            Err(Failure::Refused(Problem::NotAllowed { .. } | Problem::Busy { .. })) => Ok(None),
            Err(failure) => Err(failure.into_problem()),
        }
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    fn judge(&self, server: String, is_single: bool) -> Result<(), Problem> {
        if let Some(version) = self.value("redis_version") {
            let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
            if major.is_some_and(|major| major < OLDEST) {
                return Err(Problem::TooOld { server, found: version.to_owned() });
            }
        }
        // Valkey's name differs.
        let mode = self.value("redis_mode").or_else(|| self.value("server_mode"));
        match (mode, self.value("role")) {
            (Some("sentinel"), _) => Err(Problem::IsSentinel { server }),
            (Some("cluster"), _) if is_single => Err(Problem::InCluster { server }),
            (_, Some("slave")) if is_single => Err(Problem::ReadOnly { server }),
            _ => Ok(()),
        }
    }
}

/// The value, if it has the expected type.
pub(super) fn of_value<T: FromRedisValue>(value: Value) -> Option<T> {
    from_redis_value(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_before_6_is_too_old() {
        let judge = |version: &str| {
            let told = Information(format!("# Server\r\nredis_version:{version}\r\nrole:master\r\n"));
            told.judge("Redis at a:6379".to_owned(), true)
        };
        assert!(judge("6.0.0").is_ok() && judge("7.2.4").is_ok() && judge("10.0").is_ok());
        let refused = judge("5.0.14").expect_err("is too old").to_string();
        assert_eq!(
            refused,
            "Redis at a:6379 is older than Redis 6 (it says 5.0.14): use a newer one, or Valkey"
        );
    }
}
