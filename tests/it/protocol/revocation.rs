//! Clients give tokens back (RFC 7009).

use std::time::Duration;

use reqwest::Response;
use rusqlite::Connection;

use crate::support::{Client, Server, Tokens, body};

async fn revoke(server: &Server, client: &Client, token: &str, more: &[(&str, &str)]) -> Response {
    let mut pairs = vec![("token", token)];
    pairs.extend(more);
    if client.secret.is_none() {
        pairs.push(("client_id", &client.id));
    }
    let request = server.form("/revoke", &pairs);
    let request = match &client.secret {
        Some(secret) => request.basic_auth(&client.id, Some(secret)),
        None => request,
    };
    request.send().await.unwrap()
}

/// RFC 7009 section 2.2: 200, whether or not there was anything to revoke.
async fn assert_done(response: Response, what: &str) {
    assert_eq!(response.status(), 200, "{what}");
    assert_eq!(response.headers()["cache-control"], "no-store", "{what}");
    assert_eq!(response.text().await.unwrap(), "", "{what}");
}

async fn is_active(server: &Server, tokens: &Tokens) -> bool {
    server.introspect(&tokens.access).await["active"] == true
}

async fn assert_refresh_fails(server: &Server, client: &Client, refresh_token: &str) {
    let response = client.refresh(server, refresh_token).await;
    assert_eq!(response.status(), 400);
    assert_eq!(body(response).await["error"], "invalid_grant");
}

/// Shows: REVOKE-1.
#[tokio::test]
async fn a_token_that_is_unknown_or_over_is_answered_like_any_other() {
    let server = Server::start().await;
    for client in [Client::public(&server).await, Client::confidential(&server).await] {
        let expired = client.login(&server).await;
        server.advance(Duration::from_secs(601));
        let revoked = client.login(&server).await;
        for _ in 0..2 {
            assert_done(revoke(&server, &client, &revoked.refresh, &[]).await, "revoked twice").await;
        }
        let unguessable = "A".repeat(43);
        let made_up = format!("mcp_rt_{}0_{unguessable}", "0".repeat(32));
        let forged = format!("{}{unguessable}", &revoked.refresh[..revoked.refresh.len() - 43]);
        for token in
            ["x", "..", "a.b.c", "\u{0}", "🦀", &*expired.access, &*revoked.access, &*made_up, &*forged]
        {
            assert_done(revoke(&server, &client, token, &[]).await, token).await;
        }
        let response = revoke(&server, &client, &"x".repeat(60_000), &[]).await;
        assert_done(response, "a long one").await;
    }
    let get = server.get("/revoke?token=x").await;
    assert_eq!((get.status().as_u16(), get.headers()["allow"].to_str().unwrap()), (405, "POST"));
}

/// Another client's token is left as it is. The answer is 200, so that the caller learns nothing about it.
/// Shows: REVOKE-3.
#[tokio::test]
async fn another_clients_token_stays_good() {
    let server = Server::start().await;
    let (owner, thief) = (Client::public(&server).await, Client::confidential(&server).await);
    let tokens = owner.login(&server).await;
    for token in [&tokens.access, &tokens.refresh] {
        assert_done(revoke(&server, &thief, token, &[]).await, "another's token").await;
    }
    assert!(is_active(&server, &tokens).await);
    assert_eq!(owner.refresh(&server, &tokens.refresh).await.status(), 200);
}

/// Knowing the ID of a grant, which is part of the `jti` of every access token, is not enough to end it.
/// Shows: REVOKE-3.
#[tokio::test]
async fn a_refresh_token_made_of_a_known_grant_revokes_nothing() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    let next = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
    for genuine in [&tokens.refresh, &next.refresh] {
        let forged = format!("{}{}", &genuine[..genuine.len() - 43], "A".repeat(43));
        assert_done(revoke(&server, &client, &forged, &[]).await, "forged").await;
    }
    let future = next.refresh.replacen("1_", "9_", 1);
    assert_done(revoke(&server, &client, &future, &[]).await, "a generation to come").await;
    assert!(is_active(&server, &next).await);
    assert_eq!(client.refresh(&server, &next.refresh).await.status(), 200);
}

/// Shows: REVOKE-4.
#[tokio::test]
async fn a_refresh_token_takes_its_whole_grant_along() {
    let server = Server::start().await;
    for client in [Client::public(&server).await, Client::confidential(&server).await] {
        for by_the_first in [true, false] {
            let first = client.login(&server).await;
            let second = Tokens::of(client.refresh(&server, &first.refresh).await).await;
            let unrelated = client.login(&server).await;
            assert!(is_active(&server, &first).await && is_active(&server, &second).await);
            let token = if by_the_first { &first.refresh } else { &second.refresh };
            assert_done(revoke(&server, &client, token, &[]).await, "revoke").await;
            assert!(!is_active(&server, &first).await && !is_active(&server, &second).await);
            assert_refresh_fails(&server, &client, &first.refresh).await;
            assert_refresh_fails(&server, &client, &second.refresh).await;
            assert!(is_active(&server, &unrelated).await, "another grant of the same client stays");
        }
    }
}

/// Shows: REVOKE-5.
#[tokio::test]
async fn an_access_token_is_revoked_alone_and_at_once() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let first = client.login(&server).await;
    let second = Tokens::of(client.refresh(&server, &first.refresh).await).await;
    assert_done(revoke(&server, &client, &second.access, &[]).await, "revoke").await;
    assert!(!is_active(&server, &second).await);
    assert!(is_active(&server, &first).await, "its sister stays");
    let third = Tokens::of(client.refresh(&server, &second.refresh).await).await;
    assert!(is_active(&server, &third).await, "the grant stays");
    assert!(!is_active(&server, &second).await, "what was revoked does not come back");
}

/// Shows: REVOKE-6.
#[tokio::test]
async fn the_hint_is_a_hint() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    for hint in ["access_token", "refresh_token", "id_token", "nonsense", ""] {
        let tokens = client.login(&server).await;
        let hint = [("token_type_hint", hint)];
        assert_done(revoke(&server, &client, &tokens.access, &hint).await, "access token").await;
        assert!(!is_active(&server, &tokens).await, "{hint:?}");
        assert_done(revoke(&server, &client, &tokens.refresh, &hint).await, "refresh token").await;
        assert_refresh_fails(&server, &client, &tokens.refresh).await;
    }
}

/// Shows: REVOKE-6.
#[tokio::test]
async fn a_request_without_one_token_is_invalid() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    let id = ("client_id", &*client.id);
    for pairs in [
        vec![id],
        vec![id, ("token", "")],
        vec![id, ("token_type_hint", "refresh_token")],
        vec![id, ("token", &*tokens.refresh), ("token", &*tokens.refresh)],
        vec![id, ("token", &*tokens.refresh), ("token_type_hint", "a"), ("token_type_hint", "a")],
    ] {
        let response = server.form("/revoke", &pairs).send().await.unwrap();
        assert_eq!(response.status(), 400, "{pairs:?}");
        assert_eq!(body(response).await["error"], "invalid_request", "{pairs:?}");
    }
    assert!(is_active(&server, &tokens).await);
}

/// Breaks the database for reading or for writing, and repairs it.
enum Breakage {
    Reading,
    Writing,
}

impl Breakage {
    fn set(&self, server: &Server, broken: bool) {
        let statement = match (self, broken) {
            (Self::Reading, true) => "ALTER TABLE record RENAME TO elsewhere",
            (Self::Reading, false) => "ALTER TABLE elsewhere RENAME TO record",
            (Self::Writing, true) => {
                "CREATE TRIGGER broken BEFORE UPDATE ON record BEGIN SELECT RAISE(ABORT, 'the disk is gone'); END"
            }
            (Self::Writing, false) => "DROP TRIGGER broken",
        };
        let connection = Connection::open(server.folder.path().join("test.sqlite")).unwrap();
        connection.execute_batch(statement).unwrap();
    }
}

/// Shows: REVOKE-6, LOG-4.
#[tokio::test]
async fn a_revocation_that_cannot_be_stored_is_not_confirmed() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    for breakage in [Breakage::Reading, Breakage::Writing] {
        let tokens = client.login(&server).await;
        for token in [&tokens.access, &tokens.refresh] {
            breakage.set(&server, true);
            let response = revoke(&server, &client, token, &[]).await;
            assert_eq!(response.status(), 503);
            assert!(response.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
            let text = response.text().await.unwrap();
            assert!(text.contains("\"temporarily_unavailable\""), "{text}");
            for inner in ["sqlite", "table", "record", "disk", "trigger"] {
                assert!(!text.to_lowercase().contains(inner), "{text}");
            }
            breakage.set(&server, false);
            assert!(is_active(&server, &tokens).await, "nothing was revoked, and nothing was confirmed");
        }
        assert_done(revoke(&server, &client, &tokens.refresh, &[]).await, "after the repair").await;
        assert!(!is_active(&server, &tokens).await);
    }
}
