//! Refresh tokens: rotated at each use, forgiving to lost answers, merciless to copies.

use std::time::Duration;

use reqwest::Response;

use crate::support::{Client, Options, Server, TWO_RESOURCES, Tokens, body};

const DAY: Duration = Duration::from_hours(24);
const AFTER_GRACE: Duration = Duration::from_mins(2);
const WITHIN_GRACE: Duration = Duration::from_secs(119);
const SECOND: Duration = Duration::from_secs(1);

async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = body(response).await;
    (status, body["error"].as_str().unwrap_or_else(|| panic!("no error: {body}")).to_owned())
}

async fn assert_invalid_grant(client: &Client, server: &Server, refresh_token: &str, what: &str) {
    let refused = refusal(client.refresh(server, refresh_token).await).await;
    assert_eq!(refused, (400, "invalid_grant".to_owned()), "{what}");
}

async fn refreshed(client: &Client, server: &Server, refresh_token: &str) -> Tokens {
    let tokens = Tokens::of(client.refresh(server, refresh_token).await).await;
    assert_eq!(server.introspect(&tokens.access).await["active"], true);
    tokens
}

async fn assert_is_over(client: &Client, server: &Server, tokens: &Tokens, what: &str) {
    assert_eq!(server.introspect(&tokens.access).await["active"], false, "{what}");
    assert_invalid_grant(client, server, &tokens.refresh, what).await;
}

async fn refresh_with(client: &Client, server: &Server, token: &str, more: &[(&str, &str)]) -> Response {
    let mut pairs = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    pairs.extend(more);
    client.token_request(server, &pairs).await
}

/// Shows: REFRESH-1, REFRESH-2.
#[tokio::test]
async fn each_refresh_brings_a_new_token_and_an_old_one_that_comes_back_ends_the_family() {
    let server = Server::start().await;
    for client in [Client::public(&server).await, Client::confidential(&server).await] {
        let first = client.login(&server).await;
        let second = refreshed(&client, &server, &first.refresh).await;
        let third = refreshed(&client, &server, &second.refresh).await;
        assert!(first.refresh != second.refresh && second.refresh != third.refresh);
        server.advance(AFTER_GRACE);
        let fourth = refreshed(&client, &server, &third.refresh).await;
        assert_invalid_grant(&client, &server, &first.refresh, "long rotated").await;
        for tokens in [&first, &second, &third, &fourth] {
            assert_eq!(server.introspect(&tokens.access).await["active"], false);
            assert_invalid_grant(&client, &server, &tokens.refresh, "of an ended family").await;
        }
    }
}

/// Shows: REFRESH-2, REFRESH-3.
#[tokio::test]
async fn a_rotated_token_gets_a_working_answer_within_the_grace_period_and_not_after_it() {
    for (grace, within, outside) in [
        ("", 119, 120),
        ("[tokens]\nrefresh_grace = \"10s\"", 9, 10),
        ("[tokens]\nrefresh_grace = \"10m\"", 599, 600),
    ] {
        for (seconds, works) in [(within, true), (outside, false)] {
            let server = Server::with(Options { sections: grace, ..Options::default() }).await;
            let client = Client::public(&server).await;
            let first = client.login(&server).await;
            let second = refreshed(&client, &server, &first.refresh).await;
            let third = refreshed(&client, &server, &second.refresh).await;
            server.advance(Duration::from_secs(seconds));
            if works {
                let again = refreshed(&client, &server, &first.refresh).await;
                assert_eq!(again.refresh, third.refresh, "all go on with one successor");
                refreshed(&client, &server, &again.refresh).await;
            } else {
                assert_invalid_grant(&client, &server, &first.refresh, grace).await;
                assert_is_over(&client, &server, &third, grace).await;
            }
        }
    }
}

/// Shows: REFRESH-3.
#[tokio::test]
async fn within_the_grace_period_a_lost_answer_is_given_again_and_later_replaced_by_another() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let first = client.login(&server).await;
    let lost = refreshed(&client, &server, &first.refresh).await;
    server.advance(WITHIN_GRACE);
    let again = refreshed(&client, &server, &first.refresh).await;
    assert_eq!(again.refresh, lost.refresh);
    assert_ne!(again.access, lost.access);
    server.advance(SECOND);
    let mut given = vec![lost.refresh];
    for retries in 1..=3 {
        let late = refreshed(&client, &server, &first.refresh).await;
        assert!(!given.contains(&late.refresh), "another one");
        server.advance(WITHIN_GRACE);
        let again = refreshed(&client, &server, &first.refresh).await;
        assert_eq!(again.refresh, late.refresh, "a late retry starts a grace period of its own");
        assert_eq!(server.stored_grants()[0]["late_retries"], retries);
        given.push(late.refresh);
        server.advance(DAY);
    }
    let next = refreshed(&client, &server, given.last().unwrap()).await;
    let racing = refreshed(&client, &server, given.last().unwrap()).await;
    assert_eq!(racing.refresh, next.refresh);
    server.advance(AFTER_GRACE);
    refreshed(&client, &server, &next.refresh).await;
    assert_invalid_grant(&client, &server, &first.refresh, "its successor was used").await;
    assert_is_over(&client, &server, &next, "the family ended").await;
}

/// Shows: REFRESH-2, REFRESH-3.
#[tokio::test]
async fn a_successor_that_was_replaced_unused_ends_the_grant_even_within_the_grace_period() {
    for seconds in [0, 60, 3600] {
        let server = Server::start().await;
        let client = Client::public(&server).await;
        let first = client.login(&server).await;
        let replaced = refreshed(&client, &server, &first.refresh).await;
        server.advance(AFTER_GRACE);
        let late = refreshed(&client, &server, &first.refresh).await;
        server.advance(Duration::from_secs(seconds));
        assert_invalid_grant(&client, &server, &replaced.refresh, "it was replaced").await;
        for tokens in [&first, &replaced, &late] {
            assert_is_over(&client, &server, tokens, "the family ended").await;
        }
    }
}

/// Whichever of the two is one generation behind, and however they take turns.
///
/// Shows: REFRESH-2, REFRESH-3.
#[tokio::test]
async fn two_holders_of_one_token_cannot_refresh_in_step() {
    for seconds in [120, 600, 86_400] {
        let server = Server::start().await;
        let client = Client::public(&server).await;
        let mut held = [client.login(&server).await.refresh, String::new()];
        held[1] = held[0].clone();
        let mut served = 0;
        for turn in 0.. {
            server.advance(Duration::from_secs(seconds));
            let answer = client.refresh(&server, &held[turn % 2]).await;
            if answer.status() != 200 {
                assert_eq!(refusal(answer).await, (400, "invalid_grant".to_owned()));
                break;
            }
            held[turn % 2] = Tokens::of(answer).await.refresh;
            served += 1;
        }
        assert_eq!(served, 2, "each got one, and the first who used it was found out");
        for token in &held {
            assert_invalid_grant(&client, &server, token, "of an ended family").await;
        }
    }
}

/// Shows: REFRESH-2, REFRESH-3.
#[tokio::test]
async fn without_a_grace_period_whatever_was_used_before_ends_the_grant() {
    const STRICT: &str = "[tokens]\nrefresh_grace = \"0s\"";
    for reused in 0..=1 {
        let server = Server::with(Options { sections: STRICT, ..Options::default() }).await;
        let client = Client::public(&server).await;
        let first = client.login(&server).await;
        let second = refreshed(&client, &server, &first.refresh).await;
        let third = refreshed(&client, &server, &second.refresh).await;
        let used = [&first, &second][reused];
        assert_invalid_grant(&client, &server, &used.refresh, "used before").await;
        assert_is_over(&client, &server, &third, "the family ended").await;
    }
}

/// Shows: REFRESH-4.
#[tokio::test]
async fn a_refresh_token_is_for_its_client_and_in_other_hands_ends_nothing() {
    let server = Server::start().await;
    let (public, confidential) = (Client::public(&server).await, Client::confidential(&server).await);
    for (owner, other) in [(&public, &confidential), (&confidential, &public)] {
        let old = owner.login(&server).await;
        let current = refreshed(owner, &server, &old.refresh).await;
        let current = refreshed(owner, &server, &current.refresh).await;
        server.advance(AFTER_GRACE);
        for token in [&old.refresh, &current.refresh] {
            assert_invalid_grant(other, &server, token, "another client").await;
        }
        assert_eq!(server.introspect(&current.access).await["active"], true);
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", &*current.refresh)];
        let unnamed = server.form("/token", &pairs).send().await.unwrap();
        assert_eq!(refusal(unnamed).await, (401, "invalid_client".to_owned()));
        if let Some(secret) = &owner.secret {
            for secret in [None, Some("mcp_cs_wrong".to_owned())] {
                let impostor = Client { secret, ..owner.clone() };
                let refused = impostor.refresh(&server, &current.refresh).await;
                assert_eq!(refusal(refused).await, (401, "invalid_client".to_owned()));
            }
            let mixed = [pairs[0], pairs[1], ("client_id", &*other.id)];
            let mixed =
                server.form("/token", &mixed).basic_auth(&owner.id, Some(secret)).send().await.unwrap();
            assert_eq!(refusal(mixed).await, (400, "invalid_request".to_owned()));
        }
        refreshed(owner, &server, &current.refresh).await;
    }
}

/// Shows: REFRESH-5, TOK-8.
#[tokio::test]
async fn a_narrower_scope_is_for_one_access_token_and_a_wider_one_is_refused() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let code = client.code_with(&server, &[("scope", "user admin")]).await;
    let mut tokens = Tokens::of(client.redeem(&server, &code).await).await;
    for (asked, granted) in [
        ("user", "user"),
        ("", "user admin"),
        ("admin", "admin"),
        ("admin user", "user admin"),
        ("user admin", "user admin"),
        ("user offline_access", "user"),
        ("offline_access", "user admin"),
    ] {
        let more = if asked.is_empty() { vec![] } else { vec![("scope", asked)] };
        tokens = Tokens::of(refresh_with(&client, &server, &tokens.refresh, &more).await).await;
        let words = |scope: &serde_json::Value| {
            let mut words: Vec<_> = scope.as_str().unwrap().split(' ').map(str::to_owned).collect();
            words.sort();
            words
        };
        let mut expected: Vec<_> = granted.split(' ').map(str::to_owned).collect();
        expected.sort();
        let introspected = server.introspect(&tokens.access).await;
        for scope in
            [&tokens.body["scope"], &crate::support::claims(&tokens.access)["scope"], &introspected["scope"]]
        {
            assert_eq!(words(scope), expected, "{asked}");
        }
    }

    let code = client.code_with(&server, &[("scope", "user")]).await;
    let tokens = Tokens::of(client.redeem(&server, &code).await).await;
    for scope in ["admin", "user admin", "admin offline_access", "openid", "unheard-of"] {
        let refused = refresh_with(&client, &server, &tokens.refresh, &[("scope", scope)]).await;
        assert_eq!(refusal(refused).await, (400, "invalid_scope".to_owned()), "{scope}");
    }
    assert_eq!(refreshed(&client, &server, &tokens.refresh).await.body["scope"], "user");
}

/// Shows: REFRESH-6, TOK-9.
#[tokio::test]
async fn a_resource_that_is_named_is_that_of_the_grant() {
    let server = Server::with(Options { resources: Some(TWO_RESOURCES), ..Options::default() }).await;
    let client = Client::public(&server).await;
    let mut tokens = client.login(&server).await;
    let own = server.resource.clone();
    let shouted = own.replace("http://", "HTTP://");
    let slashed = format!("{own}/");
    let tracked = format!("{own}?utm_source=plugin#f");
    for named in [vec![], vec![&*own], vec![&*shouted], vec![&*slashed], vec![&*tracked], vec![&*own, &*own]]
    {
        let more: Vec<_> = named.iter().map(|resource| ("resource", *resource)).collect();
        tokens = Tokens::of(refresh_with(&client, &server, &tokens.refresh, &more).await).await;
        assert_eq!(crate::support::claims(&tokens.access)["aud"], own, "{named:?}");
    }
    let other = format!("{}/other", server.origin);
    for named in [vec![&*other], vec![&*own, &*other], vec!["https://elsewhere.example"], vec!["x"]] {
        let more: Vec<_> = named.iter().map(|resource| ("resource", *resource)).collect();
        let refused = refresh_with(&client, &server, &tokens.refresh, &more).await;
        assert_eq!(refusal(refused).await, (400, "invalid_target".to_owned()), "{named:?}");
    }
    refreshed(&client, &server, &tokens.refresh).await;
}

/// Shows: REFRESH-7.
#[tokio::test]
async fn a_refresh_token_ends_for_lack_of_use_and_a_grant_for_good() {
    const SHORT: &str = "[tokens]\nrefresh_lifetime = \"1h\"\ngrant_lifetime = \"4h\"";
    let server = Server::with(Options { sections: SHORT, ..Options::default() }).await;
    let client = Client::public(&server).await;
    for (seconds, works) in [(3599, true), (3600, false)] {
        let tokens = client.login(&server).await;
        server.advance(Duration::from_secs(seconds));
        let response = client.refresh(&server, &tokens.refresh).await;
        assert_eq!(response.status() == 200, works, "{seconds}");
    }
    let mut tokens = client.login(&server).await;
    for minutes in [50, 100, 150, 200] {
        server.advance(Duration::from_mins(50));
        tokens = refreshed(&client, &server, &tokens.refresh).await;
        assert!(minutes < 240);
    }
    server.advance(Duration::from_secs(40 * 60 - 1));
    tokens = refreshed(&client, &server, &tokens.refresh).await;
    server.advance(Duration::from_secs(1));
    assert_invalid_grant(&client, &server, &tokens.refresh, "whatever was refreshed").await;
}

/// Shows: REFRESH-7.
#[tokio::test]
async fn usually_a_refresh_token_may_lie_for_thirty_days() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    // An upstream session that lasts as long, so that ours alone decides.
    let tokens = client.login(&server).await;
    server.advance(29 * DAY);
    let tokens = refreshed(&client, &server, &tokens.refresh).await;
    server.advance(30 * DAY);
    assert_invalid_grant(&client, &server, &tokens.refresh, "unused for thirty days").await;
}

/// Shows: REFRESH-8.
#[tokio::test]
async fn a_grant_that_was_revoked_refreshes_nothing() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let first = client.login(&server).await;
    let second = refreshed(&client, &server, &first.refresh).await;
    let pairs = [("token", &*second.refresh), ("client_id", &*client.id)];
    assert_eq!(server.form("/revoke", &pairs).send().await.unwrap().status(), 200);
    for tokens in [&first, &second] {
        assert_invalid_grant(&client, &server, &tokens.refresh, "revoked").await;
        assert_eq!(server.introspect(&tokens.access).await["active"], false);
    }
}

/// Shows: REFRESH-8.
#[tokio::test]
async fn a_client_that_is_gone_refreshes_nothing_and_is_told_to_register_again() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    let database = rusqlite::Connection::open(server.folder.path().join("test.sqlite")).unwrap();
    assert_eq!(database.execute("DELETE FROM record WHERE key = ?1", [&client.id]).unwrap(), 1);
    let refused = client.refresh(&server, &tokens.refresh).await;
    assert_eq!(refusal(refused).await, (401, "invalid_client".to_owned()));
}

/// Shows: REFRESH-9.
#[tokio::test]
async fn refresh_tokens_are_stored_as_hashes_and_a_guess_ends_nothing() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let first = client.login(&server).await;
    let second = refreshed(&client, &server, &first.refresh).await;
    let stored = server.database_text();
    for token in [&first.refresh, &second.refresh] {
        assert!(token.starts_with("mcp_rt_") && stored.contains(&token[7..39]), "the grant was read");
        assert!(!stored.contains(&token[token.len() - 43..]), "{stored}");
    }
    let (grant, end) = (&second.refresh[..39], &second.refresh[second.refresh.len() - 43..]);
    let guesses = [
        format!("{grant}0_{}", "A".repeat(43)),
        format!("{grant}1_{}", "A".repeat(43)),
        format!("{grant}0_{end}"),
        format!("{grant}2_{end}"),
        format!("{grant}01_{end}"),
        format!("{grant}99999999999999999999_{end}"),
        format!("{}A", second.refresh),
        second.refresh[..second.refresh.len() - 1].to_owned(),
        second.refresh.to_uppercase(),
        "x".to_owned(),
    ];
    for guess in &guesses {
        assert_invalid_grant(&client, &server, guess, guess).await;
    }
    assert_eq!(server.introspect(&second.access).await["active"], true);
    refreshed(&client, &server, &second.refresh).await;
}
