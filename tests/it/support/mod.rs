//! A server in this process with a clock that stands still, its stand-in for Pangea, a browser and a
//! client. Everything listens on free ports and ends with the test.

mod browser;
mod chromium;
mod client;
mod daemon;
mod fastmcp;
mod listener;
pub(crate) mod process;
mod server;
mod tool;
pub(crate) mod tree;

pub use self::{
    browser::{Browser, Page},
    chromium::{Chromium, artifact},
    client::{Client, Tokens, VERIFIER, challenge},
    daemon::{Daemon, SEALING_KEY, free_port, lines, pangea, read_until},
    fastmcp::{FastMcp, Finished, python},
    listener::Listener,
    server::{Options, RS_SECRET, Server, body, http},
    tool::tool,
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
