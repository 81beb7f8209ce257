//! The person's decision: what is shown, whose form it is, how often it counts, and what is kept until
//! the upstream has vouched for a person.

use std::time::Duration;

use pangea_mcp_auth::repository::{Kind, Page as List, Record, Repository, SqliteRepository};
use reqwest::{Method, Response};
use serde_json::json;

use crate::{
    stage::{Answer, Fault},
    support::{Browser, Client, Options, Page, Server, Tokens, body, claims, query},
};

const TOKEN_ENDPOINT: &str = "/v2/oauth/token";
/// So long the same decision has the same outcome.
const DOUBLE_CLICK: Duration = Duration::from_secs(10);

/// A browser that has just been shown the consent page.
async fn asked(server: &Server, client: &Client, change: &[(&str, &str)]) -> (Browser, Page) {
    let mut browser = Browser::new();
    let page = browser.get(&client.authorize_url(server, change)).await;
    assert_eq!(page.status, 200, "{}", page.html);
    (browser, page)
}

/// Follows an approval through the upstream, up to our callback, which is returned unvisited.
async fn signed_in(server: &Server, browser: &mut Browser, approved: Page) -> String {
    assert_eq!(approved.status, 303, "{}", approved.html);
    browser.follow(approved, &format!("{}/pangea/callback", server.url)).await.unwrap()
}

/// The browser at another address of the same server.
fn moved(browser: &Browser, server: &Server) -> Browser {
    let host = server.origin.replace("http://", "");
    let mut moved = Browser::new();
    let cookies = browser.cookies.iter();
    moved.cookies = cookies.map(|((_, name), value)| ((host.clone(), name.clone()), value.clone())).collect();
    moved
}

/// A page that says `title`, and no way to a code.
#[track_caller]
fn assert_notice(page: &Page, status: u16, title: &str) {
    assert_eq!(page.status, status, "{}", page.html);
    assert_eq!(page.location(), None);
    assert!(page.html.contains(&format!("<h1>{title}</h1>")), "{}", page.html);
}

/// The form as it is, or not quite, with any headers.
async fn post(server: &Server, headers: &[(&str, &str)], pairs: &[(&str, &str)]) -> Response {
    let request = server.form("/consent", pairs);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
}

/// The value of the cookie that names the browser.
fn name_of(browser: &Browser) -> String {
    let mut own = browser.cookies.iter().filter(|((_, name), _)| name == "mcp-browser");
    own.next().expect("a name").1.clone()
}

/// Another pair of eyes on the repository.
struct Witness {
    repository: SqliteRepository,
    database: rusqlite::Connection,
}

impl Witness {
    fn of(server: &Server) -> Self {
        let path = server.folder.path().join("test.sqlite");
        let database = rusqlite::Connection::open(&path).unwrap();
        Self { repository: SqliteRepository::open(&path).unwrap(), database }
    }

    /// Changes with every commit of anybody else.
    fn commits(&self) -> i64 {
        self.database.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap()
    }

    async fn records(&self, server: &Server, kind: Kind) -> Vec<Record> {
        let page = List { limit: 1000, ..List::default() };
        self.repository.list(kind, &page, server.server.now()).await.unwrap()
    }

    async fn all(&self, server: &Server) -> Vec<Record> {
        let mut all = Vec::new();
        for kind in Kind::ALL {
            all.extend(self.records(server, kind).await);
        }
        all
    }
}

/// Contract, promise 5.
///
/// Shows: CONSENT-1, AUTHZ-27.
#[tokio::test]
async fn only_registration_writes_before_the_upstream_has_vouched_for_somebody() {
    let server = Server::start().await;
    let witness = Witness::of(&server);
    let unregistered = witness.commits();
    let client = Client::public(&server).await;
    assert_ne!(witness.commits(), unregistered, "the witness sees a write");
    let (commits, records) = (witness.commits(), witness.all(&server).await);

    let (mut browser, page) = asked(&server, &client, &[]).await;
    browser.get(&client.authorize_url(&server, &[("scope", "non\"sense")])).await;
    browser.get(&client.authorize_url(&server, &[("client_id", "mcp_unknown")])).await;
    let declined = browser.decide(&page, "deny").await;
    assert_eq!(declined.status, 303);
    for answer in [Answer::Deny, Answer::Nothing] {
        server.upstream.switches().authorize.set_for_next(1, |authorize| authorize.answer = answer);
        let refused = client.authorize(&server, &mut Browser::new(), &[]).await;
        assert!(query(&refused.location().unwrap()).contains_key("error"));
    }
    server.upstream.switches().token.set_for_next(1, |token| {
        token.fault = Fault::Status(500);
    });
    client.authorize(&server, &mut Browser::new(), &[]).await;
    client.redeem(&server, "mcp_ac_unknown").await;
    client.refresh(&server, "mcp_rt_unknown").await;
    let (mut browser, page) = asked(&server, &client, &[]).await;
    let approved = browser.decide(&page, "approve").await;
    let callback = signed_in(&server, &mut browser, approved).await;
    Browser::new().get(&callback).await;
    browser.get(&format!("{}/pangea/callback?state=unknown&code=x", server.url)).await;
    assert_eq!(witness.commits(), commits, "nothing was written");
    assert_eq!(witness.all(&server).await, records);

    let answer = browser.get(&callback).await.location().unwrap();
    assert!(query(&answer).contains_key("code"));
    assert_ne!(witness.commits(), commits);
    assert_eq!(witness.records(&server, Kind::Grant).await.len(), 1);
}

/// Consent is not remembered, so no registry of approvals is needed. A user who approved a client before, in
/// this browser or another, is asked again, so no approval can be taken for another.
///
/// Shows: CONSENT-1, CONSENT-2, CONSENT-13, CONSENT-14.
#[tokio::test]
async fn every_request_of_every_client_is_asked_about_before_the_upstream_hears_of_it() {
    let server = Server::start().await;
    let mut browser = Browser::new();
    for redirect_uri in ["http://localhost/cb", "cursor://host/cb", "https://claude.ai/api/mcp/auth_callback"]
    {
        let client = Client::registered(&server, json!({ "redirect_uris": [redirect_uri] })).await;
        for change in [&[][..], &[], &[("scope", "user")], &[("prompt", "consent")], &[("prompt", "login")]] {
            let before = server.upstream.requests().total();
            let page = browser.get(&client.authorize_url(&server, change)).await;
            assert_eq!((page.status.as_u16(), page.location()), (200, None), "{redirect_uri} {change:?}");
            assert_eq!(page.header("refresh"), "");
            assert!(page.html.contains("value=\"approve\""));
            assert_eq!(server.upstream.requests().total(), before, "the upstream has heard of nothing");
            let page = browser.decide(&page, "approve").await;
            browser.follow(page, redirect_uri).await.expect("a code");
        }
    }
}

/// Shows: CONSENT-15.
#[tokio::test]
async fn a_grant_belongs_to_the_person_who_signed_in_and_not_to_the_last_one_in_this_browser() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let mut browser = Browser::new();
    for email in ["ada@example.com", "bob@example.com"] {
        server.upstream.switches().authorize.set(|authorize| authorize.sign_in_as = Some(email.to_owned()));
        let answer = client.authorize(&server, &mut browser, &[]).await.location().unwrap();
        let tokens = Tokens::of(client.redeem(&server, &query(&answer)["code"]).await).await;
        assert_eq!(server.introspect(&tokens.access).await["username"], email);
    }
}

/// Shows: CONSENT-7.
#[tokio::test]
async fn a_decision_counts_only_as_a_post_from_the_page_that_this_browser_was_shown() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (browser, page) = asked(&server, &client, &[]).await;
    let (other, others_page) = asked(&server, &client, &[]).await;
    let witness = Witness::of(&server);
    let commits = witness.commits();
    let (transaction, foreign) = (page.transaction(), others_page.transaction());
    let name = name_of(&browser);
    let own = format!("mcp-browser={name}");
    let form = [("transaction", &*transaction), ("decision", "approve")];

    let changed = |at: usize| {
        let mut text = transaction.clone().into_bytes();
        text[at] = if text[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(text).unwrap()
    };
    let mut tampered: Vec<String> = (0..transaction.len() - 1).step_by(40).map(changed).collect();
    tampered.extend([
        foreign,
        name.clone(),
        "x".to_owned(),
        "e30".to_owned(),
        format!("{transaction}A"),
        format!("{transaction}="),
        transaction[..transaction.len() - 4].to_owned(),
    ]);
    for sealed in &tampered {
        let form = [("transaction", &**sealed), ("decision", "approve")];
        assert_eq!(post(&server, &[("cookie", &*own)], &form).await.status(), 403, "{sealed}");
    }
    for cookie in [
        String::new(),
        "mcp-browser=".to_owned(),
        format!("mcp-browser={}", &name[..42]),
        format!("mcp-browser={name}A"),
        format!("mcp-browser=\"{name}\""),
        format!("mcp-browser={}", name_of(&other)),
        format!("MCP-browser={name}"),
        format!("xmcp-browser={name}"),
        format!("mcp-browser2={name}"),
        format!("__Secure-mcp-browser={name}"),
        format!("x=\"mcp-browser={name}\""),
    ] {
        assert_eq!(post(&server, &[("cookie", &cookie)], &form).await.status(), 403, "{cookie}");
    }
    let elsewhere = server.origin.replace("127.0.0.1", "localhost");
    let longer = format!("{}.evil.example", server.origin);
    for origin in ["https://evil.example", &*elsewhere, &longer, "", "null", "NULL"] {
        let headers = [("cookie", &*own), ("origin", origin)];
        assert_eq!(post(&server, &headers, &form).await.status(), 403, "{origin}");
    }
    let headers = [("cookie", &*own), ("origin", &*server.origin), ("origin", "https://evil.example")];
    assert_eq!(post(&server, &headers, &form).await.status(), 403, "two origins");
    for pairs in [&form[..1], &form[1..], &[form[0], ("decision", "yes")], &[form[0], form[1], form[1]]] {
        assert_eq!(post(&server, &[("cookie", &*own)], pairs).await.status(), 400, "{pairs:?}");
    }
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::OPTIONS] {
        let query = format!("transaction={transaction}&decision=approve");
        let request = server.http.request(method.clone(), format!("{}/consent?{query}", server.url));
        let response = request.header("cookie", &own).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["allow"].to_str().unwrap()),
            (405, "POST")
        );
    }
    assert_eq!(server.upstream.requests().total(), 0, "nothing has happened");
    assert_eq!(witness.commits(), commits);

    let around = format!("a=b; {own};c=\"d\"; e");
    assert_eq!(post(&server, &[("cookie", &around)], &form).await.status(), 303, "no origin is sent");
    let headers = [("cookie", &*around), ("origin", &*server.origin)];
    assert_eq!(post(&server, &headers, &form).await.status(), 303);
}

/// What the browser itself says of a request (Fetch Metadata) tells a user from a script that shares our
/// origin. Nothing is used up by a request that is refused for it.
///
/// Shows: CONSENT-7.
#[tokio::test]
async fn where_the_browser_says_so_pages_are_for_windows_and_decisions_for_users() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let names = ["sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-user", "user-agent"];
    let telling = |browser: &Browser, told: &str| {
        let told = names.into_iter().zip(told.split(' ')).filter(|(_, value)| *value != "-");
        told.fold(browser.clone(), |browser, (name, value)| browser.sending(name, value))
    };
    let authorize = client.authorize_url(&server, &[]);
    let (url, query_of) = authorize.split_once('?').unwrap();
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query_of.as_bytes()).into_owned().collect();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
    for (told, status) in [
        ("cross-site navigate document", 200),
        ("none navigate document ?1", 200),
        ("same-origin cors empty", 403),
        ("same-origin navigate iframe ?1", 403),
        ("cross-site no-cors image", 403),
    ] {
        assert_eq!(telling(&Browser::new(), told).get(&authorize).await.status, status, "GET {told}");
        assert_eq!(telling(&Browser::new(), told).post(url, &pairs).await.status, status, "POST {told}");
    }

    let (browser, page) = asked(&server, &client, &[]).await;
    let good = "same-origin navigate document ?1 Firefox/140.0";
    for (told, status) in [
        ("same-origin navigate document - Firefox/140.0", 403),
        ("same-origin navigate document - Chrome/140.0.0.0", 403),
        ("same-origin cors empty - Version/18.5", 403),
        ("same-site navigate document ?1", 403),
        ("cross-site navigate document ?1", 403),
        ("same-origin navigate iframe ?1", 403),
        ("same-origin navigate document - Version/18.5", 303),
        (good, 303),
    ] {
        for decision in ["deny", "approve"] {
            let decided = telling(&browser, told).decide(&page, decision).await;
            assert_eq!(decided.status, status, "{decision} {told}");
            assert_eq!(
                decided.headers.contains_key("set-cookie"),
                status == 303,
                "{told}: nothing is used up"
            );
        }
    }

    let mut second_click = telling(&browser, "same-origin navigate document - Firefox/140.0");
    assert_eq!(second_click.decide(&page, "approve").await.status, 303, "half of a double click");
    assert_eq!(second_click.decide(&page, "approve_other_account").await.status, 403, "another decision");

    let mut browser = telling(&browser, good);
    let approved = browser.decide(&page, "approve").await;
    let callback = signed_in(&server, &mut browser, approved).await;
    for told in ["same-origin cors empty - Firefox/140.0", "cross-site navigate iframe - Firefox/140.0"] {
        assert_eq!(telling(&browser, told).get(&callback).await.status, 403, "{told}");
    }
    assert!(query(&browser.get(&callback).await.location().unwrap()).contains_key("code"));
}

/// Over https by every means that a cookie has; over http, which is for loopback alone, without `Secure`,
/// because Safari would keep no such cookie.
///
/// Shows: CONSENT-9, CONSENT-10.
#[tokio::test]
async fn cookies_are_for_this_host_alone_and_a_login_is_held_only_after_approval() {
    for (public, prefix, guarded) in [
        (Some("https://auth.example.org"), "__Host-", &["Path=/", "Secure", "HttpOnly", "SameSite=Lax"][..]),
        (None, "", &["Path=/", "HttpOnly", "SameSite=Lax"][..]),
    ] {
        let resources = Some("[[resources]]\nurl = \"https://mcp.example.org/mcp\"\nscopes = [\"user\"]");
        let options = Options { path: "/tenant1", public, resources, ..Options::default() };
        let server = Server::with(options).await;
        let client = Client::public(&server).await;
        let mut browser = Browser::of(&server);
        let page = browser.get(&client.authorize_url(&server, &[("resource", "")])).await;
        let mut other = Browser::of(&server);
        let other_page = other.get(&client.authorize_url(&server, &[("resource", "")])).await;
        let approved = browser.decide(&page, "approve").await;
        let callback = signed_in(&server, &mut browser, approved.clone()).await;
        let completed = browser.get(&callback).await;
        let declined = other.decide(&other_page, "deny").await;
        for (page, names) in [
            (&page, vec!["mcp-browser"]),
            (&approved, vec!["mcp-login-"]),
            (&completed, vec!["mcp-login-"]),
            (&declined, vec!["mcp-declined-"]),
        ] {
            let cookies: Vec<&str> =
                page.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
            assert_eq!(cookies.len(), names.len(), "{cookies:?}");
            for (cookie, name) in cookies.iter().zip(names) {
                assert!(cookie.starts_with(&format!("{prefix}{name}")), "{cookie}");
                let mut attributes: Vec<&str> = cookie.split("; ").skip(1).collect();
                attributes.retain(|attribute| !attribute.starts_with("Max-Age="));
                assert_eq!(attributes, guarded, "and no Domain");
            }
        }
        assert!(browser.cookies.keys().all(|(_, name)| !name.contains("login")), "gone once it is completed");
    }
}

/// Shows: CONSENT-11, AUTHZ-16, AUTHZ-27.
#[tokio::test]
async fn declining_tells_the_client_and_not_the_upstream() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (mut browser, page) = asked(&server, &client, &[]).await;
    let first = browser.decide(&page, "deny").await;
    let answer = query(&first.location().unwrap());
    assert_eq!(first.status, 303);
    assert!(first.location().unwrap().starts_with(&client.redirect_uri));
    let told = (&*answer["error"], &*answer["state"], &*answer["iss"]);
    assert_eq!(told, ("access_denied", "client-state", &*server.url));
    let again = query(&browser.decide(&page, "deny").await.location().unwrap());
    let told_again = (&*again["error"], &*again["state"], &*again["iss"]);
    assert_eq!(told_again, told, "a double click changes nothing");

    let stranger = Client::registered(&server, json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    let (mut browser, page) = asked(&server, &stranger, &[]).await;
    let page = browser.decide(&page, "deny").await;
    assert_notice(&page, 200, "You declined");
    assert!(page.html.contains("href=\"https://app.example/cb?error=access_denied&#38;"), "{}", page.html);
    assert_eq!(server.upstream.requests().total(), 0);
}

/// Shows: CONSENT-12.
#[tokio::test]
async fn a_double_click_leads_to_the_same_place_and_to_one_code() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (mut browser, page) = asked(&server, &client, &[]).await;
    let mut same = browser.clone();
    let (first, second) = tokio::join!(browser.decide(&page, "approve"), same.decide(&page, "approve"));
    assert_eq!(first.location(), second.location());
    let third = browser.decide(&page, "approve").await;
    assert_eq!(third.location(), first.location());
    let callback = signed_in(&server, &mut browser, third).await;
    let mut twin = browser.clone();
    let (one, two) = tokio::join!(browser.get(&callback), twin.get(&callback));
    let codes = [&one, &two].into_iter().filter(|page| page.location().is_some()).count();
    assert_eq!(codes, 1, "{} {}", one.html, two.html);
    assert_eq!(server.upstream.requests().of(TOKEN_ENDPOINT), 1, "the upstream was asked once");
    assert_eq!(Witness::of(&server).records(&server, Kind::Grant).await.len(), 1);
}

/// The browser drops the answer to the first click, wherever the first click has got to.
///
/// Shows: CONSENT-12.
#[tokio::test]
async fn a_second_click_gets_the_answer_that_the_browser_dropped() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    for returned_first in [false, true] {
        let (mut browser, page) = asked(&server, &client, &[]).await;
        let first = browser.decide(&page, "approve").await;
        let mut dropped = browser.clone();
        let callback = signed_in(&server, &mut dropped, first.clone()).await;
        let answer = if returned_first { dropped.get(&callback).await.location() } else { None };
        if returned_first {
            let other = browser.clone().decide(&page, "deny").await;
            assert_notice(&other, 400, "This request has been answered");
        }
        let second = browser.decide(&page, "approve").await;
        assert_eq!(second.location(), first.location());
        let answer = if returned_first { answer } else { dropped.get(&callback).await.location() };
        let again = signed_in(&server, &mut browser, second).await;
        let mut replaying = browser.clone();
        let asked = server.upstream.requests().of(TOKEN_ENDPOINT);
        assert_eq!(browser.get(&again).await.location(), answer, "the same answer");
        assert_notice(&replaying.get(&again).await, 400, "This sign-in has been completed");
        assert_eq!(server.upstream.requests().of(TOKEN_ENDPOINT), asked);
        Tokens::of(client.redeem(&server, &query(&answer.unwrap())["code"]).await).await;
    }
    assert_eq!(Witness::of(&server).records(&server, Kind::Grant).await.len(), 2);
}

/// A second click is answered again neither later nor once the code is spent, in whichever process.
///
/// Shows: CONSENT-12, UP-2.
#[tokio::test]
async fn a_second_click_gets_nothing_that_is_spent_or_old() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    for is_spent in [false, true] {
        let (mut browser, page) = asked(&server, &client, &[]).await;
        let first = browser.decide(&page, "approve").await;
        let mut dropped = browser.clone();
        let second = browser.decide(&page, "approve").await;
        let callback = signed_in(&server, &mut dropped, first).await;
        let answer = dropped.get(&callback).await.location().unwrap();
        if is_spent {
            Tokens::of(client.redeem(&server, &query(&answer)["code"]).await).await;
        } else {
            server.clock.advance(DOUBLE_CLICK);
        }
        let again = signed_in(&server, &mut browser, second).await;
        let elsewhere = Options { folder: Some(server.folder.clone()), ..Options::default() };
        let elsewhere = Server::at(elsewhere, server.clock.clone()).await;
        let mut moved = moved(&browser, &elsewhere);
        let page_elsewhere = moved.get(&again.replace(&server.origin, &elsewhere.origin)).await;
        assert_notice(&page_elsewhere, 400, "This sign-in has been completed");
        assert_notice(&browser.get(&again).await, 400, "This sign-in has been completed");
        assert_notice(&browser.decide(&page, "approve").await, 400, "This request has been answered");
    }
}

/// Shows: CONSENT-12.
#[tokio::test]
async fn after_completion_the_back_button_leads_to_a_clear_page_and_to_no_second_code() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (mut browser, page) = asked(&server, &client, &[]).await;
    let approved = browser.decide(&page, "approve").await;
    let callback = signed_in(&server, &mut browser, approved).await;
    let mut before = browser.clone();
    let held = browser.cookies.clone();
    let answer = browser.get(&callback).await.location().unwrap();
    server.clock.advance(DOUBLE_CLICK);
    for decision in ["approve", "deny"] {
        assert_notice(&browser.decide(&page, decision).await, 400, "This request has been answered");
    }
    assert_notice(&browser.get(&callback).await, 400, "This sign-in cannot be completed");
    assert_notice(&before.get(&callback).await, 400, "This sign-in has been completed");
    assert_eq!(Witness::of(&server).records(&server, Kind::Grant).await.len(), 1);
    assert_eq!(server.upstream.requests().of(TOKEN_ENDPOINT), 1);
    Tokens::of(client.redeem(&server, &query(&answer)["code"]).await).await;

    // Another process has not seen the first return, and refuses by what is stored.
    let folder = Some(server.folder.clone());
    let other = Server::at(Options { folder, ..Options::default() }, server.clock.clone()).await;
    browser.cookies = held;
    let mut browser = moved(&browser, &other);
    let page = browser
        .post(
            &format!("{}/consent", other.url),
            &[("transaction", &page.transaction()), ("decision", "approve")],
        )
        .await;
    assert_notice(&page, 400, "This request has been answered");
    let page = browser.get(&callback.replace(&server.origin, &other.origin)).await;
    assert_notice(&page, 400, "This sign-in has been completed");
    assert_eq!(other.upstream.requests().of(TOKEN_ENDPOINT), 0);
}

/// Shows: CONSENT-12.
#[tokio::test]
async fn who_has_declined_has_declined() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (mut browser, page) = asked(&server, &client, &[]).await;
    browser.decide(&page, "deny").await;
    assert_notice(&browser.decide(&page, "approve").await, 400, "This request has been answered");

    // Approved, back from the sign-in page, declined, and forward again.
    let (mut browser, page) = asked(&server, &client, &[]).await;
    let approved = browser.decide(&page, "approve").await;
    let callback = signed_in(&server, &mut browser, approved).await;
    let declined = browser.decide(&page, "deny").await;
    assert_eq!(query(&declined.location().unwrap())["error"], "access_denied");
    assert_notice(&browser.get(&callback).await, 400, "This sign-in cannot be completed");
    assert_eq!(Witness::of(&server).records(&server, Kind::Grant).await.len(), 0);
}

/// Who is late hears it from the client, where it may be answered at once.
///
/// Shows: CONSENT-12, UP-2.
#[tokio::test]
async fn a_page_waits_ten_minutes_and_the_upstream_thirty_and_then_the_client_is_told() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (mut browser, page) = asked(&server, &client, &[]).await;
    server.advance(Duration::from_secs(599));
    let approved = browser.decide(&page, "approve").await;
    server.advance(Duration::from_secs(1));
    for decision in ["approve", "approve_other_account", "deny"] {
        let late = browser.clone().decide(&page, decision).await;
        assert_eq!(query(&late.location().unwrap())["error"], "access_denied", "{decision}");
    }
    server.advance(Duration::from_secs(30 * 60 - 2));
    let callback = signed_in(&server, &mut browser, approved).await;
    let mut late = browser.clone();
    assert!(query(&browser.get(&callback).await.location().unwrap()).contains_key("code"));

    server.advance(Duration::from_secs(1));
    assert_notice(&late.get(&callback).await, 400, "This sign-in has been completed");

    let stranger = Client::registered(&server, json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    for client in [&client, &stranger] {
        let (mut slow, page) = asked(&server, client, &[]).await;
        let approved = slow.decide(&page, "approve").await;
        let callback = signed_in(&server, &mut slow, approved).await;
        server.advance(Duration::from_mins(30));
        let told = slow.get(&callback).await;
        if client.id == stranger.id {
            assert_notice(&told, 400, "This took too long");
            assert!(
                told.html.contains("href=\"https://app.example/cb?error=access_denied&#38;"),
                "{}",
                told.html
            );
        } else {
            let answer = query(&told.location().unwrap());
            assert_eq!([&answer["error"], &answer["state"]], ["access_denied", "client-state"]);
        }
        assert_notice(&slow.get(&callback).await, 400, "This sign-in cannot be completed");
    }
    assert_eq!(server.upstream.requests().of(TOKEN_ENDPOINT), 1, "who is late is not asked about");
}

/// Shows: CONSENT-12.
#[tokio::test]
async fn tabs_of_one_browser_do_not_disturb_each_other() {
    let server = Server::start().await;
    let mut browser = Browser::new();
    let mut tabs = Vec::new();
    for number in 0..5 {
        let client = Client::public(&server).await;
        let state = format!("{number}").repeat(3000);
        let page = browser.get(&client.authorize_url(&server, &[("state", &state)])).await;
        tabs.push((client, state, page));
    }
    tabs.rotate_left(2);
    let declined = browser.decide(&tabs.pop().unwrap().2, "deny").await;
    assert!(query(&declined.location().unwrap()).contains_key("error"));
    let mut returning = Vec::new();
    for (client, state, page) in tabs {
        let approved = browser.decide(&page, "approve").await;
        returning.push((client, state, signed_in(&server, &mut browser, approved).await));
    }
    returning.reverse();
    for (client, state, callback) in returning {
        let answer = query(&browser.get(&callback).await.location().unwrap());
        assert_eq!(answer["state"], state);
        let tokens = Tokens::of(client.redeem(&server, &answer["code"]).await).await;
        assert_eq!(claims(&tokens.access)["client_id"], client.id);
    }
}

/// Shows: AUTHZ-3, DCR-17.
#[tokio::test]
async fn a_registration_that_ends_while_the_person_decides_ends_the_login() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    server.advance(Duration::from_secs(24 * 3600 - 10));
    let (mut browser, page) = asked(&server, &client, &[]).await;
    let approved = browser.decide(&page, "approve").await;
    let callback = signed_in(&server, &mut browser, approved).await;
    server.advance(Duration::from_secs(10));
    for decision in ["approve", "deny"] {
        let page = browser.decide(&page, decision).await;
        assert_notice(&page, 400, "This app is not known here");
    }
    assert_notice(&browser.get(&callback).await, 400, "This app is not known here");
}

/// What an application holds, it can give back; listing and revoking for operators is the command
/// line's.
///
/// Shows: CONSENT-19.
#[tokio::test]
async fn a_grant_that_was_revoked_yields_nothing_more() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    let pairs = [("token", &*tokens.refresh), ("client_id", &*client.id)];
    assert_eq!(server.form("/revoke", &pairs).send().await.unwrap().status(), 200);
    let refused = client.refresh(&server, &tokens.refresh).await;
    assert_eq!(body(refused).await["error"], "invalid_grant");
    assert_eq!(server.introspect(&tokens.access).await, json!({ "active": false }));
}
