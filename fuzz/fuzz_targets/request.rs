//! Whole requests, cookies and all, at every endpoint: the answer is never 500.
//!
//! The input reads as HTTP does: `METHOD target`, header lines, an empty line, the body. `mcp_x` in it
//! stands for a client that is registered.

#![no_main]

use std::{cell::RefCell, collections::BTreeMap, net::Ipv4Addr, path::Path, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use libfuzzer_sys::fuzz_target;
use pangea_mcp_auth::{
    clock::{ManualClock, UnixTime},
    config::{self, Directories, Environment, KeyringError, RepositoryConfig},
    daemon,
    secret::SystemRandom,
    web::Peer,
};
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

const CONFIG: &str = r#"
public_url = "http://localhost:8000"
trusted_proxies = ["127.0.0.1"]
[authn]
issuer_url = "http://localhost:1"
client_id = "psa_fuzz"
client_secret = { env = "SECRET" }
[[resources]]
url = "http://localhost:8000/mcp"
scopes = ["user"]
introspection = { client_id = "rs", client_secret = { env = "SECRET" } }
[keys]
sealing = { env = "SECRET" }
[repository]
path = "unused"
"#;

/// After so many requests the server starts anew, so that what they registered is forgotten.
const REQUESTS: u32 = 20_000;

struct Surroundings;

impl Environment for Surroundings {
    fn variables(&self) -> BTreeMap<String, String> {
        [("SECRET".to_owned(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".to_owned())].into()
    }

    fn keyring(&self, _name: &str) -> Result<String, KeyringError> {
        Err(KeyringError::NoEntry)
    }

    fn directories(&self) -> Option<Directories> {
        None
    }
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    static SERVER: RefCell<Option<(Assembled, u32)>> = const { RefCell::new(None) };
}

/// A server, and the client that is registered there.
#[derive(Clone)]
struct Assembled {
    router: Router,
    client_id: String,
}

fuzz_target!(|bytes: &[u8]| {
    RUNTIME.with(|runtime| {
        let mut server = server(runtime);
        let Some(request) = request(&with_client(bytes, server.client_id.as_bytes())) else { return };
        let shown = format!("{request:?}");
        let Ok(response) = runtime.block_on(server.router.call(request));
        assert_ne!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "{shown}");
        assert!(!response.headers().is_empty(), "{shown}");
    });
});

fn request(bytes: &[u8]) -> Option<Request<Body>> {
    let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap_or(bytes.len());
    let body = bytes.get(end + 2..).unwrap_or_default().to_vec();
    let mut lines = bytes[..end].split(|&byte| byte == b'\n');
    let (method, target) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let colon = line.iter().position(|&byte| byte == b':')?;
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    request.extension(Peer(Ipv4Addr::LOCALHOST.into())).body(Body::from(body)).ok()
}

fn with_client(bytes: &[u8], client_id: &[u8]) -> Vec<u8> {
    const PLACE: &[u8] = b"mcp_x";
    let mut replaced = Vec::with_capacity(bytes.len() + client_id.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(PLACE.len()).position(|window| window == PLACE) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(client_id);
        rest = &rest[at + PLACE.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

fn server(runtime: &Runtime) -> Assembled {
    SERVER.with_borrow_mut(|server| {
        let fresh = server.take().filter(|(_, left)| *left > 0);
        let (assembled, left) = fresh.unwrap_or_else(|| (runtime.block_on(assemble()), REQUESTS));
        *server = Some((assembled.clone(), left - 1));
        assembled
    })
}

async fn assemble() -> Assembled {
    let file = Path::new("/nonexistent/config.toml");
    let mut config = config::parse(CONFIG, file, &Surroundings).expect("a configuration");
    config.repository.main = RepositoryConfig::Memory;
    let clock = Arc::new(ManualClock::at(UnixTime::from_secs(1_800_000_000)));
    let assembled = daemon::assemble(&config, clock, Arc::new(SystemRandom)).await;
    let mut router = assembled.expect("a server").router;
    let registration = Request::post("/register")
        .header("content-type", "application/json")
        .body(Body::from(
            r#"{"redirect_uris":["http://127.0.0.1:4711/cb"],"token_endpoint_auth_method":"none"}"#,
        ))
        .expect("a request");
    let Ok(response) = router.call(registration).await;
    let body = to_bytes(response.into_body(), 65_536).await.expect("a body");
    let client: serde_json::Value = serde_json::from_slice(&body).expect("a registration");
    let client_id = client["client_id"].as_str().expect("a client id").to_owned();
    Assembled { router, client_id }
}
