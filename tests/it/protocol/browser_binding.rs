//! The browser that approved is the browser that comes back from the upstream, with the login that it
//! approved.

use std::collections::BTreeMap;

use crate::support::{Browser, Client, Server, query};

const TOKEN_ENDPOINT: &str = "/v2/oauth/token";
const LOGIN: &str = "mcp-login-";

type Cookies = BTreeMap<(String, String), String>;

/// A browser that has approved and been signed in upstream, and the return that lies before it.
async fn about_to_return(server: &Server, client: &Client, state: &str) -> (Browser, String) {
    let mut browser = Browser::new();
    let callback = return_in(&mut browser, server, client, state).await;
    (browser, callback)
}

async fn return_in(browser: &mut Browser, server: &Server, client: &Client, state: &str) -> String {
    let page = browser.get(&client.authorize_url(server, &[("state", state)])).await;
    let page = browser.decide(&page, "approve").await;
    browser.follow(page, &format!("{}/pangea/callback", server.url)).await.unwrap()
}

/// The return ends on a page, and the upstream's code has not been spent.
async fn assert_lost(server: &Server, cookies: Cookies, callback: &str, what: &str) {
    let spent = server.upstream.requests().of(TOKEN_ENDPOINT);
    let mut browser = Browser::new();
    browser.cookies = cookies;
    let page = browser.get(callback).await;
    assert_eq!((page.status.as_u16(), page.location()), (400, None), "{what}: {}", page.html);
    assert!(page.html.contains("This sign-in cannot be completed"), "{what}");
    assert_eq!(server.upstream.requests().of(TOKEN_ENDPOINT), spent, "{what}");
}

fn cookie_names(cookies: &Cookies, prefix: &str) -> Vec<(String, String)> {
    cookies.keys().filter(|(_, name)| name.starts_with(prefix)).cloned().collect()
}

/// A user who is sent another user's return (login CSRF), or catches it, gains nothing.
///
/// Shows: UP-2.
#[tokio::test]
async fn another_browser_cannot_complete_a_login() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (victim, victims) = about_to_return(&server, &client, "victim").await;
    let (attacker, attackers) = about_to_return(&server, &client, "attacker").await;
    let name = |browser: &Browser| cookie_names(&browser.cookies, "mcp-browser").remove(0);

    assert_lost(&server, Cookies::new(), &victims, "no cookies").await;
    assert_lost(&server, attacker.cookies.clone(), &victims, "the attacker's cookies").await;
    assert_lost(&server, victim.cookies.clone(), &attackers, "the attacker's login, at the victim's").await;
    let mut stolen = victim.cookies.clone();
    stolen.insert(name(&victim), attacker.cookies[&name(&attacker)].clone());
    assert_lost(&server, stolen, &victims, "the victim's login under the attacker's name").await;
    let mut unnamed = victim.cookies.clone();
    unnamed.remove(&name(&victim));
    assert_lost(&server, unnamed, &victims, "no name").await;
    let mut planted = attacker.cookies.clone();
    planted.insert(name(&attacker), victim.cookies[&name(&victim)].clone());
    assert_lost(&server, planted, &attackers, "the attacker's login under the victim's name").await;

    for (mut browser, callback, state) in [(victim, victims, "victim"), (attacker, attackers, "attacker")] {
        let answer = browser.get(&callback).await.location().expect("its own login is whole still");
        assert_eq!(query(&answer)["state"], state);
    }
}

/// A return goes with the login that was approved for it, not with another of the same browser.
///
/// Shows: UP-2, CONSENT-12.
#[tokio::test]
async fn logins_of_one_browser_cannot_be_swapped() {
    let server = Server::start().await;
    let (mine, theirs) = (Client::public(&server).await, Client::public(&server).await);
    let (mut browser, first) = about_to_return(&server, &mine, "first").await;
    let own = cookie_names(&browser.cookies, LOGIN).remove(0);
    let second = return_in(&mut browser, &server, &theirs, "second").await;
    let other = cookie_names(&browser.cookies, LOGIN).into_iter().find(|name| *name != own).unwrap();

    let mut swapped = browser.cookies.clone();
    swapped.insert(own.clone(), browser.cookies[&other].clone());
    swapped.insert(other.clone(), browser.cookies[&own].clone());
    assert_lost(&server, swapped.clone(), &first, "the second login under the first name").await;
    assert_lost(&server, swapped, &second, "the first login under the second name").await;
    let mut alone = browser.cookies.clone();
    alone.remove(&own);
    assert_lost(&server, alone, &first, "the second login alone").await;

    let with_others_code = first.replace(&query(&first)["code"], &query(&second)["code"]);
    let answer = query(&browser.get(&with_others_code).await.location().unwrap());
    assert_eq!(answer["error"], "server_error", "the upstream binds each code to its login (PKCE)");
    assert_eq!(query(&browser.get(&second).await.location().unwrap())["state"], "second");
}

/// A login of several cookies is whole or lost.
///
/// Shows: UP-2.
#[tokio::test]
async fn a_login_that_was_changed_on_the_way_is_lost() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (mut browser, callback) = about_to_return(&server, &client, &"ä".repeat(4000)).await;
    let parts = cookie_names(&browser.cookies, LOGIN);
    assert!(parts.len() >= 3, "{parts:?}");
    let cookies = browser.cookies.clone();
    let with = |change: &dyn Fn(&mut Cookies)| {
        let mut changed = cookies.clone();
        change(&mut changed);
        changed
    };
    for part in &parts {
        let value = cookies[part].clone();
        let flipped = format!("{}{}", if value.starts_with('A') { 'B' } else { 'A' }, &value[1..]);
        for (what, value) in [
            ("flipped", flipped),
            ("shortened", value[..value.len() - 1].to_owned()),
            ("lengthened", format!("{value}A")),
            ("quoted", format!("\"{value}\"")),
            ("empty", String::new()),
        ] {
            let changed = with(&|cookies| drop(cookies.insert(part.clone(), value.clone())));
            assert_lost(&server, changed, &callback, &format!("{what} {part:?}")).await;
        }
        let removed = with(&|cookies| drop(cookies.remove(part)));
        assert_lost(&server, removed, &callback, &format!("without {part:?}")).await;
    }
    let swapped = with(&|swapped| {
        swapped.insert(parts[1].clone(), cookies[&parts[2]].clone());
        swapped.insert(parts[2].clone(), cookies[&parts[1]].clone());
    });
    assert_lost(&server, swapped, &callback, "parts in another order").await;
    let surplus = with(&|cookies| {
        let (host, name) = &parts[0];
        cookies.insert((host.clone(), format!("{name}.{}", parts.len())), "AAAA".to_owned());
    });
    assert_lost(&server, surplus, &callback, "a part too many").await;
    assert!(browser.get(&callback).await.location().is_some());
}

/// Only the `state` that we made leads anywhere, and once.
///
/// Shows: UP-2.
#[tokio::test]
async fn a_return_with_another_state_is_lost() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (mut browser, callback) = about_to_return(&server, &client, "state").await;
    let cookies = browser.cookies.clone();
    let state = query(&callback).remove("state").unwrap();
    for other in ["", "unknown", &state[..42], &format!("{state}A"), &format!("{state}&state={state}")] {
        let changed = callback.replace(&state, other);
        assert_lost(&server, cookies.clone(), &changed, other).await;
    }
    assert!(browser.get(&callback).await.location().is_some());
}
