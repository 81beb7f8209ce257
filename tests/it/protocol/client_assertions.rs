//! Clients that sign assertions (`private_key_jwt`; RFC 7523 section 3).

use std::{collections::BTreeSet, time::Duration};

use pangea_mcp_auth::{
    clock::Clock,
    flow::administration::{Credential, NewClient, Purpose},
    oauth::redirect::PrivateUseSchemes,
    secret::{SystemRandom, encode},
};
use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{
    Client, Machine, Options, Server, Signer, SigningMachine, Tokens, VERIFIER, at_once, body, claims,
    operator, with_assertion,
};

/// Refusals are limited, and some tests have many.
const UNLIMITED: &str = "[limits.failed_authentications]\nper_minute = 60000\nburst = 1000";

async fn unlimited() -> Server {
    Server::with(Options { sections: UNLIMITED, ..Options::default() }).await
}

async fn refused(response: Response, status: u16, error: &str, what: &str) {
    let got = response.status().as_u16();
    let challenge = response.headers().contains_key("www-authenticate");
    let body = body(response).await;
    assert_eq!((got, body["error"].as_str()), (status, Some(error)), "{what}: {body}");
    assert_eq!(challenge, status == 401, "{what}");
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

/// Shows: CAUTH-10, CC-2.
#[tokio::test]
async fn a_key_of_each_type_proves_who_a_client_is() {
    let server = Server::start().await;
    for algorithm in ["ES256", "EdDSA", "PS256", "RS256"] {
        let machine = SigningMachine::usual(&server, algorithm).await;
        let tokens = Tokens::of(machine.ask(&server, &machine.assertion(&server)).await).await;
        assert_eq!(claims(&tokens.access)["sub"], machine.id.as_str(), "{algorithm}");
        let header = json!({ "alg": algorithm });
        let without_kid = machine.signer.sign_with(&header, &machine.claims(&server));
        assert_eq!(machine.ask(&server, &without_kid).await.status(), 200, "{algorithm} without kid");
        let named = machine.assertion(&server);
        let more = [("grant_type", "client_credentials"), ("client_id", &*machine.id)];
        let answer = server.form("/token", &with_assertion(&named, &more)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{algorithm} with client_id");
    }
}

/// Shows: CAUTH-10.
#[tokio::test]
async fn a_person_signs_in_with_a_client_that_signs() {
    let server = Server::start().await;
    let (signer, redirect_uri) = (Signer::new("ES256", "k"), "http://127.0.0.1:4711/callback".to_owned());
    let purpose = Purpose::SignIn {
        redirect_uris: vec![redirect_uri.clone()],
        credential: Some(Credential::Keys(signer.keys())),
    };
    let new = NewClient { name: None, purpose };
    let added = operator(&server).add_client(new, &PrivateUseSchemes::None, &SystemRandom).await.unwrap();
    let client = Client { id: added.client.client_id.to_string(), secret: None, redirect_uri };
    let machine = SigningMachine { id: client.id.clone(), signer };
    let code = client.code(&server).await;
    refused(client.redeem(&server, &code).await, 401, "invalid_client", "client_id alone").await;
    let assertion = machine.assertion(&server);
    let pairs = with_assertion(
        &assertion,
        &[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &client.redirect_uri),
            ("code_verifier", VERIFIER),
        ],
    );
    let tokens = Tokens::of(server.form("/token", &pairs).send().await.unwrap()).await;
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", &*tokens.refresh)];
    let again = server.form("/token", &with_assertion(&assertion, &refresh)).send().await.unwrap();
    refused(again, 401, "invalid_client", "a used assertion").await;
    let fresh = machine.assertion(&server);
    let refreshed = server.form("/token", &with_assertion(&fresh, &refresh)).send().await.unwrap();
    let refreshed = Tokens::of(refreshed).await;
    let asked = [("grant_type", "client_credentials")];
    let fresh = machine.assertion(&server);
    let denied = server.form("/token", &with_assertion(&fresh, &asked)).send().await.unwrap();
    refused(denied, 400, "unauthorized_client", "it asks people").await;
    let fresh = machine.assertion(&server);
    let revoked = server
        .form("/revoke", &with_assertion(&fresh, &[("token", &refreshed.refresh)]))
        .send()
        .await
        .unwrap();
    assert_eq!(revoked.status(), 200);
    assert_eq!(server.introspect(&refreshed.access).await["active"], false);
}

/// Shows: CAUTH-10.
#[tokio::test]
async fn an_assertion_is_used_up_by_a_request_that_is_refused() {
    let server = Server::start().await;
    let machine = SigningMachine::usual(&server, "ES256").await;
    for (name, value, error) in [
        ("scope", "never-offered", "invalid_scope"),
        ("resource", "https://other.example/mcp", "invalid_target"),
    ] {
        let assertion = machine.assertion(&server);
        let asked = [("grant_type", "client_credentials"), (name, value)];
        let denied = server.form("/token", &with_assertion(&assertion, &asked)).send().await.unwrap();
        refused(denied, 400, error, name).await;
        refused(machine.ask(&server, &assertion).await, 401, "invalid_client", "the same assertion").await;
    }
}

/// Shows: CAUTH-10, CAUTH-11.
#[tokio::test]
async fn one_defect_at_a_time_is_refused_at_every_endpoint() {
    let server = unlimited().await;
    let machine = SigningMachine::usual(&server, "ES256").await;
    let now = server.clock.now().as_secs();
    let good = || machine.claims(&server);
    let set = |name: &str, value: Value| machine.signer.sign(&with(good(), name, value));
    let without = |name: &str| {
        let mut claims = good();
        claims.as_object_mut().unwrap().remove(name);
        machine.signer.sign(&claims)
    };
    let header = |header: Value| machine.signer.sign_with(&header, &good());
    let stranger = Signer::new("ES256", "k");
    let parts: Vec<String> = machine.assertion(&server).split('.').map(str::to_owned).collect();
    let other = SigningMachine::usual(&server, "ES256").await;
    let token_url = format!("{}/token", server.url);
    let assertions = [
        ("another key", stranger.sign(&good())),
        ("another client's key", other.signer.sign(&good())),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("another's claims", format!("{}.{}.{}", parts[0], encode(good().to_string().as_bytes()), parts[2])),
        ("a cut signature", format!("{}.{}.{}", parts[0], parts[1], &parts[2][..80])),
        ("none", format!("{}.{}.", encode(b"{\"alg\":\"none\"}"), parts[1])),
        ("an unknown kid", header(json!({ "alg": "ES256", "kid": "other" }))),
        ("ES384", header(json!({ "alg": "ES384" }))),
        ("HS256", header(json!({ "alg": "HS256" }))),
        ("typ of an access token", header(json!({ "alg": "ES256", "typ": "at+jwt" }))),
        ("typ of an ID-JAG", header(json!({ "alg": "ES256", "typ": "oauth-id-jag+jwt" }))),
        ("typ of a proof", header(json!({ "alg": "ES256", "typ": "dpop+jwt" }))),
        ("crit", header(json!({ "alg": "ES256", "crit": ["exp"] }))),
        ("its own key", header(json!({ "alg": "ES256", "jwk": stranger.jwk(), "kid": "x" }))),
        ("no iss", without("iss")),
        ("no sub", without("sub")),
        ("no aud", without("aud")),
        ("no exp", without("exp")),
        ("no jti", without("jti")),
        ("iss of another", set("iss", json!(other.id))),
        ("sub of another", set("sub", json!(other.id))),
        ("sub of an unknown client", set("sub", json!("mcp_AAAAAAAAAAAAAAAAAAAAAA"))),
        ("expired", set("exp", json!(now))),
        ("far exp", set("exp", json!(now + 601))),
        ("not yet", set("nbf", json!(now + 180))),
        ("aud is the token endpoint", set("aud", json!(token_url))),
        ("aud is elsewhere", set("aud", json!("https://elsewhere.example"))),
        ("aud is a list of two", set("aud", json!([server.url, token_url]))),
        ("aud is an empty list", set("aud", json!([]))),
        ("aud is the resource", set("aud", json!(server.resource))),
    ];
    for (what, assertion) in &assertions {
        for endpoint in ["/token", "/revoke"] {
            let more = [("grant_type", "client_credentials"), ("token", "unknown")];
            let answer = server.form(endpoint, &with_assertion(assertion, &more)).send().await.unwrap();
            refused(answer, 401, "invalid_client", &format!("{endpoint}: {what}")).await;
        }
    }
    for (what, assertion) in [
        ("aud in a list", set("aud", json!([server.url]))),
        ("aud with a slash", set("aud", json!(format!("{}/", server.url)))),
        ("exp ten minutes ahead", set("exp", json!(now + 600))),
        ("no iat", without("iat")),
        ("the new typ", header(json!({ "alg": "ES256", "typ": "client-authentication+jwt" }))),
    ] {
        assert_eq!(machine.ask(&server, &assertion).await.status(), 200, "{what}");
    }
}

/// A public key is no shared secret, and an RSA key of one algorithm signs with no other.
/// Shows: CAUTH-10.
#[tokio::test]
async fn algorithms_are_not_confused() {
    let server = Server::start().await;
    let machine = SigningMachine::usual(&server, "RS256").await;
    let claims = machine.claims(&server);
    let as_pss = machine.signer.sign_with(&json!({ "alg": "PS256" }), &claims);
    assert_eq!(machine.ask(&server, &as_pss).await.status(), 200, "a key without alg serves both");
    for algorithm in ["RS256", "PS256"] {
        // The signature is right for one algorithm, and the header names the other.
        let assertion = machine.signer.sign_with(&json!({ "alg": algorithm }), &machine.claims(&server));
        let (_, rest) = assertion.split_once('.').unwrap();
        let other = if algorithm == "RS256" { "PS256" } else { "RS256" };
        let swapped = format!("{}.{rest}", encode(json!({ "alg": other }).to_string().as_bytes()));
        refused(machine.ask(&server, &swapped).await, 401, "invalid_client", other).await;
    }
}

/// Shows: CAUTH-4, CAUTH-8, CAUTH-10.
#[tokio::test]
async fn a_client_that_signs_proves_itself_in_no_other_way() {
    let server = Server::start().await;
    let (signing, secret) =
        (SigningMachine::usual(&server, "ES256").await, Machine::usual(&server, "user").await);
    let public = Client::public(&server).await;
    let asked = ("grant_type", "client_credentials");
    let alone = server.form("/token", &[asked, ("client_id", &signing.id)]).send().await.unwrap();
    refused(alone, 401, "invalid_client", "client_id alone").await;
    let basic = server.form("/token", &[asked]).basic_auth(&signing.id, Some("secret")).send().await.unwrap();
    refused(basic, 401, "invalid_client", "Basic").await;
    for id in [&secret.id, &public.id] {
        let theirs = with(with(signing.claims(&server), "iss", json!(id)), "sub", json!(id));
        let answer = signing.ask(&server, &signing.signer.sign(&theirs)).await;
        refused(answer, 401, "invalid_client", "a client without keys").await;
    }
    let assertion = signing.assertion(&server);
    let both = with_assertion(&assertion, &[asked, ("client_secret", "x")]);
    refused(server.form("/token", &both).send().await.unwrap(), 400, "invalid_request", "secret").await;
    let both = server
        .form("/token", &with_assertion(&assertion, &[asked]))
        .basic_auth(&secret.id, Some(&secret.secret));
    refused(both.send().await.unwrap(), 400, "invalid_request", "Basic").await;
    let other = with_assertion(&assertion, &[asked, ("client_id", &secret.id)]);
    refused(server.form("/token", &other).send().await.unwrap(), 401, "invalid_client", "another id").await;
    for kind in ["", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "jwt-bearer"] {
        let pairs = [asked, ("client_assertion_type", kind), ("client_assertion", &assertion)];
        refused(server.form("/token", &pairs).send().await.unwrap(), 401, "invalid_client", kind).await;
    }
    assert_eq!(signing.ask(&server, &assertion).await.status(), 200, "nothing of this used it up");
}

/// Resource servers introspect with their secret; an assertion is neither a credential nor a token there.
/// Shows: JWT-6.
#[tokio::test]
async fn an_assertion_is_nothing_to_introspection() {
    let server = Server::start().await;
    let machine = SigningMachine::usual(&server, "ES256").await;
    let assertion = machine.assertion(&server);
    assert_eq!(server.introspect(&assertion).await, json!({ "active": false }));
    let answer =
        server.form("/introspect", &with_assertion(&assertion, &[("token", "x")])).send().await.unwrap();
    refused(answer, 401, "invalid_client", "a credential").await;
}

/// Shows: CAUTH-10.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_uses_of_one_assertion_at_several_processes_one_succeeds() {
    let first = unlimited().await;
    let (second, third) = (first.twin().await, first.twin().await);
    let servers = [first, second, third];
    let machine = SigningMachine::usual(&servers[0], "ES256").await;
    for round in 0..6 {
        // The twins have the first one's issuer.
        let assertion = machine.assertion(&servers[0]);
        let answers = at_once((0..24).map(|n| machine.ask(&servers[n % 3], &assertion))).await;
        let mut yielded = Vec::new();
        for answer in answers {
            if answer.status() == 200 {
                yielded.push(Tokens::of(answer).await.access);
            } else {
                refused(answer, 401, "invalid_client", "used").await;
            }
        }
        assert_eq!(yielded.len(), 1, "round {round}");
        assert_eq!(servers[2].introspect(&yielded[0]).await["active"], true);
        let live = servers[0].stored_grants().len();
        assert_eq!(live, round + 1, "the others leave nothing");
    }
}

/// Shows: CAUTH-10, LIM-2.
#[tokio::test]
async fn an_assertion_stays_used_until_it_expires_and_is_then_forgotten() {
    let server = Server::start().await;
    let machine = SigningMachine::usual(&server, "EdDSA").await;
    let claims = machine.claims(&server);
    let assertion = machine.signer.sign(&claims);
    assert_eq!(machine.ask(&server, &assertion).await.status(), 200);
    let restarted = server.twin().await;
    for wait in [0, 299, 1] {
        server.advance(Duration::from_secs(wait));
        refused(machine.ask(&restarted, &assertion).await, 401, "invalid_client", "again").await;
    }
    // Another signature over the same `jti` is the same assertion.
    let later = with(claims.clone(), "exp", json!(server.clock.now().as_secs() + 60));
    assert_eq!(
        machine.ask(&server, &machine.signer.sign(&later)).await.status(),
        200,
        "the first has expired"
    );
    refused(machine.ask(&server, &machine.signer.sign(&later)).await, 401, "invalid_client", "jti").await;
    server.advance(Duration::from_mins(20));
    server.server.purge().await.unwrap();
    let database = rusqlite::Connection::open(server.folder.path().join("test.sqlite")).unwrap();
    let left: i64 = database
        .query_row("SELECT count(*) FROM record WHERE key LIKE 'assertion.%'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

/// Shows: CAUTH-10.
#[tokio::test]
async fn two_clients_may_use_the_same_jti() {
    let server = Server::start().await;
    let (one, other) =
        (SigningMachine::usual(&server, "ES256").await, SigningMachine::usual(&server, "ES256").await);
    for machine in [one, other] {
        let assertion = machine.signer.sign(&with(machine.claims(&server), "jti", json!("1")));
        assert_eq!(machine.ask(&server, &assertion).await.status(), 200);
    }
}

/// Shows: CAUTH-9, LOG-1.
#[tokio::test]
async fn wrong_assertions_are_limited_and_no_assertion_is_stored() {
    let sections = "[limits.failed_authentications]\nper_minute = 1\nburst = 5";
    let server = Server::with(Options { sections, ..Options::default() }).await;
    let machine = SigningMachine::usual(&server, "ES256").await;
    let stranger = Signer::new("ES256", "k");
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let guess = stranger.sign(&machine.claims(&server));
        statuses.push(machine.ask(&server, &guess).await.status().as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    let assertion = machine.assertion(&server);
    assert_eq!(machine.ask(&server, &assertion).await.status(), 200, "the right one is never limited");
    let stored = server.database_text();
    let parts: BTreeSet<&str> = assertion.split('.').collect();
    assert!(parts.iter().all(|part| !stored.contains(part)), "only a hash of its jti is kept");
}
