//! What resource servers hear of tokens (RFC 7662).
//!
//! Tokens bound to a key (`cnf`, `token_type: "DPoP"` in INTRO-3) are not issued yet.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{Client, Options, RS_SECRET, RS2_SECRET, Server, Tokens, Wire, body, claims};

const TWO_RESOURCES: &str = r#"
[[resources]]
url = "{origin}/mcp"
scopes = ["user", "admin"]
introspection = { client_id = "rs-1", client_secret = { env = "RS_SECRET" } }
[[resources]]
url = "{origin}/other"
scopes = ["user"]
introspection = { client_id = "rs-2", client_secret = { env = "RS2_SECRET" } }
"#;

async fn ask(server: &Server, token: &str, more: &[(&str, &str)]) -> Response {
    let mut pairs = vec![("token", token)];
    pairs.extend(more);
    server.form("/introspect", &pairs).basic_auth("rs-1", Some(RS_SECRET)).send().await.unwrap()
}

/// The answer to a token that the caller may not know about: this body, byte for byte.
async fn assert_inactive(response: Response, what: &str) {
    assert_eq!(response.status(), 200, "{what}");
    assert_eq!(response.text().await.unwrap(), "{\"active\":false}", "{what}");
}

/// Shows: INTRO-1.
#[tokio::test]
async fn only_a_resource_server_with_its_secret_may_ask() {
    let server = Server::start().await;
    let client = Client::confidential(&server).await;
    let tokens = client.login(&server).await;
    let secret = client.secret.as_deref().unwrap();
    for (pairs, basic, what) in [
        (vec![], None, "no credentials"),
        (vec![("client_id", "rs-1")], None, "a name alone"),
        (vec![], Some(("rs-1", "")), "a name alone, in the header"),
        (vec![("client_id", "rs-1"), ("client_secret", "wrong")], None, "a wrong secret"),
        (vec![], Some(("rs-1", "wrong")), "a wrong secret, in the header"),
        (vec![], Some(("rs-2", RS_SECRET)), "an unknown resource server"),
        (vec![], Some((&*client.id, secret)), "a client, though it owns the token"),
    ] {
        for with_token in [true, false] {
            let mut pairs = pairs.clone();
            if with_token {
                pairs.push(("token", &*tokens.access));
            }
            let request = server.form("/introspect", &pairs);
            let request = match basic {
                Some((id, secret)) => request.basic_auth(id, Some(secret)),
                None => request,
            };
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 401, "{what}");
            assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic "), "{what}");
            let body = body(response).await;
            assert_eq!(body["error"], "invalid_client", "{what}");
            assert!(body.get("active").is_none(), "{what}");
        }
    }
    let get = server.get(&format!("/introspect?token={}&client_id=rs-1", tokens.access)).await;
    assert_eq!((get.status().as_u16(), get.headers()["allow"].to_str().unwrap()), (405, "POST"));
    let request = server.json("/introspect", &json!({ "token": tokens.access }));
    let response = request.basic_auth("rs-1", Some(RS_SECRET)).send().await.unwrap();
    assert_eq!(response.status(), 400, "JSON is no form");
    let response = server.form("/introspect", &[]).basic_auth("rs-1", Some(RS_SECRET)).send().await.unwrap();
    assert_eq!(response.status(), 400, "a token is needed");
    assert_eq!(body(response).await["error"], "invalid_request");
}

/// Shows: INTRO-2.
#[tokio::test]
async fn a_token_that_is_not_good_is_inactive_and_nothing_more_is_said() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let code = client.code(&server).await;
    let tokens = Tokens::of(client.redeem(&server, &code).await).await;
    let parts: Vec<&str> = tokens.access.split('.').collect();
    let other_signature = format!("{}.{}.{}", parts[0], parts[1], "A".repeat(parts[2].len()));
    let encode = |value: &Value| pangea_mcp_auth::secret::encode(value.to_string().as_bytes());
    let unsigned = format!("{}.{}.", encode(&json!({ "alg": "none", "typ": "at+jwt" })), parts[1]);
    let mut grown = claims(&tokens.access);
    grown["scope"] = json!("user admin");
    grown["exp"] = json!(u32::MAX);
    let grown = format!("{}.{}.{}", parts[0], encode(&grown), parts[2]);
    let mut next = claims(&tokens.access);
    let jti = next["jti"].as_str().unwrap().to_owned();
    next["jti"] = json!(jti.replace(".1", ".2"));
    let next = format!("{}.{}.{}", parts[0], encode(&next), parts[2]);
    let long = "a".repeat(60_000);
    for token in [
        "x",
        ".",
        "..",
        "...",
        "a.b.c",
        "null",
        "\u{0}",
        "émoji 🦀",
        "' OR 1=1 --",
        &*long,
        &*jti,
        &*code,
        &*tokens.refresh,
        &*other_signature,
        &*unsigned,
        &*grown,
        &*next,
        &tokens.access[1..],
        &format!("{} ", tokens.access),
        &format!("{}.x", tokens.access),
        &format!("Bearer {}", tokens.access),
    ] {
        assert_inactive(ask(&server, token, &[]).await, token).await;
    }
    assert_eq!(server.introspect(&tokens.access).await["active"], true, "the token itself is good");
    server.advance(Duration::from_secs(599));
    assert_eq!(server.introspect(&tokens.access).await["active"], true);
    server.advance(Duration::from_secs(1));
    assert_inactive(ask(&server, &tokens.access, &[]).await, "expired").await;
}

/// Shows: INTRO-3.
#[tokio::test]
async fn a_good_token_is_described_in_full() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let code = client.code_with(&server, &[("scope", "user admin")]).await;
    let tokens = Tokens::of(client.redeem(&server, &code).await).await;
    let answer = server.introspect(&tokens.access).await;
    let claims = claims(&tokens.access);
    for name in ["scope", "client_id", "sub", "aud", "iss", "exp", "iat", "jti"] {
        assert_eq!(answer[name], claims[name], "{name}");
    }
    assert_eq!(answer["active"], true);
    assert_eq!(answer["scope"], "user admin");
    assert_eq!(answer["client_id"], client.id);
    assert_eq!(answer["aud"], server.resource);
    assert_eq!(answer["iss"], server.url);
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["username"], "ada@example.com");
    assert!(answer["sub"].as_str().is_some_and(|sub| !sub.is_empty()));
    assert!(answer["iat"].is_u64() && answer["exp"].is_u64(), "times are numbers: FastMCP refuses texts");
    assert_eq!(answer["exp"].as_u64().unwrap() - answer["iat"].as_u64().unwrap(), 600 + 30);
    let names: BTreeSet<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    let known =
        ["active", "aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sub", "token_type", "username"];
    assert_eq!(names, BTreeSet::from(known), "and nothing else is disclosed");
}

/// Shows: INTRO-3.
#[tokio::test]
async fn a_narrowed_token_is_described_with_its_own_scope() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let code = client.code_with(&server, &[("scope", "user admin")]).await;
    let first = Tokens::of(client.redeem(&server, &code).await).await;
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", &*first.refresh), ("scope", "user")];
    let second = Tokens::of(client.token_request(&server, &pairs).await).await;
    assert_eq!(server.introspect(&first.access).await["scope"], "user admin");
    assert_eq!(server.introspect(&second.access).await["scope"], "user");
}

/// Shows: INTRO-4, INTRO-2.
#[tokio::test]
async fn a_resource_server_sees_the_tokens_of_its_own_resource_alone() {
    let server = Server::with(Options { resources: Some(TWO_RESOURCES), ..Options::default() }).await;
    let client = Client::public(&server).await;
    let mine = client.login(&server).await;
    let other_resource = format!("{}/other", server.origin);
    let code = client.code_with(&server, &[("resource", &other_resource)]).await;
    let others = Tokens::of(client.redeem(&server, &code).await).await;
    assert_eq!(claims(&others.access)["aud"], other_resource);
    for (id, secret, sees, is_blind_for) in
        [("rs-1", RS_SECRET, &mine, &others), ("rs-2", RS2_SECRET, &others, &mine)]
    {
        let ask = |token: &str| server.form("/introspect", &[("token", token)]).basic_auth(id, Some(secret));
        let seen = body(ask(&sees.access).send().await.unwrap()).await;
        assert_eq!(seen["active"], true, "{id}");
        assert_inactive(ask(&is_blind_for.access).send().await.unwrap(), id).await;
    }
}

/// Shows: INTRO-5, REVOKE-4.
#[tokio::test]
async fn what_was_revoked_is_inactive_at_once_and_nobody_keeps_an_answer() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    let before = ask(&server, &tokens.access, &[]).await;
    assert_eq!(before.headers()["cache-control"], "no-store");
    assert_eq!(body(before).await["active"], true);
    let pairs = [("token", &*tokens.refresh), ("client_id", &*client.id)];
    assert_eq!(server.form("/revoke", &pairs).send().await.unwrap().status(), 200);
    let after = ask(&server, &tokens.access, &[]).await;
    assert_eq!(after.headers()["cache-control"], "no-store");
    assert_inactive(after, "revoked").await;
}

/// Shows: INTRO-5.
#[tokio::test]
async fn the_hint_changes_nothing() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    for hint in ["access_token", "refresh_token", "id_token", "nonsense", ""] {
        let hint = [("token_type_hint", hint)];
        assert_eq!(body(ask(&server, &tokens.access, &hint).await).await["active"], true, "{hint:?}");
        assert_inactive(ask(&server, &tokens.refresh, &hint).await, "a refresh token").await;
    }
}

/// Shows: INTRO-5, LIM-1.
#[tokio::test]
async fn tokens_cannot_be_scanned_for() {
    let options = Options {
        top: "trusted_proxies = [\"127.0.0.1/32\"]",
        sections: "[limits.introspect]\nper_minute = 1\nburst = 3",
        ..Options::default()
    };
    let server = Server::with(options).await;
    let from = |address: &'static str| {
        let request = server.form("/introspect", &[("token", "x")]).basic_auth("rs-1", Some(RS_SECRET));
        request.header("x-forwarded-for", address).send()
    };
    for _ in 0..3 {
        assert_eq!(from("198.51.100.7").await.unwrap().status(), 200);
    }
    let refused = from("198.51.100.7").await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(from("203.0.113.9").await.unwrap().status(), 200, "others are not in the way");
}

/// The request as FastMCP's `IntrospectionTokenVerifier` sends it: ID and secret are in the header as they are,
/// not form-encoded, whatever characters the operator chose.
/// Shows: INTRO-1, INTRO-3, CAUTH-2.
#[tokio::test]
async fn the_verifier_of_fastmcp_gets_its_answer() {
    const SECRET: &str = "p%40+ss é:x/=0123456789abcdefghijk";
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let file = folder.path().join("rs-secret");
    std::fs::write(&file, SECRET).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let resources = r#"
[[resources]]
url = "{origin}/mcp"
scopes = ["user"]
introspection = { client_id = "rs", client_secret = { file = "rs-secret" } }
"#;
    let options = Options { resources: Some(resources), folder: Some(folder), ..Options::default() };
    let server = Server::with(options).await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    let in_header = crate::protocol::client_authentication::standard_base64(&format!("rs:{SECRET}"));
    let in_body: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    for (header, more) in [
        (format!("Authorization: Basic {in_header}\r\n"), String::new()),
        (String::new(), format!("&client_id=rs&client_secret={in_body}")),
    ] {
        let form = format!("token={}&token_type_hint=access_token{more}", tokens.access);
        let request = format!(
            "POST /introspect HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip, deflate\r\n\
             Connection: keep-alive\r\nUser-Agent: python-httpx2/2.16.2\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nAccept: application/json\r\n\
             {header}Content-Length: {length}\r\n\r\n{form}",
            host = server.origin.trim_start_matches("http://"),
            length = form.len(),
        );
        let answer = Wire::open(&server.origin).await.send(request.as_bytes()).await.answer().await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.head.contains("content-type: application/json"), "{answer:?}");
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&body["active"], &body["scope"]), (&json!(true), &json!("user")), "{body}");
        assert_eq!(body["client_id"], client.id);
    }
}
