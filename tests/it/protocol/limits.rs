//! What a flood meets.

use std::time::Duration;

use reqwest::Response;
use serde_json::json;

use crate::support::{Browser, Client, Options, RS_SECRET, Server, Tokens, Wire, body, query};

const ENDPOINTS: [&str; 7] =
    ["authorize", "consent", "callback", "token", "register", "introspect", "revoke"];

/// Every endpoint admits three requests of one address.
const STRICT: &str = "
[limits.authorize]
per_minute = 1
burst = 3
[limits.callback]
per_minute = 1
burst = 3
[limits.token]
per_minute = 1
burst = 3
[limits.register]
per_minute = 1
burst = 3
[limits.introspect]
per_minute = 1
burst = 3
[limits.revoke]
per_minute = 1
burst = 3
";

async fn strict() -> Server {
    let top = "trusted_proxies = [\"127.0.0.1/32\"]";
    Server::with(Options { top, sections: STRICT, ..Options::default() }).await
}

/// A request of an address, whatever its answer.
async fn ask(server: &Server, endpoint: &str, address: &str) -> Response {
    let request = match endpoint {
        "authorize" => server.http.get(format!("{}/authorize", server.url)),
        "callback" => server.http.get(format!("{}/pangea/callback", server.url)),
        "register" => server.json("/register", &json!({ "redirect_uris": ["http://localhost/"] })),
        "introspect" => server.form("/introspect", &[("token", "x")]).basic_auth("rs-1", Some(RS_SECRET)),
        other => server.form(&format!("/{other}"), &[]),
    };
    request.header("x-forwarded-for", address).send().await.unwrap()
}

/// Shows: LIM-1.
#[tokio::test]
async fn each_endpoint_has_a_limit_of_its_own_for_each_address() {
    let server = strict().await;
    for endpoint in ENDPOINTS {
        // The consent form is the second half of the authorization request and shares its limit.
        let address = if endpoint == "consent" { "192.0.2.2" } else { "192.0.2.1" };
        for _ in 0..3 {
            let response = ask(&server, endpoint, address).await;
            assert_ne!(response.status(), 429, "{endpoint}");
        }
        let refused = ask(&server, endpoint, address).await;
        assert_eq!(refused.status(), 429, "{endpoint}");
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=61).contains(&wait), "{endpoint}: {wait}");
        let header =
            |name: &str| refused.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let (content_type, cors) = (header("content-type"), header("access-control-allow-origin"));
        match endpoint {
            "authorize" | "consent" | "callback" => {
                assert_eq!((&*content_type, &*cors), ("text/html; charset=utf-8", ""), "{endpoint}");
            }
            // No browser introspects.
            "introspect" => assert_eq!((&*content_type, &*cors), ("application/json", "")),
            _ => {
                assert_eq!((&*content_type, &*cors), ("application/json", "*"), "{endpoint}");
                assert!(header("access-control-expose-headers").contains("Retry-After"), "{endpoint}");
                assert_eq!(body(refused).await["error"], "temporarily_unavailable", "{endpoint}");
            }
        }
        assert_ne!(ask(&server, endpoint, "203.0.113.9").await.status(), 429, "{endpoint}: another address");
    }
}

/// Shows: LIM-1.
#[tokio::test]
async fn discovery_and_health_are_exempt() {
    let server = strict().await;
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-protected-resource/mcp",
        "/jwks.json",
        "/healthz",
    ] {
        for _ in 0..50 {
            let request =
                server.http.get(format!("{}{path}", server.url)).header("x-forwarded-for", "192.0.2.1");
            assert_eq!(request.send().await.unwrap().status(), 200, "{path}");
        }
    }
}

/// Shows: LIM-1.
#[tokio::test]
async fn one_party_cannot_pass_for_many() {
    let server = strict().await;
    let same_network = |n: u32| {
        [format!("2001:db8::{n:x}"), format!("203.0.113.{n}, 192.0.2.1"), format!("junk{n}, 192.0.2.1")]
    };
    for kind in 0..3 {
        let mut refused = 0;
        for n in 1..=12 {
            let address = &same_network(n)[kind];
            refused += u32::from(ask(&server, "token", address).await.status() == 429);
        }
        assert!(refused >= 8, "{kind}: {refused} of 12");
    }
    let server = Server::with(Options { sections: STRICT, ..Options::default() }).await;
    for n in 0..20 {
        let status = ask(&server, "token", &format!("203.0.113.{n}")).await.status();
        assert_ne!(status, 429, "a header of a peer that is no trusted proxy means nothing");
    }
}

/// Shows: LIM-1.
#[tokio::test]
async fn a_hop_with_a_port_is_limited_as_the_address_that_it_is() {
    let server = strict().await;
    let spellings = [
        "203.0.113.9:4711",
        "203.0.113.9:4712",
        "::ffff:203.0.113.9",
        "203.0.113.9",
        "1.1.1.1, 203.0.113.9:4713",
    ];
    let mut statuses = Vec::new();
    for spelling in spellings {
        statuses.push(ask(&server, "token", spelling).await.status() == 429);
    }
    assert_eq!(statuses, [false, false, false, true, true]);
    for spelling in ["[2001:db8::1]:443", "[2001:db8::2]", "2001:db8::3"] {
        assert_ne!(ask(&server, "token", spelling).await.status(), 429, "{spelling}: another network");
    }
    assert_eq!(ask(&server, "token", "[2001:db8::4]:443").await.status(), 429);
}

/// Shows: LIM-1.
#[tokio::test]
async fn a_trusted_proxy_that_names_nobody_is_limited_though_it_is_on_this_machine() {
    let server = strict().await;
    for unreadable in ["unknown", "nonsense", "203.0.113.9:x"] {
        assert_ne!(ask(&server, "token", unreadable).await.status(), 429, "{unreadable}");
    }
    assert_eq!(ask(&server, "token", "_hidden").await.status(), 429, "all unreadable hops share one limit");
    for _ in 0..3 {
        assert_ne!(ask(&server, "token", "127.0.0.1").await.status(), 429);
    }
    let nothing_named = server.form("/token", &[]).send().await.unwrap();
    assert_eq!(nothing_named.status(), 429, "the proxy itself");
}

/// How many records the database holds.
fn records(server: &Server) -> i64 {
    let connection = rusqlite::Connection::open(server.folder.path().join("test.sqlite")).unwrap();
    connection.query_row("SELECT count(*) FROM record", [], |row| row.get(0)).unwrap()
}

/// Promise 5: before the upstream has vouched for a person, only registration writes.
/// Shows: LIM-2.
#[tokio::test]
async fn a_login_that_nobody_completes_leaves_nothing_behind() {
    let server = Server::start().await;
    let client = Client::confidential(&server).await;
    let before = records(&server);
    let mut browser = Browser::new();
    for n in 0..30 {
        let page = browser.get(&client.authorize_url(&server, &[("state", &format!("{n}"))])).await;
        let decision = if n % 3 == 0 { "deny" } else { "approve" };
        let page = browser.decide(&page, decision).await;
        if let Some(upstream) = page.location().filter(|_| decision == "approve") {
            let state = &query(&upstream)["state"];
            let back = format!("{}/pangea/callback?state={state}&code=made-up", server.url);
            let answer = browser.get(&back).await;
            assert!(query(&answer.location().unwrap()).contains_key("error"));
        }
    }
    for path in ["/token", "/revoke"] {
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("token", "x")];
        server.form(path, &pairs).basic_auth(&client.id, client.secret.as_ref()).send().await.unwrap();
    }
    server.introspect("x").await;
    assert_eq!(records(&server), before);
    client.login(&server).await;
    assert_eq!(records(&server), before + 3, "the grant, its entry, and since when there are entries");
    client.login(&server).await;
    assert_eq!(records(&server), before + 5, "a login that is completed leaves two records");
}

/// Shows: LIM-2.
#[tokio::test]
async fn a_flood_of_logins_drops_nobody_elses() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let mut person = Browser::new();
    let page = person.get(&client.authorize_url(&server, &[])).await;
    let upstream = person.decide(&page, "approve").await.location().unwrap();
    for _ in 0..300 {
        let mut other = Browser::new();
        let page = other.get(&client.authorize_url(&server, &[])).await;
        other.decide(&page, "approve").await;
    }
    let page = person.get(&upstream).await;
    let answer = person.follow(page, &client.redirect_uri).await.expect("an answer");
    assert!(query(&answer).contains_key("code"), "{answer}");
}

/// Shows: LIM-2.
#[tokio::test]
async fn one_browser_holds_a_bounded_number_of_logins() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let mut browser = Browser::new();
    let long = "s".repeat(3000);
    for _ in 0..25 {
        let page = browser.get(&client.authorize_url(&server, &[("state", &long)])).await;
        browser.decide(&page, "approve").await;
        let size: usize = browser.cookies.iter().map(|((_, name), value)| name.len() + value.len() + 3).sum();
        assert!(size < 60_000, "{size} bytes of cookies fit into no request");
    }
    let logins = browser.cookies.keys().filter(|(_, name)| name.contains("login") && !name.contains('.'));
    assert!((1..=10).contains(&logins.count()), "{:?}", browser.cookies.keys());
    let answer = client.authorize(&server, &mut browser, &[]).await;
    assert!(query(&answer.location().unwrap()).contains_key("code"), "and the last one works");
}

/// Shows: LIM-2.
#[tokio::test]
async fn a_grant_holds_a_bounded_number_of_tokens_and_its_record_ends() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let before = records(&server);
    let mut tokens = client.login(&server).await;
    let size = |server: &Server| -> i64 {
        let connection = rusqlite::Connection::open(server.folder.path().join("test.sqlite")).unwrap();
        let query = "SELECT max(length(value)) FROM record WHERE kind = 2";
        connection.query_row(query, [], |row| row.get(0)).unwrap()
    };
    for _ in 0..200 {
        tokens = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
    }
    assert!(size(&server) < 64 * 1024, "{} bytes in one record", size(&server));
    assert_eq!(records(&server), before + 3, "the grant, its entry, and since when there are entries");
    assert_eq!(server.introspect(&tokens.access).await["active"], true, "the newest is good");
    server.advance(Duration::from_hours(181 * 24));
    while server.server.purge().await.unwrap() > 0 {}
    assert_eq!(records(&server), before + 1, "the grant's records are gone");
}

/// Shows: LIM-3.
#[tokio::test]
async fn long_requests_are_read() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let state = "s".repeat(7000);
    let url = client.authorize_url(&server, &[("state", &state)]);
    let line = url.len() - server.origin.len() + "GET  HTTP/1.1".len();
    let state = format!("{state}{}", "s".repeat(8000 - line));
    let answer = client.authorize(&server, &mut Browser::new(), &[("state", &state)]).await;
    assert_eq!(query(&answer.location().unwrap())["state"], state, "a request line of 8000 octets");

    let tokens = client.login(&server).await;
    let long = format!("{}{}", tokens.access, "A".repeat(16 * 1024));
    for token in [&tokens.access, &long] {
        let request = server.http.get(format!("{}/jwks.json", server.url)).bearer_auth(token);
        assert_eq!(request.send().await.unwrap().status(), 200, "a token in a header");
        let request = server.form("/introspect", &[("token", token)]).basic_auth("rs-1", Some(RS_SECRET));
        assert_eq!(request.send().await.unwrap().status(), 200, "a token in a form");
    }
    let request = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(32 * 1024));
    let answer = Wire::open(&server.origin).await.send(request.as_bytes()).await.answer().await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}
