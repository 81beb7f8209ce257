//! Server settings that may lose acknowledged writes.

use std::collections::HashMap;

use tokio::time::Instant;

use super::{
    connections::{Connections, Failure},
    inspect::{Information, of_value},
    scripts::Request,
};
use crate::repository::{Kind, Result, retry::Repeat};

/// The network can read the connection.
pub(super) const PLAIN: &str = "The connection to Redis is not encrypted, and it leaves this machine. \
    Write `rediss` in its URL.";

/// A failover may lose writes.
const REPLICATED: &str = "Redis replicates what it has acknowledged afterwards: after a failover, the last moments \
    may be missing, revocations included. Set `min-replicas-to-write 1` and a small `min-replicas-max-lag` to make \
    that rare, or use PostgreSQL with synchronous standbys if it must not happen.";

const NO_FILE: &str = "Redis runs with `appendonly no`: when it stops, it forgets what it acknowledged since its last \
    snapshot, or everything if it makes none. Set `appendonly yes` and `appendfsync always`.";

const ON_REWRITE: &str = "Redis runs with `no-appendfsync-on-rewrite yes`: when its machine stops while it rewrites \
    its file, what it acknowledged last may be missing. Set `no-appendfsync-on-rewrite no`.";

const SILENT: &str = "Redis does not say whether it keeps what it acknowledges (CONFIG GET is forbidden or renamed), so \
    its durability could not be determined. Make sure of `appendonly yes` and `appendfsync always`, and allow \
    `+config|get` to the user of the daemon if you can.";

const SILENT_ON_EVICTION: &str = "Redis does not say what it does when its memory is full. Make sure of \
    `maxmemory-policy noeviction`.";

/// The warnings about the servers of all parts, each once.
pub(super) async fn of_servers(connections: &Connections, may_fail_over: bool) -> Result<Vec<String>> {
    let deadline = connections.deadline();
    let mut warnings = Vec::new();
    for kind in connections.parts() {
        for warning in of_server(connections, kind, may_fail_over, deadline).await? {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    Ok(warnings)
}

async fn of_server(
    connections: &Connections,
    kind: Kind,
    may_fail_over: bool,
    deadline: Instant,
) -> Result<Vec<String>> {
    let told = Information::of(connections, kind, deadline).await?;
    let told = |name: &str| told.as_ref().and_then(|told| told.value(name)).map(str::to_owned);
    let mut warnings = Vec::new();
    let appends = match told("aof_enabled") {
        Some(enabled) => Some(enabled == "1"),
        None => setting(connections, kind, "appendonly", deadline).await?.map(|appends| appends == "yes"),
    };
    let sync = setting(connections, kind, "appendfsync", deadline).await?;
    match (appends, sync) {
        (Some(false), _) => warnings.push(NO_FILE.to_owned()),
        (Some(true), Some(sync)) if sync == "always" => {
            let skips = setting(connections, kind, "no-appendfsync-on-rewrite", deadline).await?;
            warnings.extend(skips.filter(|skips| skips == "yes").map(|_| ON_REWRITE.to_owned()));
        }
        (Some(true), Some(sync)) => warnings.push(format!(
            "Redis runs with `appendfsync {sync}`: when it stops, it forgets what it acknowledged last, \
             revocations included. Set `appendfsync always`."
        )),
        (_, _) => warnings.push(SILENT.to_owned()),
    }
    let policy = match told("maxmemory_policy") {
        Some(policy) => Some(policy),
        None => setting(connections, kind, "maxmemory-policy", deadline).await?,
    };
    match policy {
        // Records have no expiry in Redis: `volatile-*` policies do not evict them.
        Some(policy) if policy.starts_with("allkeys") => warnings.push(format!(
            "Redis runs with `maxmemory-policy {policy}`: when its memory is full, it throws away clients, grants \
             and keys. Set `maxmemory-policy noeviction`."
        )),
        Some(_) => {}
        None => warnings.push(SILENT_ON_EVICTION.to_owned()),
    }
    if may_fail_over || told("connected_slaves").is_some_and(|replicas| replicas != "0") {
        warnings.push(REPLICATED.to_owned());
    }
    Ok(warnings)
}

/// A server setting; `None` if reading it is not permitted.
async fn setting(
    connections: &Connections,
    kind: Kind,
    name: &str,
    deadline: Instant,
) -> Result<Option<String>> {
    match connections.run(&Request::setting(kind, name), Repeat::Always, deadline).await {
        Ok(answer) => {
            Ok(of_value(answer.value).and_then(|mut all: HashMap<String, String>| all.remove(name)))
        }
        Err(Failure::Refused(_)) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}
