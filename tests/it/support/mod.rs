//! A server in this process with a clock that stands still, its upstream, a browser and a
//! client. Everything listens on free ports and ends with the test.

mod authority;
mod browser;
mod chance;
mod chromium;
mod client;
mod daemon;
mod documented;
mod documents;
mod engine;
mod fastmcp;
mod listener;
mod machine;
mod pgbouncer;
pub(crate) mod postgres;
pub(crate) mod process;
mod proxy;
pub(crate) mod redis;
mod redis_groups;
mod scripted;
mod self_signed;
mod server;
mod signer;
mod tool;
pub(crate) mod tree;
mod webkit;
mod window;
mod wire;

use std::task::Poll;

pub(crate) use self::documented::documented;
pub use self::{
    authority::Authority,
    browser::{Browser, Page},
    chance::Chance,
    chromium::{Chromium, LAPTOP, PHONE},
    client::{Client, Tokens, VERIFIER, challenge},
    daemon::{Daemon, SEALING_KEY, free_port, lines, pangea, read_until},
    documents::{Deed, DocumentServer},
    engine::{PATIENCE, RecordServer, Records},
    fastmcp::{FastMcp, Finished, python},
    listener::Listener,
    machine::{Machine, SigningMachine, operator, with_assertion},
    pgbouncer::PgBouncer,
    postgres::{PostgresDatabase, PostgresServer},
    proxy::{Fate, Proxy},
    redis::{RedisDatabase, RedisServer},
    redis_groups::{RedisCluster, RedisSentinels},
    scripted::{Scene, Scripted},
    self_signed::self_signed,
    server::{Options, RS_SECRET, RS2_SECRET, Server, Surroundings, TWO_RESOURCES, body, http},
    signer::Signer,
    tool::tool,
    webkit::WebKit,
    wire::Wire,
};

/// Query parameters of a URL, each at most once.
pub fn query(url: &str) -> std::collections::BTreeMap<String, String> {
    let url = url::Url::parse(url).expect("a URL");
    let mut all = std::collections::BTreeMap::new();
    for (name, value) in url.query_pairs() {
        assert!(all.insert(name.to_string(), value.to_string()).is_none(), "{name} stands twice in {url}");
    }
    all
}

/// The claims of a JWT, unverified.
pub fn claims(token: &str) -> serde_json::Value {
    let part = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&pangea_mcp_auth::secret::decode(part).expect("base64url")).expect("JSON")
}

/// Runs futures side by side, as callers do who know nothing of each other; the results in order.
pub async fn at_once<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, done) in running.iter_mut().filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                *done = Some(output);
            }
        }
        if running.iter().all(|(_, done)| done.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, done)| done).collect()
}
