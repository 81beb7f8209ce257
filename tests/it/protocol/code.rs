//! A code is exchanged for tokens once, by the client that asked for it and by no other.

use std::time::Duration;

use reqwest::{Response, StatusCode};

use crate::support::{Browser, Client, Server, Tokens, VERIFIER, body, challenge, claims, query};

/// A redemption with parameters replaced (by name) or removed (empty value).
async fn redeem_with(client: &Client, server: &Server, code: &str, change: &[(&str, &str)]) -> Response {
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &*client.redirect_uri),
        ("code_verifier", VERIFIER),
    ];
    pairs.retain(|(name, _)| !change.iter().any(|(changed, _)| changed == name));
    pairs.extend(change.iter().filter(|(_, value)| !value.is_empty()).copied());
    client.token_request(server, &pairs).await
}

/// Status and error of a refusal.
async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = body(response).await;
    (status, body["error"].as_str().unwrap_or_else(|| panic!("no error: {body}")).to_owned())
}

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

/// Shows: CODE-1.
#[tokio::test]
async fn a_code_is_good_for_five_minutes() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (in_time, late) = (client.code(&server).await, client.code(&server).await);
    server.advance(Duration::from_secs(299));
    assert_eq!(client.redeem(&server, &in_time).await.status(), 200);
    server.advance(Duration::from_secs(1));
    assert_eq!(refusal(client.redeem(&server, &late).await).await, invalid_grant());
}

/// Shows: CODE-1.
#[tokio::test]
async fn a_code_is_stored_as_a_hash_and_stands_for_what_the_person_agreed_to() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let code = client.code_with(&server, &[("scope", "admin")]).await;
    let unguessable = &code[code.len() - 43..];
    let stored = server.database_text();
    assert!(stored.contains(&client.id), "the database was read");
    assert!(!stored.contains(unguessable));
    let claims = claims(&Tokens::of(client.redeem(&server, &code).await).await.access);
    assert_eq!(claims["scope"], "admin");
    assert_eq!(claims["aud"], server.resource);
    assert_eq!(claims["client_id"], client.id);
    assert!(!server.database_text().contains(unguessable));
}

/// Shows: CODE-2.
#[tokio::test]
async fn a_verifier_is_required_has_the_standards_form_and_fits() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let code = client.code(&server).await;
    let (challenge, trailing) = (challenge(), format!("{VERIFIER} "));
    for (what, verifier, error) in [
        ("missing", "", "invalid_request"),
        ("another", "another-verifier-of-forty-three-characters-", "invalid_grant"),
        ("the challenge itself", &challenge, "invalid_grant"),
        ("with a space at its end", &trailing, "invalid_grant"),
        ("cut short", &VERIFIER[..42], "invalid_grant"),
    ] {
        let refused = redeem_with(&client, &server, &code, &[("code_verifier", verifier)]).await;
        assert_eq!(refusal(refused).await, (400, error.to_owned()), "{what}");
    }
    // Verifiers that fit, but are not of the standard's form.
    for verifier in ["a".repeat(42), "a".repeat(129), format!("{}+", "a".repeat(43)), "ä".repeat(30)] {
        let challenge = pangea_mcp_auth::oauth::authorization::CodeChallenge::of(&verifier);
        let code = client.code_with(&server, &[("code_challenge", challenge.as_str())]).await;
        let refused = redeem_with(&client, &server, &code, &[("code_verifier", &verifier)]).await;
        assert_eq!(refusal(refused).await, invalid_grant(), "{verifier}");
    }
    for verifier in ["a".repeat(43), "a-._~Z9".repeat(18) + "ab"] {
        let challenge = pangea_mcp_auth::oauth::authorization::CodeChallenge::of(&verifier);
        let code = client.code_with(&server, &[("code_challenge", challenge.as_str())]).await;
        let answer = redeem_with(&client, &server, &code, &[("code_verifier", &verifier)]).await;
        assert_eq!(answer.status(), 200, "{verifier}");
    }
}

/// Shows: CODE-3.
#[tokio::test]
async fn no_code_comes_without_an_s256_challenge_so_none_can_be_redeemed_without() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    for change in [
        [("code_challenge", ""), ("code_challenge_method", "")],
        [("code_challenge", ""), ("code_challenge_method", "S256")],
        [("code_challenge", VERIFIER), ("code_challenge_method", "plain")],
        [("code_challenge", VERIFIER), ("code_challenge_method", "")],
    ] {
        let page = Browser::new().get(&client.authorize_url(&server, &change)).await;
        let answer = query(&page.location().unwrap_or_else(|| panic!("{change:?}: {}", page.html)));
        assert_eq!(answer["error"], "invalid_request", "{change:?}");
        assert!(!answer.contains_key("code"));
    }
}

/// Shows: CODE-4.
#[tokio::test]
async fn a_code_is_for_its_client_which_must_say_who_it_is() {
    let server = Server::start().await;
    let public = Client::public(&server).await;
    let confidential = Client::confidential(&server).await;
    for (owner, others) in [
        (&public, [Client::public(&server).await, confidential.clone()]),
        (&confidential, [public.clone(), Client::confidential(&server).await]),
    ] {
        let code = owner.code(&server).await;
        for other in &others {
            assert_eq!(refusal(other.redeem(&server, &code).await).await, invalid_grant());
        }
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", &*owner.redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        let unnamed = server.form("/token", &pairs).send().await.unwrap();
        assert_eq!(refusal(unnamed).await, (401, "invalid_client".to_owned()));
        if owner.secret.is_some() {
            let named = Client { secret: None, ..owner.clone() };
            assert_eq!(refusal(named.redeem(&server, &code).await).await, (401, "invalid_client".to_owned()));
            let wrong = Client { secret: Some("mcp_cs_wrong".to_owned()), ..owner.clone() };
            assert_eq!(refusal(wrong.redeem(&server, &code).await).await, (401, "invalid_client".to_owned()));
        }
        assert_eq!(owner.redeem(&server, &code).await.status(), 200, "nothing of this used the code up");
    }
}

/// Shows: CODE-5.
#[tokio::test]
async fn a_redirect_uri_that_is_sent_is_the_one_of_the_request_with_its_port() {
    let server = Server::start().await;
    let mut client = Client::public(&server).await;
    let registered = client.redirect_uri.clone();
    client.redirect_uri = registered.replace(":4711", ":50123");
    let code = client.code(&server).await;
    let slashed = format!("{}/", client.redirect_uri);
    let named = client.redirect_uri.replace("127.0.0.1", "localhost");
    let queried = format!("{}?a=b", client.redirect_uri);
    for other in [&*registered, &slashed, &named, &queried, "x"] {
        let refused = redeem_with(&client, &server, &code, &[("redirect_uri", other)]).await;
        assert_eq!(refusal(refused).await, invalid_grant(), "{other}");
    }
    assert_eq!(client.redeem(&server, &code).await.status(), 200);
    let code = client.code(&server).await;
    assert_eq!(redeem_with(&client, &server, &code, &[("redirect_uri", "")]).await.status(), 200);
}

/// Shows: CODE-6, CODE-7.
#[tokio::test]
async fn a_code_that_comes_again_in_the_right_hands_ends_all_that_it_yielded() {
    let server = Server::start().await;
    for (client, wait) in [
        (Client::public(&server).await, 0),
        (Client::confidential(&server).await, 0),
        (Client::public(&server).await, 300),
    ] {
        let code = client.code(&server).await;
        let first = Tokens::of(client.redeem(&server, &code).await).await;
        let second = Tokens::of(client.refresh(&server, &first.refresh).await).await;
        server.advance(Duration::from_secs(wait));
        assert_eq!(refusal(client.redeem(&server, &code).await).await, invalid_grant());
        for tokens in [&first, &second] {
            assert_eq!(server.introspect(&tokens.access).await["active"], false);
            assert_eq!(refusal(client.refresh(&server, &tokens.refresh).await).await, invalid_grant());
        }
        assert_eq!(refusal(client.redeem(&server, &code).await).await, invalid_grant());
    }
}

/// Shows: CODE-6.
#[tokio::test]
async fn codes_spent_and_unspent_survive_a_restart() {
    let before = Server::start().await;
    let client = Client::public(&before).await;
    let (spent, unspent) = (client.code(&before).await, client.code(&before).await);
    let tokens = Tokens::of(client.redeem(&before, &spent).await).await;
    let after = before.twin().await;
    assert_eq!(client.redeem(&after, &unspent).await.status(), 200);
    assert_eq!(after.introspect(&tokens.access).await["active"], true);
    assert_eq!(refusal(client.redeem(&after, &spent).await).await, invalid_grant());
    assert_eq!(after.introspect(&tokens.access).await["active"], false);
}

/// Shows: CODE-8.
#[tokio::test]
async fn a_defective_redemption_neither_burns_a_code_nor_ends_what_it_yielded() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let stranger = Client::public(&server).await;
    let code = client.code(&server).await;
    let end = code.len() - 1;
    let forged = format!("{}{}", &code[..end], if code.ends_with('A') { 'B' } else { 'A' });
    let attempt = async || {
        for change in [
            [("code_verifier", "another-verifier-of-forty-three-characters-")],
            [("redirect_uri", "http://127.0.0.1:1/callback")],
            [("code", &*forged)],
            [("resource", "https://elsewhere.example/mcp")],
        ] {
            assert_eq!(redeem_with(&client, &server, &code, &change).await.status(), StatusCode::BAD_REQUEST);
        }
        assert_eq!(refusal(stranger.redeem(&server, &code).await).await, invalid_grant());
    };
    attempt().await;
    let tokens = Tokens::of(client.redeem(&server, &code).await).await;
    attempt().await;
    assert_eq!(server.introspect(&tokens.access).await["active"], true);
    assert_eq!(client.refresh(&server, &tokens.refresh).await.status(), 200);
}

/// Shows: CODE-1.
#[tokio::test]
async fn a_text_that_is_no_code_is_an_invalid_grant() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let code = client.code(&server).await;
    let access = Tokens::of(client.redeem(&server, &code).await).await.access;
    let foreign = code.replace("mcp_ac_", "mcp_rt_");
    let longer = format!("{code}A");
    for text in ["x", "mcp_ac_", &code[..code.len() - 1], &longer, &foreign, &access, "mcp_ac_\u{0}", "🦀"]
    {
        assert_eq!(refusal(client.redeem(&server, text).await).await, invalid_grant(), "{text:?}");
    }
    let response =
        client.token_request(&server, &[("grant_type", "authorization_code"), ("code_verifier", VERIFIER)]);
    assert_eq!(refusal(response.await).await, (400, "invalid_request".to_owned()));
}
