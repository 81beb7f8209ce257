//! Many callers at once, at one process and at two that share a database: the promises hold.

use std::{collections::BTreeSet, sync::Arc};

use pangea_mcp_auth::{
    flow::{
        administration::{Administration, Revocation},
        flow_name,
    },
    oauth::token::TokenId,
    repository::{Repository, SqliteRepository},
};
use reqwest::{Response, StatusCode};

use crate::support::{Browser, Chance, Client, Server, Tokens, at_once, body, claims, query};

/// One process, then two on one database.
async fn installations() -> [Vec<Server>; 2] {
    let (alone, first) = (Server::start().await, Server::start().await);
    let second = first.twin().await;
    [vec![alone], vec![first, second]]
}

async fn is_active(server: &Server, token: &str) -> bool {
    server.introspect(token).await["active"] == true
}

async fn is_invalid_grant(response: Response) -> bool {
    response.status() == StatusCode::BAD_REQUEST && body(response).await["error"] == "invalid_grant"
}

/// Shows: CODE-6, CODE-7.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_redemptions_of_one_code_one_yields_tokens_which_the_others_then_end() {
    for servers in installations().await {
        for public in [true, false] {
            let server = &servers[0];
            let client =
                if public { Client::public(server).await } else { Client::confidential(server).await };
            let code = client.code(server).await;
            let answers = at_once((0..20).map(|n| client.redeem(&servers[n % servers.len()], &code))).await;
            let mut yielded = Vec::new();
            for answer in answers {
                if answer.status() == 200 {
                    yielded.push(Tokens::of(answer).await);
                } else {
                    assert!(is_invalid_grant(answer).await);
                }
            }
            assert_eq!(yielded.len(), 1);
            for server in &servers {
                assert!(!is_active(server, &yielded[0].access).await);
                assert!(is_invalid_grant(client.refresh(server, &yielded[0].refresh).await).await);
            }
        }
    }
}

/// The operator has the last word: whatever is answered at the same moment also ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revocation_by_the_operator_wins_over_what_is_in_flight() {
    for servers in installations().await {
        let server = &servers[0];
        let database = server.folder.path().join("test.sqlite");
        let repository: Arc<dyn Repository> = Arc::new(SqliteRepository::open(&database).unwrap());
        let operator = Administration::new(&repository, None, server.clock.clone());
        let client = Client::public(server).await;
        for _ in 0..8 {
            let first = client.login(server).await;
            let id = TokenId::of_access_token(&first.access).unwrap().grant;
            let refreshes =
                at_once((0..6).map(|n| client.refresh(&servers[n % servers.len()], &first.refresh)));
            let (answers, revoked) = tokio::join!(refreshes, operator.revoke_grant(&id));
            assert!(matches!(revoked.unwrap(), Revocation::Done(_)));
            let mut yielded = vec![first];
            for answer in answers {
                if answer.status() == 200 {
                    yielded.push(Tokens::of(answer).await);
                }
            }
            for tokens in yielded {
                for server in &servers {
                    assert!(!is_active(server, &tokens.access).await);
                    assert!(is_invalid_grant(client.refresh(server, &tokens.refresh).await).await);
                }
            }
            assert!(matches!(operator.revoke_grant(&id).await.unwrap(), Revocation::Already(_)));
        }
    }
}

/// Shows: CODE-6, CODE-8.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn strangers_who_race_with_the_owner_of_a_code_neither_get_nor_end_anything() {
    for servers in installations().await {
        let (owner, stranger) = (Client::public(&servers[0]).await, Client::public(&servers[0]).await);
        let code = owner.code(&servers[0]).await;
        let callers = (0..20).map(|n| if n == 11 { &owner } else { &stranger });
        let calls = callers.enumerate().map(|(n, client)| client.redeem(&servers[n % servers.len()], &code));
        let mut answers = at_once(calls).await;
        let tokens = Tokens::of(answers.remove(11)).await;
        for answer in answers {
            assert!(is_invalid_grant(answer).await);
        }
        assert!(is_active(&servers[0], &tokens.access).await);
    }
}

/// Shows: REFRESH-3, REFRESH-9.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_who_race_with_one_refresh_token_get_a_working_answer_and_go_on() {
    for servers in installations().await {
        let client = Client::public(&servers[0]).await;
        let mut refresh = client.login(&servers[0]).await.refresh;
        for round in 0..4 {
            let calls = (0..32).map(|n| client.refresh(&servers[n % servers.len()], &refresh));
            let mut answers = Vec::new();
            for answer in at_once(calls).await {
                answers.push(Tokens::of(answer).await);
            }
            let successors: BTreeSet<&str> = answers.iter().map(|tokens| &*tokens.refresh).collect();
            assert_eq!(successors.len(), 1, "one token follows another in round {round}");
            assert!(!successors.contains(&*refresh));
            let names: BTreeSet<_> =
                answers.iter().map(|tokens| claims(&tokens.access)["jti"].to_string()).collect();
            assert_eq!(names.len(), 32, "no two access tokens share a name");
            let other = servers.last().unwrap();
            for tokens in &answers {
                assert!(is_active(other, &tokens.access).await, "round {round}");
            }
            refresh.clone_from(&answers[0].refresh);
        }
    }
}

/// Shows: REFRESH-3, REFRESH-9.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_share_a_login_and_refresh_when_they_please_all_go_on() {
    for seed in 1..=6 {
        let first = Server::start().await;
        let second = first.twin().await;
        let servers = [first, second];
        let client = Client::public(&servers[0]).await;
        let mut chance = Chance::of(seed);
        let mut held = vec![client.login(&servers[0]).await.refresh; 5];
        for round in 0..12 {
            let callers: Vec<usize> = (0..held.len()).filter(|_| chance.below(3) > 0).collect();
            let places: Vec<usize> = callers.iter().map(|_| chance.below(2)).collect();
            let calls =
                callers.iter().zip(&places).map(|(&who, &place)| client.refresh(&servers[place], &held[who]));
            for (who, answer) in callers.iter().zip(at_once(calls).await) {
                assert_eq!(answer.status(), 200, "caller {who}, round {round}, seed {seed}");
                held[*who] = Tokens::of(answer).await.refresh;
            }
            servers[0].advance(std::time::Duration::from_secs(chance.below(8) as u64));
        }
    }
}

/// Shows: REFRESH-2, REFRESH-9.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_that_races_with_its_owner_after_the_grace_period_ends_the_family_everywhere() {
    for servers in installations().await {
        let client = Client::public(&servers[0]).await;
        let copied = client.login(&servers[0]).await.refresh;
        let second = Tokens::of(client.refresh(&servers[0], &copied).await).await.refresh;
        let current = Tokens::of(client.refresh(&servers[0], &second).await).await.refresh;
        servers[0].advance(std::time::Duration::from_mins(2));
        let tokens = |n| if n % 4 == 3 { &copied } else { &current };
        let calls = (0..20).map(|n| client.refresh(&servers[n % servers.len()], tokens(n)));
        for (n, answer) in at_once(calls).await.into_iter().enumerate() {
            if answer.status() == 200 {
                assert_ne!(tokens(n), &copied);
                let yielded = Tokens::of(answer).await;
                for server in &servers {
                    assert!(!is_active(server, &yielded.access).await);
                    assert!(is_invalid_grant(client.refresh(server, &yielded.refresh).await).await);
                }
            } else {
                assert!(is_invalid_grant(answer).await);
            }
        }
    }
}

/// Shows: REFRESH-8.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_revoked_at_one_process_is_refused_at_once_by_every_other_and_stays_so() {
    let first = Server::start().await;
    let second = first.twin().await;
    let client = Client::public(&first).await;
    for (here, there) in [(&first, &second), (&second, &first)] {
        let login = client.login(&first).await;
        let tokens = Tokens::of(client.refresh(there, &login.refresh).await).await;
        assert!(is_active(here, &tokens.access).await && is_active(there, &tokens.access).await);
        for (token, survives) in [(&tokens.access, true), (&tokens.refresh, false)] {
            let pairs = [("token", &**token), ("client_id", &*client.id)];
            assert_eq!(here.form("/revoke", &pairs).send().await.unwrap().status(), 200);
            assert!(!is_active(there, &tokens.access).await);
            assert_eq!(is_active(there, &login.access).await, survives);
        }
        for server in [here, there] {
            assert!(is_invalid_grant(client.refresh(server, &tokens.refresh).await).await);
            assert!(!is_active(server, &tokens.access).await);
        }
        assert!(!is_active(&first.twin().await, &tokens.access).await, "nor after a restart");
    }
}

/// Shows: REFRESH-8.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_refresh_that_races_with_a_revocation_outlives_it() {
    for servers in installations().await {
        for position in [0, 8, 16] {
            let client = Client::public(&servers[0]).await;
            let login = client.login(&servers[0]).await;
            let revocation = [("token", &*login.refresh), ("client_id", &*client.id)];
            let calls = (0..17).map(|n| {
                let (server, client, refresh) = (&servers[n % servers.len()], &client, &login.refresh);
                async move {
                    if n == position {
                        server.form("/revoke", &revocation).send().await.unwrap()
                    } else {
                        client.refresh(server, refresh).await
                    }
                }
            });
            let mut answers = at_once(calls).await;
            assert_eq!(answers.remove(position).status(), 200);
            for answer in answers {
                if answer.status() == 200 {
                    let tokens = Tokens::of(answer).await;
                    assert!(!is_active(servers.last().unwrap(), &tokens.access).await);
                    assert!(is_invalid_grant(client.refresh(&servers[0], &tokens.refresh).await).await);
                } else {
                    assert!(is_invalid_grant(answer).await);
                }
            }
        }
    }
}

/// Shows: UP-2.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_login_that_comes_back_at_two_processes_at_once_yields_one_code() {
    let first = Server::start().await;
    let second = first.twin().await;
    let client = Client::public(&first).await;
    let mut browser = Browser::new();
    let page = browser.get(&client.authorize_url(&first, &[])).await;
    let upstream = browser.decide(&page, "approve").await.location().unwrap();
    // Each return has an upstream code of its own: nothing but our own records keeps them apart.
    let mut returns = Vec::new();
    for n in 0..20 {
        let callback = browser.get(&upstream).await.location().unwrap();
        let mut returning = browser.clone();
        if n % 2 == 1 {
            let cookies = std::mem::take(&mut returning.cookies);
            let host = second.origin.trim_start_matches("http://").to_owned();
            returning.cookies =
                cookies.into_iter().map(|((_, name), value)| ((host.clone(), name), value)).collect();
        }
        returns
            .push((returning, if n % 2 == 1 { callback.replace(&first.url, &second.url) } else { callback }));
    }
    let state = &query(&upstream)["state"];
    let held = flow_name(state);
    assert!(returns.iter().all(|(browser, _)| browser.cookies.keys().any(|(_, name)| name.contains(&held))));
    let late = returns[..2].to_vec();
    let pages = at_once(returns.iter_mut().map(|(browser, callback)| browser.get(callback))).await;
    let codes: Vec<String> =
        pages.iter().filter_map(|page| query(&page.location()?).remove("code")).collect();
    assert_eq!(codes.len(), 1);
    assert!(pages.iter().filter(|page| page.location().is_none()).all(|page| page.status == 400));
    assert_eq!(first.stored_grants().len(), 1);
    let asked = first.upstream.requests().of("/v2/oauth/token");
    let third = first.twin().await;
    for (mut browser, callback) in late {
        let host = third.origin.trim_start_matches("http://").to_owned();
        browser.cookies =
            browser.cookies.into_iter().map(|((_, n), value)| ((host.clone(), n), value)).collect();
        let path = callback.split("/pangea/").nth(1).unwrap();
        assert_eq!(browser.get(&format!("{}/pangea/{path}", third.url)).await.status, 400);
    }
    assert_eq!(first.upstream.requests().of("/v2/oauth/token"), asked, "no one is asked a second time");
    assert_eq!(client.redeem(&second, &codes[0]).await.status(), 200);
}
