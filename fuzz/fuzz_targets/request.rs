//! Whole requests, cookies and all, at every endpoint: the answer is never 500.
//!
//! The input reads as HTTP does: `METHOD target`, header lines, an empty line, the body.

#![no_main]

use std::{cell::RefCell, collections::BTreeMap, path::Path, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use libfuzzer_sys::fuzz_target;
use pangea_mcp_auth::{
    clock::{ManualClock, UnixTime},
    config::{self, Directories, Environment, KeyringError, RepositoryConfig},
    daemon,
    secret::SystemRandom,
};
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

const CONFIG: &str = r#"
public_url = "http://localhost:8000"
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
    static SERVER: RefCell<Option<(Router, u32)>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    let Some(request) = request(bytes) else { return };
    let shown = format!("{request:?}");
    RUNTIME.with(|runtime| {
        let mut server = router(runtime);
        let Ok(response) = runtime.block_on(server.call(request));
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
    request.body(Body::from(body)).ok()
}

fn router(runtime: &Runtime) -> Router {
    SERVER.with_borrow_mut(|server| {
        let fresh = server.take().filter(|(_, left)| *left > 0);
        let (router, left) = fresh.unwrap_or_else(|| (runtime.block_on(assembled()), REQUESTS));
        *server = Some((router.clone(), left - 1));
        router
    })
}

async fn assembled() -> Router {
    let file = Path::new("/nonexistent/config.toml");
    let mut config = config::parse(CONFIG, file, &Surroundings).expect("a configuration");
    config.repository.main = RepositoryConfig::Memory;
    let clock = Arc::new(ManualClock::at(UnixTime::from_secs(1_800_000_000)));
    daemon::assemble(&config, clock, Arc::new(SystemRandom)).await.expect("a server").router
}
