//! `/connections`: a person sees the clients that are connected in their name, and disconnects them.

mod finding;
mod forms;
mod no_entry;
mod sign_in;

use rusqlite::Connection as Database;
use serde_json::Value;

use crate::support::{Browser, Client, Options, Page, Server, Tokens, body};

/// A connected client, and what its user gave it.
struct Connected {
    client: Client,
    tokens: Tokens,
}

impl Connected {
    /// Connects a client in the name of the person who is signed in upstream.
    async fn new(server: &Server) -> Self {
        let client = Client::public(server).await;
        let tokens = client.login(server).await;
        Self { client, tokens }
    }

    fn grant(&self) -> String {
        let claims = crate::support::claims(&self.tokens.access);
        claims["jti"].as_str().unwrap().split('.').next().unwrap().to_owned()
    }

    /// Whether the access token is good.
    async fn is_live(&self, server: &Server) -> bool {
        server.introspect(&self.tokens.access).await["active"].as_bool().unwrap()
    }

    async fn refresh_error(&self, server: &Server) -> Value {
        body(self.client.refresh(server, &self.tokens.refresh).await).await["error"].clone()
    }
}

fn url(server: &Server) -> String {
    format!("{}/connections", server.url)
}

fn sign_in_as(server: &Server, email: &str) {
    let email = email.to_owned();
    server.upstream.switches().authorize.set(move |authorize| authorize.sign_in_as = Some(email));
}

/// The values of a hidden field, in order.
fn fields<'a>(page: &'a Page, name: &str) -> Vec<&'a str> {
    let before = format!("name=\"{name}\" value=\"");
    page.html.split(&*before).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

/// The token of the first form: of the session on a list, of the browser on the page that asks to sign in.
fn token(page: &Page) -> String {
    fields(page, "token")[0].to_owned()
}

/// The grants on a page, newest first.
fn listed(page: &Page) -> Vec<String> {
    assert_eq!(page.status, 200, "{}", page.html);
    assert!(page.html.contains("value=\"sign_out\""), "not signed in: {}", page.html);
    fields(page, "grant").into_iter().map(str::to_owned).collect()
}

/// Asks the browser to sign in, up to our callback, which is returned unvisited.
async fn about_to_return(server: &Server, browser: &mut Browser) -> String {
    let page = browser.get(&url(server)).await;
    let way = browser.post(&url(server), &[("action", "sign_in"), ("token", &token(&page))]).await;
    assert_eq!(way.status, 303, "{}", way.html);
    browser.follow(way, &format!("{}/pangea/callback", server.url)).await.unwrap()
}

/// A browser that is signed in, and the list that it sees.
pub(crate) async fn signed_in(server: &Server) -> (Browser, Page) {
    let mut browser = Browser::of(server);
    let callback = about_to_return(server, &mut browser).await;
    let back = browser.get(&callback).await;
    assert_eq!(back.location(), Some(url(server)), "{}", back.html);
    let page = browser.get(&url(server)).await;
    listed(&page);
    (browser, page)
}

/// Presses a button of a list, and returns the page that follows.
pub(crate) async fn press(
    server: &Server,
    browser: &mut Browser,
    page: &Page,
    action: &str,
    grant: &str,
) -> Page {
    let form = [("action", action), ("token", &*token(page)), ("grant", grant)];
    let answer = browser.post(&url(server), &form).await;
    let location = answer.location().unwrap_or_else(|| panic!("{}: {}", answer.status, answer.html));
    browser.get(&location).await
}

fn database(server: &Server) -> Database {
    Database::open(server.folder.path().join("test.sqlite")).unwrap()
}

#[tokio::test]
async fn a_person_sees_their_own_connections_and_what_they_allow() {
    let server = Server::start().await;
    let (first, second) = (Connected::new(&server).await, Connected::new(&server).await);
    sign_in_as(&server, "grace@example.com");
    let others = Connected::new(&server).await;
    let (_, page) = signed_in(&server).await;
    assert_eq!(listed(&page), [others.grant()]);
    sign_in_as(&server, "ada@example.com");
    let (_, page) = signed_in(&server).await;
    let mut own = [first.grant(), second.grant()];
    own.sort_by(|one, other| other.cmp(one));
    assert_eq!(listed(&page), own);
    let granted = server.server.now().to_string();
    for shown in [
        "<bdi>ada@example.com</bdi>",
        "<bdi>Test client</bdi></h2>",
        ">127.0.0.1:4711</bdi>",
        &format!(">{}</bdi>", server.resource),
        "<bdi>user</bdi>",
        "<bdi dir=\"ltr\">127.0.0.1</bdi>",
        &format!("datetime=\"{granted}\">{} UTC</time>", granted[..16].replace('T', " ")),
    ] {
        assert!(page.html.contains(shown), "{shown}: {}", page.html);
    }
}

/// At this daemon and at every other, and nothing but that one grant.
#[tokio::test]
async fn disconnecting_ends_every_token_of_the_grant_at_once() {
    let server = Server::start().await;
    let twin = server.twin().await;
    let (ended, kept) = (Connected::new(&server).await, Connected::new(&server).await);
    let (mut browser, page) = signed_in(&server).await;
    let page = press(&server, &mut browser, &page, "disconnect", &ended.grant()).await;
    assert_eq!(listed(&page), [kept.grant()]);
    for server in [&server, &twin] {
        assert!(!ended.is_live(server).await && kept.is_live(server).await);
        assert_eq!(ended.refresh_error(server).await, "invalid_grant");
    }
    let stored = server.stored_grants();
    let stored = stored.iter().find(|grant| grant["id"] == ended.grant()).unwrap();
    assert_eq!(stored["state"]["revoked"]["by"], "user");
    assert_eq!(stored["upstream"]["sealed"], "", "the upstream's tokens are gone");
}

#[tokio::test]
async fn disconnecting_all_ends_all_of_this_person_and_none_of_another() {
    let server = Server::start().await;
    let own = [Connected::new(&server).await, Connected::new(&server).await];
    sign_in_as(&server, "grace@example.com");
    let others = Connected::new(&server).await;
    sign_in_as(&server, "ada@example.com");
    let (mut browser, page) = signed_in(&server).await;
    let page = press(&server, &mut browser, &page, "disconnect_all", "").await;
    assert_eq!(listed(&page), [""; 0]);
    for connected in own {
        assert!(!connected.is_live(&server).await);
    }
    assert!(others.is_live(&server).await);
}

/// A code that has not been redeemed is worth as much as a token.
#[tokio::test]
async fn a_client_that_is_just_being_connected_can_be_disconnected() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let code = client.code(&server).await;
    let (mut browser, page) = signed_in(&server).await;
    let grant = listed(&page).remove(0);
    press(&server, &mut browser, &page, "disconnect", &grant).await;
    assert_eq!(body(client.redeem(&server, &code).await).await["error"], "invalid_grant");
}

#[tokio::test]
async fn every_daemon_serves_the_session() {
    let origin = "https://auth.example.org";
    let server = Server::with(Options { public: Some(origin), ..Options::default() }).await;
    let twin = server.twin().await;
    let connected = Connected::behind(&server).await;
    let (browser, page) = signed_in(&server).await;
    let mut there = browser.at(&twin);
    let elsewhere = there.get(&url(&server)).await;
    assert_eq!(listed(&elsewhere), [connected.grant()]);
    press(&server, &mut there, &page, "disconnect", &connected.grant()).await;
    assert!(!connected.is_live(&server).await);
}

#[tokio::test]
async fn the_page_is_below_the_path_of_the_public_url() {
    let server = Server::with(Options { path: "/tenant1", ..Options::default() }).await;
    let connected = Connected::new(&server).await;
    let (mut browser, page) = signed_in(&server).await;
    assert!(page.html.contains("action=\"/tenant1/connections\""));
    let page = press(&server, &mut browser, &page, "disconnect", &connected.grant()).await;
    assert_eq!(listed(&page), [""; 0]);
    assert_eq!(server.http.get(format!("{}/connections", server.origin)).send().await.unwrap().status(), 404);
}

/// No frame, no cache, no script, and no address for others.
///
/// Shows: HDR-1, CONSENT-8.
#[tokio::test]
async fn the_pages_are_guarded_as_the_consent_page_is() {
    let server = Server::start().await;
    let asked = Browser::new().get(&url(&server)).await;
    let (_, list) = signed_in(&server).await;
    for page in [asked, list] {
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert_eq!(page.header("referrer-policy"), "same-origin");
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"),
            "{policy}"
        );
        assert!(!page.html.contains("<script"));
        assert_eq!(page.headers.get("access-control-allow-origin"), None);
    }
    for dest in ["iframe", "empty"] {
        let mut frame = Browser::new().sending("sec-fetch-mode", "navigate").sending("sec-fetch-dest", dest);
        assert_eq!(frame.get(&url(&server)).await.status, 403, "{dest}");
    }
}

impl Connected {
    /// The same with a proxy in front of the server.
    async fn behind(server: &Server) -> Self {
        let client = Client::public(server).await;
        let answer = client.authorize(server, &mut Browser::of(server), &[]).await;
        let code = crate::support::query(&answer.location().unwrap()).remove("code").unwrap();
        let tokens = Tokens::of(client.redeem(server, &code).await).await;
        Self { client, tokens }
    }
}
