//! Whatever the upstream answers, a sign-in ends in a person or an error, and the check of a session in a
//! verdict.
//!
//! The input holds the answers of metadata, token endpoint, key set and introspection, with an empty line
//! between them; one that begins with `!` comes with status 400.

#![no_main]

use std::{
    cell::RefCell,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    http::{StatusCode, Uri},
};
use libfuzzer_sys::fuzz_target;
use pangea_mcp_auth::{
    clock::UnixTime,
    fetch::Fetch,
    secret::Secret,
    upstream::{
        SignedIn, Upstream,
        pangea::{Overrides, Pangea, PangeaSettings},
    },
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

type Answers = Arc<Mutex<Vec<Vec<u8>>>>;

/// The upstream, what it answers next, and how to reach it.
#[derive(Clone)]
struct Peer {
    answers: Answers,
    settings: PangeaSettings,
    fetch: Fetch,
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    static PEER: RefCell<Option<Peer>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    RUNTIME.with(|runtime| {
        let peer =
            PEER.with_borrow_mut(|peer| peer.get_or_insert_with(|| runtime.block_on(listen())).clone());
        *peer.answers.lock().expect("no panic") = answers(bytes);
        runtime.block_on(async {
            let pangea = Pangea::new(peer.settings, peer.fetch);
            let signed_in = SignedIn { code: "pmc_x", iss: None, nonce: "n", code_verifier: "v" };
            if let Ok((identity, tokens)) = pangea.redeem(signed_in, NOW).await {
                assert!(!identity.subject.is_empty() && identity.subject.len() <= 255);
                assert!(!tokens.access_token.is_empty());
                for now in [NOW, NOW.plus(Duration::from_hours(2))] {
                    pangea.check(&tokens, now).await;
                }
            }
        });
    });
});

fn answers(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.windows(2).position(|two| two == b"\n\n").filter(|_| answers.len() < 3) {
        answers.push(rest[..end].to_vec());
        rest = &rest[end + 2..];
    }
    answers.push(rest.to_vec());
    answers
}

async fn listen() -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let answers = Answers::default();
    let held = Arc::clone(&answers);
    let router = Router::new().fallback(move |uri: Uri| async move { answer(&held, uri.path()) });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = PangeaSettings {
        issuer_url: format!("http://{address}").parse().expect("a URL"),
        client_id: "psa_fuzz".to_owned(),
        client_secret: Secret::new("authn.client_secret", "pck_fuzz".to_owned()),
        redirect_uri: "http://localhost:8000/pangea/callback".to_owned(),
        scope: "user".to_owned(),
        pkce: true,
        service: None,
        groups_matter: false,
        email_matters: true,
        trust_unverified_email: false,
        endpoints: Overrides::default(),
    };
    Peer { answers, settings, fetch: Fetch::new(Duration::from_secs(5)).expect("a client") }
}

fn answer(answers: &Answers, path: &str) -> (StatusCode, Vec<u8>) {
    let which = match path {
        path if path.contains(".well-known") => 0,
        path if path.contains("introspect") => 3,
        path if path.contains("jwks") => 2,
        _ => 1,
    };
    let answer = answers.lock().expect("no panic").get(which).cloned().unwrap_or_default();
    match answer.strip_prefix(b"!") {
        Some(refusal) => (StatusCode::BAD_REQUEST, refusal.to_vec()),
        None => (StatusCode::OK, answer),
    }
}
