//! How much a stranger may register, for how long it is kept, and what it is worth.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pangea_mcp_auth::repository::{Kind, MemoryRepository, Repository, RoutedRepository};
use serde_json::json;

use super::{assert_refused, register, registered, with};
use crate::support::{Browser, Client, Options, Server, Tokens, body};

const DAY: Duration = Duration::from_hours(24);

/// Shows: DCR-16.
#[tokio::test]
async fn what_one_client_may_store_is_bounded() {
    let server = Server::start().await;
    let uris =
        |count: usize| json!((0..count).map(|n| format!("https://app.example/{n}")).collect::<Vec<_>>());
    registered(&server, &with("redirect_uris", uris(32))).await;
    let response = register(&server, &with("redirect_uris", uris(33))).await;
    assert_refused(response, "invalid_redirect_uri", "33 URIs").await;
    let long_uri = |length: usize| format!("https://app.example/{}", "a".repeat(length - 20));
    registered(&server, &with("redirect_uris", json!([long_uri(2048)]))).await;
    let response = register(&server, &with("redirect_uris", json!([long_uri(2049)]))).await;
    assert_refused(response, "invalid_redirect_uri", "a long URI").await;
    for (name, value) in [
        ("scope", json!("a".repeat(1025))),
        ("scope", json!(vec!["a".repeat(100); 11])),
        ("scope", json!((0..400).map(|n| format!("scope-{n}")).collect::<Vec<_>>())),
    ] {
        let response = register(&server, &with(name, value)).await;
        assert_refused(response, "invalid_client_metadata", name).await;
    }
    for (name, value) in [
        ("contacts", json!(vec!["a@app.example"; 11])),
        ("contacts", json!(["a".repeat(257)])),
        ("software_id", json!("a".repeat(257))),
        ("software_version", json!("a".repeat(257))),
        ("client_uri", json!(long_uri(2049))),
        ("logo_uri", json!(long_uri(2049))),
    ] {
        let stored = registered(&server, &with(name, value)).await;
        assert!(stored.get(name).is_none(), "{name}: {stored}");
    }
}

/// Shows: DCR-16.
#[tokio::test]
async fn a_registration_has_at_most_8_kib() {
    let server = Server::start().await;
    let of_size = |size: usize| {
        let ignored = |length: usize| with("unknown", json!("a".repeat(length)));
        ignored(size - ignored(0).to_string().len())
    };
    for size in [3 * 1024, 8 * 1024] {
        assert_eq!(of_size(size).to_string().len(), size);
        registered(&server, &of_size(size)).await;
    }
    for size in [8 * 1024 + 1, 64 * 1024] {
        let refused = register(&server, &of_size(size)).await;
        assert_eq!(refused.status(), 413, "{size}");
        assert_eq!(body(refused).await["error"], "invalid_client_metadata", "{size}");
    }
    let uris: Vec<String> =
        (0..31).map(|n| format!("https://app.example/{n}/{}", "a".repeat(2000))).collect();
    assert_eq!(register(&server, &with("redirect_uris", json!(uris))).await.status(), 413);
}

/// Shows: DCR-16, LIM-1.
#[tokio::test]
async fn registrations_of_one_address_are_limited_in_bytes() {
    let options = Options { top: "trusted_proxies = [\"127.0.0.1/32\"]", ..Options::default() };
    let server = Server::with(options).await;
    let accepted = async |address: &'static str, metadata: serde_json::Value| {
        for number in 0..100 {
            let response = server.json("/register", &metadata).header("x-forwarded-for", address);
            match response.send().await.unwrap().status().as_u16() {
                201 => {}
                429 => return number,
                other => panic!("{other}"),
            }
        }
        panic!("no limit");
    };
    let small = accepted("198.51.100.7", with("client_name", json!("A client"))).await;
    let large = accepted("203.0.113.9", with("unknown", json!("a".repeat(8000)))).await;
    assert!((30..=32).contains(&small) && (7..=9).contains(&large), "{small} and {large}");
    let medium = accepted("203.0.113.10", with("unknown", json!("a".repeat(3000)))).await;
    assert!((15..=16).contains(&medium), "{medium}");
}

/// Shows: DCR-16, LIM-1.
#[tokio::test]
async fn registrations_of_one_address_are_limited() {
    let options = Options {
        top: "trusted_proxies = [\"127.0.0.1/32\"]",
        sections: "[limits.register]\nper_minute = 1\nburst = 3",
        ..Options::default()
    };
    let server = Server::with(options).await;
    let from = |address: &'static str| {
        let metadata = with("client_name", json!("A client"));
        server.json("/register", &metadata).header("x-forwarded-for", address).send()
    };
    for _ in 0..3 {
        assert_eq!(from("198.51.100.7").await.unwrap().status(), 201);
    }
    let refused = from("198.51.100.7").await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(refused.headers()["access-control-allow-origin"], "*");
    assert_eq!(body(refused).await["error"], "temporarily_unavailable");
    assert_eq!(from("203.0.113.9").await.unwrap().status(), 201, "others are not in the way");
}

/// Whether the server knows a client: it shows the consent page.
async fn is_known(server: &Server, client: &Client) -> bool {
    let page = Browser::new().get(&client.authorize_url(server, &[])).await;
    match page.status.as_u16() {
        200 => true,
        400 => {
            assert!(page.html.contains("not known here") && page.location().is_none(), "{}", page.html);
            false
        }
        other => panic!("{other}: {}", page.html),
    }
}

async fn purge(server: &Server) {
    while server.server.purge().await.unwrap() > 0 {}
}

/// Shows: DCR-17.
#[tokio::test]
async fn a_client_with_which_nobody_signs_in_is_forgotten() {
    let server = Server::start().await;
    let unused = Client::public(&server).await;
    let merely_asked = Client::public(&server).await;
    assert!(is_known(&server, &merely_asked).await);
    server.advance(Duration::from_secs(86_399));
    purge(&server).await;
    assert!(is_known(&server, &unused).await && is_known(&server, &merely_asked).await);
    server.advance(Duration::from_secs(1));
    for purged in [false, true] {
        assert!(!is_known(&server, &unused).await && !is_known(&server, &merely_asked).await, "{purged}");
        let response = unused.refresh(&server, "x").await;
        assert_eq!(response.status(), 401);
        assert_eq!(body(response).await["error"], "invalid_client");
        purge(&server).await;
    }
}

/// Shows: DCR-17.
#[tokio::test]
async fn a_client_with_a_live_grant_is_never_forgotten() {
    let memory = || -> Arc<dyn Repository> { Arc::new(MemoryRepository::default()) };
    let routed =
        RoutedRepository::new(memory(), BTreeMap::from([(Kind::Client, memory()), (Kind::Key, memory())]));
    for repository in [None, Some(memory()), Some(Arc::new(routed) as Arc<dyn Repository>)] {
        let server = Server::with(Options { repository, ..Options::default() }).await;
        keeps_the_client_of_a_live_grant(&server).await;
    }
}

async fn keeps_the_client_of_a_live_grant(server: &Server) {
    let client = Client::public(server).await;
    server.advance(Duration::from_secs(86_399));
    let mut tokens = client.login(server).await;
    // The grant lives for 180 days from sign-in, refreshed each 29 days.
    for _ in 0..6 {
        server.advance(29 * DAY);
        purge(server).await;
        tokens = Tokens::of(client.refresh(server, &tokens.refresh).await).await;
        assert!(is_known(server, &client).await);
    }
    server.advance(6 * DAY);
    purge(server).await;
    assert_eq!(client.refresh(server, &tokens.refresh).await.status(), 400, "the grant has ended");
    assert!(is_known(server, &client).await, "the client has not: a person may sign in again");
    server.advance(31 * DAY);
    purge(server).await;
    assert!(!is_known(server, &client).await, "no one did");
}

/// Shows: DCR-17.
#[tokio::test]
async fn a_client_outlives_its_grant_even_without_an_idle_lifetime() {
    let sections = "[registration]\nidle_lifetime = \"0s\"\nunused_lifetime = \"2m\"\n[tokens]\n\
        code_lifetime = \"5m\"\nrefresh_lifetime = \"1h\"\ngrant_lifetime = \"1h\"\naccess_lifetime = \"1h\"";
    let server = Server::with(Options { sections, ..Options::default() }).await;
    let client = Client::public(&server).await;
    let code = client.code(&server).await;
    server.advance(Duration::from_secs(299));
    let tokens = Tokens::of(client.redeem(&server, &code).await).await;
    server.advance(Duration::from_secs(3599));
    purge(&server).await;
    assert_eq!(server.introspect(&tokens.access).await["active"], true, "the grant is live");
    assert_eq!(client.refresh(&server, &tokens.refresh).await.status(), 200, "and so is its client");
}

/// A client cannot raise its standing with what it says of itself, nor with a secret that anybody gets.
/// Shows: DCR-19, DCR-10.
#[tokio::test]
async fn a_secret_skips_no_consent() {
    let server = Server::start().await;
    let client = Client::confidential(&server).await;
    let mut browser = Browser::new();
    for _ in 0..2 {
        let page = browser.get(&client.authorize_url(&server, &[])).await;
        assert_eq!(page.status, 200);
        assert!(!page.transaction().is_empty(), "the person is asked each time");
        client.authorize(&server, &mut browser, &[]).await;
    }
    for prompt in ["none", "login", "consent"] {
        let page = browser.get(&client.authorize_url(&server, &[("prompt", prompt)])).await;
        assert!(page.location().is_none_or(|location| !location.contains("code=")), "{prompt}");
    }
}
