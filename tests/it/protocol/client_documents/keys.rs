//! Clients whose document has keys (`private_key_jwt`).

use std::{
    sync::{Arc, Barrier},
    time::Duration,
};

use reqwest::Response;
use serde_json::{Value, json};

use super::{CLIENT, asked_by, is_refusal, server_for};
use crate::support::{
    Browser, Client, Deed, DocumentServer, Options, Server, Signer, SigningMachine, Tokens, VERIFIER, body,
    query, with_assertion,
};

const KEYS: &str = "/keys.json";
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// A client that signs, with what its document says about keys.
struct Signing {
    client: Client,
    machine: SigningMachine,
}

impl Signing {
    fn with(documents: &DocumentServer, signer: Signer, change: &Value) -> Self {
        let mut members = json!({ "token_endpoint_auth_method": "private_key_jwt" });
        members.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let client = documents.client(CLIENT, &members);
        let machine = SigningMachine { id: client.id.clone(), signer };
        Self { client, machine }
    }

    /// Its keys are in the document.
    fn listing(documents: &DocumentServer, signer: Signer) -> Self {
        let jwks = signer.jwks();
        Self::with(documents, signer, &json!({ "jwks": jwks }))
    }

    /// Its keys are at another URL.
    fn publishing(documents: &DocumentServer, signer: Signer) -> Self {
        publish(documents, &signer);
        let uri = documents.url(KEYS);
        Self::with(documents, signer, &json!({ "jwks_uri": uri }))
    }

    async fn ask(&self, server: &Server, path: &str, signer: &Signer, pairs: &[(&str, &str)]) -> Response {
        let mut claims = self.machine.claims(server);
        claims["aud"] = json!(server.config.issuer.as_str());
        let assertion = signer.sign(&claims);
        server.form(path, &with_assertion(&assertion, pairs)).send().await.unwrap()
    }

    async fn redeem(&self, server: &Server, code: &str) -> Response {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &*self.client.redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        self.ask(server, "/token", &self.machine.signer, &pairs).await
    }

    async fn login(&self, server: &Server) -> Tokens {
        let code = self.client.code(server).await;
        Tokens::of(self.redeem(server, &code).await).await
    }

    async fn refresh(&self, server: &Server, signer: &Signer, refresh: &str) -> Response {
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        self.ask(server, "/token", signer, &pairs).await
    }

    /// Refreshes with a key, and returns the next refresh token.
    async fn refreshed(&self, server: &Server, signer: &Signer, refresh: &str) -> String {
        Tokens::of(self.refresh(server, signer, refresh).await).await.refresh
    }
}

fn publish(documents: &DocumentServer, signer: &Signer) {
    documents.publishes(KEYS, &signer.jwks(), &[]);
}

async fn error(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    (status, body(response).await["error"].as_str().unwrap().to_owned())
}

fn invalid_client() -> (u16, String) {
    (401, "invalid_client".to_owned())
}

/// Shows: CIMD-9.
#[tokio::test]
async fn a_client_with_keys_must_sign() {
    for (algorithm, publishes) in [("ES256", false), ("RS256", true), ("PS256", true), ("EdDSA", false)] {
        let documents = DocumentServer::start();
        let server = server_for(&documents, "").await;
        let signer = Signer::new(algorithm, "k");
        let signing = if publishes {
            Signing::publishing(&documents, signer)
        } else {
            Signing::listing(&documents, signer)
        };
        let (client, key) = (&signing.client, &signing.machine.signer);
        let code = client.code(&server).await;
        assert_eq!(error(client.redeem(&server, &code).await).await, invalid_client(), "no assertion");
        let tokens = signing.login(&server).await;
        assert_eq!(error(client.refresh(&server, &tokens.refresh).await).await, invalid_client());
        let stranger = Signer::new(algorithm, "k");
        let foreign = signing.refresh(&server, &stranger, &tokens.refresh).await;
        assert_eq!(error(foreign).await, invalid_client(), "{algorithm} of a stranger");
        let refresh = signing.refreshed(&server, key, &tokens.refresh).await;
        let unsigned = server.form("/revoke", &[("client_id", &*client.id), ("token", &*refresh)]);
        assert_eq!(error(unsigned.send().await.unwrap()).await, invalid_client(), "no assertion");
        assert_eq!(server.introspect(&tokens.access).await["active"], true);
        let revoked = signing.ask(&server, "/revoke", key, &[("token", &refresh)]).await;
        assert_eq!(revoked.status(), 200);
        assert_eq!(server.introspect(&tokens.access).await["active"], false);
    }
}

/// Shows: CIMD-9.
#[tokio::test]
async fn a_client_that_can_also_do_without_keys_is_not_asked_to_sign() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let signer = Signer::new("RS256", "k");
    let members = json!({
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "jwks_uri": documents.url(KEYS),
    });
    publish(&documents, &signer);
    let signing = Signing::with(&documents, signer, &members);
    let tokens = signing.client.login(&server).await;
    let tokens = Tokens::of(signing.client.refresh(&server, &tokens.refresh).await).await;
    assert!(documents.asked(KEYS).is_empty(), "nobody needed the keys");
    // It may sign nevertheless, and then the signature counts.
    let refresh = signing.refreshed(&server, &signing.machine.signer, &tokens.refresh).await;
    let stranger = Signer::new("RS256", "k");
    assert_eq!(error(signing.refresh(&server, &stranger, &refresh).await).await, invalid_client());
}

/// Shows: CIMD-9, CIMD-15.
#[tokio::test]
async fn a_new_key_is_found_by_one_fetch_a_minute() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let signing = Signing::publishing(&documents, Signer::new("ES256", "first"));
    let first = &signing.machine.signer;
    let mut refresh = signing.login(&server).await.refresh;
    refresh = signing.refreshed(&server, first, &refresh).await;
    assert_eq!(documents.asked(KEYS).len(), 1, "a known key set is not fetched again");
    let second = Signer::new("ES256", "second");
    for _ in 0..3 {
        assert_eq!(error(signing.refresh(&server, &second, &refresh).await).await, invalid_client());
    }
    assert_eq!(documents.asked(KEYS).len(), 1, "it was fetched less than a minute ago");
    documents.publishes(KEYS, &second.jwks(), &["cache-control: max-age=86400"]);
    server.advance(MINUTE);
    refresh = signing.refreshed(&server, &second, &refresh).await;
    assert_eq!(documents.asked(KEYS).len(), 2);
    assert_eq!(error(signing.refresh(&server, first, &refresh).await).await, invalid_client());
    assert_eq!(documents.asked(KEYS).len(), 2);
    // A key that was removed is accepted for an hour at most, whatever the headers say.
    publish(&documents, first);
    server.advance(HOUR);
    assert_eq!(error(signing.refresh(&server, &second, &refresh).await).await, invalid_client());
    assert_eq!(documents.asked(KEYS).len(), 3);
}

/// Shows: CIMD-9, CIMD-12.
#[tokio::test]
async fn the_keys_in_a_document_may_change() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let signing = Signing::listing(&documents, Signer::new("ES256", "k"));
    let first = &signing.machine.signer;
    let refresh = signing.login(&server).await.refresh;
    assert_eq!(documents.requests(), 1);
    let second = Signer::new("ES256", "k");
    let change = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": second.jwks() });
    documents.client(CLIENT, &change);
    server.advance(MINUTE);
    let refresh = signing.refreshed(&server, &second, &refresh).await;
    assert_eq!(documents.requests(), 2, "the key fits none of those that were known");
    assert_eq!(error(signing.refresh(&server, first, &refresh).await).await, invalid_client());
    // Another process knows what was stored.
    let other = server.twin().await;
    documents.does(CLIENT, Deed::HangUp);
    signing.refreshed(&other, &second, &refresh).await;
}

/// Shows: CIMD-12.
#[tokio::test]
async fn a_key_set_that_cannot_be_fetched_does_not_end_a_session() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let signing = Signing::publishing(&documents, Signer::new("ES256", "k"));
    let key = &signing.machine.signer;
    let mut refresh = signing.login(&server).await.refresh;
    let busy = || Deed::Answer { status: 503, headers: Vec::new(), body: Vec::new() };
    for deed in [Deed::HangUp, busy()] {
        documents.does(KEYS, deed);
        server.advance(2 * HOUR);
        refresh = signing.refreshed(&server, key, &refresh).await;
        // A process that has never seen the keys takes them from the client's record.
        refresh = signing.refreshed(&server.twin().await, key, &refresh).await;
    }
    // What is gone, or wrong, is not used any more.
    documents.answers(KEYS, 404, &[], "");
    server.advance(2 * HOUR);
    assert_eq!(error(signing.refresh(&server, key, &refresh).await).await, invalid_client());
    publish(&documents, key);
    server.advance(MINUTE);
    signing.refreshed(&server, key, &refresh).await;
}

/// Shows: CIMD-9, CIMD-12.
#[tokio::test]
async fn the_keys_of_an_earlier_jwks_uri_do_not_count() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let signing = Signing::publishing(&documents, Signer::new("ES256", "k"));
    signing.login(&server).await;
    let change =
        json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": documents.url("/moved") });
    documents.client(CLIENT, &change);
    documents.does("/moved", Deed::HangUp);
    server.advance(2 * HOUR);
    let code = signing.client.code(&server).await;
    let failed = signing.redeem(&server, &code).await;
    assert_eq!(error(failed).await, (503, "temporarily_unavailable".to_owned()));
}

/// While one process fetches keys, another stores that the client has moved them.
///
/// Shows: CIMD-9, CIMD-12.
#[tokio::test]
async fn keys_are_not_stored_for_a_jwks_uri_where_they_were_not_found() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let signing = Signing::publishing(&documents, Signer::new("ES256", "first"));
    let refresh = signing.login(&server).await.refresh;
    let (second, gate) = (Signer::new("ES256", "second"), Arc::new(Barrier::new(2)));
    documents.does(KEYS, Deed::Gated(gate.clone(), second.jwks().to_string().into()));
    let slow = server.twin().await;
    let move_meanwhile = async {
        while documents.asked(KEYS).len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let moved =
            json!({ "jwks_uri": documents.url("/moved"), "token_endpoint_auth_method": "private_key_jwt" });
        documents.client(CLIENT, &moved);
        server.advance(2 * HOUR);
        signing.client.code(&server).await;
        gate.wait();
    };
    let refreshing = signing.refreshed(&slow, &second, &refresh);
    let (refresh, ()) = tokio::join!(refreshing, move_meanwhile);
    // A process that knows only what is stored finds no key at the new address, and has none of the old one.
    documents.does("/moved", Deed::HangUp);
    let failed = signing.refresh(&server.twin().await, &second, &refresh).await;
    assert_eq!(error(failed).await, (503, "temporarily_unavailable".to_owned()));
}

/// Shows: CIMD-9.
#[tokio::test]
async fn keys_that_were_never_seen_and_cannot_be_fetched_are_a_failure_here() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let signing = Signing::publishing(&documents, Signer::new("ES256", "k"));
    documents.does(KEYS, Deed::HangUp);
    let code = signing.client.code(&server).await;
    let failed = signing.redeem(&server, &code).await;
    assert_eq!(error(failed).await, (503, "temporarily_unavailable".to_owned()));
    publish(&documents, &signing.machine.signer);
    server.advance(Duration::from_secs(5));
    Tokens::of(signing.redeem(&server, &code).await).await;
}

/// Shows: CIMD-9.
#[tokio::test]
async fn a_document_without_usable_keys_is_refused() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let signer = || Signer::new("ES256", "k");
    for (number, change) in [
        json!({}),
        json!({ "jwks": { "keys": [] } }),
        json!({ "jwks": { "keys": [Signer::new("ES384", "k").jwk()] } }),
        json!({ "jwks_uri": "http://keys.example/" }),
        json!({ "jwks": signer().jwks(), "jwks_uri": documents.url(KEYS) }),
    ]
    .into_iter()
    .enumerate()
    {
        let signing = Signing::with(&documents, signer(), &change);
        let page = asked_by(&signing.client, &server).await;
        assert!(is_refusal(&page), "{number}: {} {}", page.status, page.html);
        assert!(page.html.contains("jwks"), "{number}: {}", page.html);
        server.advance(Duration::from_secs(5));
    }
}

/// Shows: CIMD-4, CIMD-15.
#[tokio::test]
async fn a_key_set_is_fetched_as_carefully_as_a_document() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let signer = Signer::new("ES256", "k");
    documents.publishes("/moved", &signer.jwks(), &[]);
    let moved = format!("location: {}", documents.url("/moved"));
    documents.answers(KEYS, 302, &[&moved], "");
    let uri = documents.url(KEYS);
    let signing = Signing::with(&documents, signer, &json!({ "jwks_uri": uri }));
    let code = signing.client.code(&server).await;
    for deed in [None, Some(Deed::Flood)] {
        if let Some(deed) = deed {
            documents.does(KEYS, deed);
            server.advance(Duration::from_secs(5));
        }
        let refused = signing.redeem(&server, &code).await;
        assert_eq!(error(refused).await, invalid_client());
    }
    assert!(documents.asked("/moved").is_empty(), "a redirect was followed");
    let head = documents.asked(KEYS).remove(0).to_lowercase();
    assert!(head.contains("accept: application/jwk-set+json"), "{head}");
}

/// A host can be blocked while its keys are known and stored.
///
/// Shows: CIMD-14.
#[tokio::test]
async fn keys_of_a_blocked_host_are_neither_fetched_nor_used() {
    let documents = DocumentServer::start();
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let with = async |more: &str| {
        let (sections, folder) = (documents.section(more), Some(folder.clone()));
        let resources = Some(
            "[[resources]]\nurl = \"https://mcp.example.org/mcp\"\nscopes = [\"user\"]\n\
            introspection = { client_id = \"rs-1\", client_secret = { env = \"RS_SECRET\" } }\n",
        );
        Server::with(Options { sections, resources, folder, ..Options::default() }).await
    };
    let signer = Signer::new("ES256", "k");
    publish(&documents, &signer);
    // The document is on another host than the keys.
    let uri = documents.url(KEYS).replace("127.0.0.1", "127.0.0.2");
    let signing = Signing::with(&documents, signer, &json!({ "jwks_uri": uri }));
    let key = &signing.machine.signer;
    let server = with("").await;
    let of_resource = |server: &Server| {
        signing.client.authorize_url(server, &[("resource", "https://mcp.example.org/mcp")])
    };
    let mut browser = Browser::new();
    let page = browser.get(&of_resource(&server)).await;
    let page = browser.decide(&page, "approve").await;
    let location = browser.follow(page, &signing.client.redirect_uri).await.unwrap();
    let refresh = Tokens::of(signing.redeem(&server, &query(&location)["code"]).await).await.refresh;
    let fetched = documents.asked(KEYS).len();
    let blocking = with("blocked_hosts = [\"127.0.0.2\"]").await;
    for wait in [Duration::ZERO, MINUTE, 2 * HOUR] {
        blocking.advance(wait);
        assert_eq!(error(signing.refresh(&blocking, key, &refresh).await).await, invalid_client());
    }
    assert_eq!(documents.asked(KEYS).len(), fetched);
    // The host of the document is not blocked.
    assert_eq!(Browser::new().get(&of_resource(&blocking)).await.status, 200);
    signing.refreshed(&with("blocked_hosts = [\"127.0.0.3\"]").await, key, &refresh).await;
}
