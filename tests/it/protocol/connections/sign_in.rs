//! Who is signed in to the page, and for how long.

use std::time::Duration;

use super::*;
use crate::stage::{Answer, Fault};

const SESSION: &str = "mcp-connections";

#[tokio::test]
async fn only_a_press_of_the_button_begins_a_sign_in() {
    let server = Server::start().await;
    let mut browser = Browser::new();
    let page = browser.get(&url(&server)).await;
    assert_eq!((page.status.as_u16(), page.location()), (200, None));
    let of_another = token(&Browser::new().get(&url(&server)).await);
    for token in ["", &*of_another] {
        let answer = browser.post(&url(&server), &[("action", "sign_in"), ("token", token)]).await;
        assert_eq!((answer.status.as_u16(), answer.location()), (403, None));
    }
    browser.get(&format!("{}?action=sign_in&token={}", url(&server), token(&page))).await;
    assert_eq!(server.upstream.requests().of("/v2/oauth/authorize"), 0);
    about_to_return(&server, &mut browser).await;
    assert_eq!(server.upstream.requests().of("/v2/oauth/authorize"), 1);
}

/// A victim who is sent an attacker's return gets no session of the attacker, nor the attacker the victim's.
///
/// Shows: UP-2.
#[tokio::test]
async fn another_browser_cannot_complete_the_sign_in() {
    let server = Server::start().await;
    let (mut attacker, mut victim) = (Browser::new(), Browser::new());
    let attackers = about_to_return(&server, &mut attacker).await;
    let victims = about_to_return(&server, &mut victim).await;
    let spent = server.upstream.requests().of("/v2/oauth/token");
    for (mut browser, callback) in
        [(Browser::new(), &victims), (attacker.clone(), &victims), (victim.clone(), &attackers)]
    {
        let page = browser.get(callback).await;
        assert_eq!(page.status, 400);
        assert!(browser.cookies.keys().all(|(_, name)| name != SESSION));
    }
    let name =
        |browser: &Browser| browser.cookies.keys().find(|(_, name)| name == "mcp-browser").unwrap().clone();
    let mut stolen = victim.clone();
    stolen.cookies.insert(name(&victim), attacker.cookies[&name(&attacker)].clone());
    assert_eq!(stolen.get(&victims).await.status, 400, "the victim's sign-in under the attacker's name");
    let mut two = victim.clone();
    let logins = |browser: &Browser| -> Vec<(String, String)> {
        browser.cookies.keys().filter(|(_, name)| name.starts_with("mcp-login-")).cloned().collect()
    };
    let own = logins(&two).remove(0);
    let second = about_to_return(&server, &mut two).await;
    let other = logins(&two).into_iter().find(|name| *name != own).unwrap();
    two.cookies.insert(other.clone(), two.cookies[&own].clone());
    assert_eq!(two.get(&second).await.status, 400, "one sign-in in the place of another");
    // Cookies can be planted by another server of the same host name, which has neither this network nor this browser.
    let mut planted = attacker.clone().sending("user-agent", "another");
    let page = planted.get(&attackers).await;
    assert_eq!(page.status, 400);
    assert!(
        page.html.contains("value=\"sign_in\"") && planted.cookies.keys().all(|(_, name)| name != SESSION)
    );
    assert_eq!(server.upstream.requests().of("/v2/oauth/token"), spent);
    assert_eq!(victim.get(&victims).await.location(), Some(url(&server)));
}

#[tokio::test]
async fn a_return_counts_once_and_for_half_an_hour() {
    let server = Server::start().await;
    let mut browser = Browser::new();
    let callback = about_to_return(&server, &mut browser).await;
    let mut again = browser.clone();
    assert_eq!(browser.get(&callback).await.location(), Some(url(&server)));
    let page = again.get(&callback).await;
    assert_eq!(page.status, 400);
    assert_eq!(server.upstream.requests().of("/v2/oauth/token"), 1);

    let mut late = Browser::new();
    let callback = about_to_return(&server, &mut late).await;
    server.advance(Duration::from_mins(30));
    let page = late.get(&callback).await;
    assert_eq!(page.status, 400);
    assert!(page.html.contains("value=\"sign_in\""));
    assert_eq!(server.upstream.requests().of("/v2/oauth/token"), 1);
}

/// The way to the page is no way to a client's code, nor the other way round.
#[tokio::test]
async fn a_sign_in_to_the_page_makes_no_grant() {
    let server = Server::start().await;
    signed_in(&server).await;
    assert_eq!(server.stored_grants(), [Value::Null; 0]);
    assert!(!server.database_text().contains("upstream\":"), "no token of the upstream is kept");
}

#[tokio::test]
async fn a_session_ends_after_ten_minutes() {
    let server = Server::start().await;
    let connected = Connected::new(&server).await;
    let (mut browser, page) = signed_in(&server).await;
    server.advance(Duration::from_secs(599));
    assert_eq!(listed(&browser.get(&url(&server)).await).len(), 1);
    server.advance(Duration::from_secs(1));
    let mut stale = browser.clone();
    assert!(browser.get(&url(&server)).await.html.contains("value=\"sign_in\""));
    assert!(browser.cookies.keys().all(|(_, name)| name != SESSION));
    let after = press(&server, &mut stale, &page, "disconnect", &connected.grant()).await;
    assert!(after.html.contains("value=\"sign_in\""));
    assert!(!connected.refresh_error(&server).await.is_string());
}

/// An MCP server with our host name sees our cookies, because they ignore ports.
#[tokio::test]
async fn a_session_is_for_the_network_and_browser_that_signed_in() {
    let top = "trusted_proxies = [\"127.0.0.1/32\"]";
    let server = Server::with(Options { top, ..Options::default() }).await;
    let connected = Connected::new(&server).await;
    let mut browser = Browser::of(&server).sending("x-forwarded-for", "192.0.2.1");
    let callback = about_to_return(&server, &mut browser).await;
    browser.get(&callback).await;
    let page = browser.get(&url(&server)).await;
    assert_eq!(listed(&page), [connected.grant()]);
    for (header, value) in [("x-forwarded-for", "192.0.2.2"), ("user-agent", "curl")] {
        let mut thief = browser.clone().sending(header, value);
        assert!(thief.get(&url(&server)).await.html.contains("value=\"sign_in\""), "{header}");
        press(&server, &mut thief, &page, "disconnect", &connected.grant()).await;
    }
    assert!(connected.is_live(&server).await);
}

#[tokio::test]
async fn signing_out_ends_the_session_wherever_its_cookie_was_copied_to() {
    let server = Server::start().await;
    let (mut browser, page) = signed_in(&server).await;
    let mut copied = browser.clone();
    let after = press(&server, &mut browser, &page, "sign_out", "").await;
    assert!(after.html.contains("value=\"sign_in\""));
    assert!(browser.cookies.keys().all(|(_, name)| name != SESSION));
    assert!(copied.get(&url(&server)).await.html.contains("value=\"sign_in\""));
}

/// Shows: CONSENT-9.
#[tokio::test]
async fn the_session_is_a_guarded_cookie_and_stored_as_a_hash() {
    let options = Options { public: Some("https://auth.example.org"), ..Options::default() };
    let server = Server::with(options).await;
    let mut browser = Browser::of(&server);
    let callback = about_to_return(&server, &mut browser).await;
    let back = browser.get(&callback).await;
    let set = back.headers.get_all("set-cookie").iter().map(|set| set.to_str().unwrap());
    let set = set.filter(|set| set.contains(SESSION)).collect::<Vec<_>>();
    let (pair, attributes) = set[0].split_once(';').unwrap();
    let (name, value) = pair.split_once('=').unwrap();
    assert_eq!((set.len(), name, value.len()), (1, "__Host-mcp-connections", 43));
    assert_eq!(attributes, " Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax");
    assert!(!server.database_text().contains(value));
    let page = browser.get(&url(&server)).await;
    assert!(!page.html.contains(value));
    let key: String = database(&server)
        .query_row("SELECT key FROM record WHERE key LIKE 'session.%'", [], |row| row.get(0))
        .unwrap();
    let mut thief = browser.clone();
    let cookie = thief.cookies.iter_mut().find(|((_, name), _)| name.contains(SESSION)).unwrap();
    *cookie.1 = key["session.".len()..].to_owned();
    assert!(
        thief.get(&url(&server)).await.html.contains("value=\"sign_in\""),
        "the record is no key to the page"
    );
}

/// A person who has lost their access can still end what they once allowed.
#[tokio::test]
async fn a_person_who_is_not_admitted_can_disconnect() {
    let server = Server::start().await;
    let connected = Connected::new(&server).await;
    let sections = "[access]\nemails = [\"bob@example.com\"]";
    let folder = Some(std::sync::Arc::clone(&server.folder));
    let options = Options { sections, folder, ..Options::default() };
    let strict = Server::at(options, std::sync::Arc::clone(&server.clock)).await;
    let (mut browser, page) = signed_in(&strict).await;
    let grant = listed(&page).pop();
    assert_eq!(grant, Some(connected.grant()));
    press(&strict, &mut browser, &page, "disconnect", &connected.grant()).await;
    assert!(!connected.is_live(&server).await);
}

#[tokio::test]
async fn a_sign_in_that_fails_offers_another() {
    let server = Server::start().await;
    let mut browser = Browser::new();
    server.upstream.switches().authorize.set_for_next(1, |authorize| authorize.answer = Answer::Deny);
    let callback = about_to_return(&server, &mut browser).await;
    let denied = browser.get(&callback).await;
    let callback = about_to_return(&server, &mut browser).await;
    server.upstream.switches().token.set_for_next(1, |token| token.fault = Fault::Status(503));
    let unavailable = browser.get(&callback).await;
    let spoiled = about_to_return(&server, &mut browser).await.replace("code=", "code=x");
    let refused = browser.get(&spoiled).await;
    for (page, status) in [(&denied, 400), (&unavailable, 503), (&refused, 500)] {
        assert_eq!((page.status.as_u16(), page.location()), (status, None));
        assert!(
            page.html.contains("role=\"alert\"") && page.html.contains("value=\"sign_in\""),
            "{}",
            page.html
        );
        assert!(page.html.contains(page.header("x-request-id")));
        assert!(browser.cookies.keys().all(|(_, name)| name != SESSION));
    }
    // The button works.
    let way = browser.post(&url(&server), &[("action", "sign_in"), ("token", &token(&refused))]).await;
    let back = browser.follow(way, &url(&server)).await;
    assert_eq!(back.unwrap(), url(&server));
}

#[tokio::test]
async fn another_account_is_asked_for_upstream() {
    let server = Server::start().await;
    let (mut browser, page) = signed_in(&server).await;
    let tokens = fields(&page, "token");
    let form = [("action", "sign_in_other"), ("token", tokens.last().unwrap())];
    let way = browser.post(&url(&server), &form).await.location().unwrap();
    assert_eq!(crate::support::query(&way)["prompt"], "login");
    sign_in_as(&server, "grace@example.com");
    let way = browser.get(&way).await;
    let callback = way.location().unwrap();
    browser.get(&callback).await;
    assert!(browser.get(&url(&server)).await.html.contains("<bdi>grace@example.com</bdi>"));
}

/// As for a login: each such code costs a call of the upstream.
#[tokio::test]
async fn a_network_with_many_refused_codes_is_slowed_down() {
    let top = "trusted_proxies = [\"127.0.0.1/32\"]";
    let server = Server::with(Options { top, ..Options::default() }).await;
    let mut statuses = Vec::new();
    for _ in 0..20 {
        let mut browser = Browser::new().sending("x-forwarded-for", "192.0.2.1");
        let spoiled = about_to_return(&server, &mut browser).await.replace("code=", "code=x");
        statuses.push(browser.get(&spoiled).await.status.as_u16());
    }
    assert_eq!((statuses[0], *statuses.last().unwrap()), (500, 429), "{statuses:?}");
}
