//! Invented codes of the upstream: each costs a call of the upstream with our secret, so the number of calls is
//! limited, at the same time and over time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use pangea_mcp_auth::{
    daemon::{self, Connections},
    flow::MOST_UPSTREAM_CALLS,
    web::TrustedProxies,
};
use reqwest::Response;
use tokio::{sync::Notify, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    protocol::upstream::INTROSPECTION,
    support::{Browser, Client, Options, Server, Tokens, Wire, http, query},
};

const TOKEN: &str = "/v2/oauth/token";

/// A browser whose user has allowed access and is at the upstream now, and where that sends it back to.
async fn approved(server: &Server, client: &Client) -> (Browser, String) {
    let mut browser = Browser::new();
    let page = browser.get(&client.authorize_url(server, &[])).await;
    let upstream = browser.decide(&page, "approve").await.location().unwrap();
    (browser, upstream)
}

fn made_up(server: &Server, upstream: &str) -> String {
    format!("{}/pangea/callback?state={}&code=made-up", server.url, query(upstream)["state"])
}

async fn come_back(server: &Server, browser: &Browser, url: &str, from: &str) -> Response {
    let request = server.http.get(url).header("cookie", browser.cookie_header(url));
    request.header("x-forwarded-for", from).send().await.unwrap()
}

/// As many strangers as are let through at once, whom the upstream keeps waiting for six seconds.
async fn flood(server: &Server, client: &Client) -> JoinSet<reqwest::Result<Response>> {
    let asked = || server.upstream.requests().of(TOKEN);
    let before = asked();
    let mut strangers = Vec::new();
    for _ in 0..MOST_UPSTREAM_CALLS {
        strangers.push(approved(server, client).await);
    }
    server.upstream.switches().token.set(|token| token.delay_ms = 6_000);
    let mut flood = JoinSet::new();
    for (browser, upstream) in strangers {
        let url = made_up(server, &upstream);
        flood.spawn(server.http.get(&url).header("cookie", browser.cookie_header(&url)).send());
    }
    while asked() - before < MOST_UPSTREAM_CALLS as u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    flood
}

#[tokio::test]
async fn the_check_of_a_session_is_one_of_the_bounded_calls() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    server.advance(Duration::from_mins(1));
    let _flood = flood(&server, &client).await;
    let asked = || server.upstream.requests().of(INTROSPECTION);
    let before = asked();
    Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
    assert_eq!(asked(), before, "it waits for its turn, and the client does not");
}

/// Shows: LIM-2.
#[tokio::test]
async fn calls_of_the_upstream_are_bounded_and_whoever_is_too_many_may_come_again() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (mut person, upstream) = approved(&server, &client).await;
    let back = person.get(&upstream).await.location().unwrap();
    let asked = || server.upstream.requests().of(TOKEN);
    let before = asked();
    // Clients that hang up have calls under way all the same.
    flood(&server, &client).await.abort_all();
    let started = Instant::now();
    let busy = person.get(&back).await;
    assert_eq!((busy.status.as_u16(), busy.header("retry-after")), (503, "5"), "{}", busy.html);
    assert!(started.elapsed() < Duration::from_secs(3), "a quick answer");
    assert_eq!(asked() - before, MOST_UPSTREAM_CALLS as u64);
    server.upstream.switches().token.set(|token| token.delay_ms = 0);
    for _ in 0..200 {
        let page = person.get(&back).await;
        if page.status != 503 {
            assert!(query(&page.location().unwrap()).contains_key("code"), "{page:?}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the server stays busy");
}

/// Shows: LIM-1.
#[tokio::test]
async fn a_network_with_many_refused_codes_in_a_row_is_slowed_down() {
    let top = "trusted_proxies = [\"127.0.0.1/32\"]";
    let server = Server::with(Options { top, ..Options::default() }).await;
    let client = Client::public(&server).await;
    let asked = || server.upstream.requests().of(TOKEN);
    let refused = async |from: &str| {
        let (browser, upstream) = approved(&server, &client).await;
        come_back(&server, &browser, &made_up(&server, &upstream), from).await
    };
    for _ in 0..5 {
        assert_eq!(refused("203.0.113.9").await.status(), 303);
    }
    let (mut browser, upstream) = approved(&server, &client).await;
    let back = browser.get(&upstream).await.location().unwrap();
    let code = come_back(&server, &browser, &back, "203.0.113.9").await;
    // Approved from another network, so the user is asked first.
    assert!(code.headers()["location"].to_str().unwrap().contains("/signed-in?"));
    // A good code begins the row again.
    let mut row = 0;
    let (before, slowed) = loop {
        let (before, answer) = (asked(), refused("203.0.113.9").await);
        if answer.status() == 429 {
            break (before, answer);
        }
        row += 1;
        assert!(row < 50, "no end");
    };
    assert!(row >= 10, "{row}");
    let wait: u64 = slowed.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!((slowed.status().as_u16(), asked()), (429, before));
    assert!((1..=6).contains(&wait), "{wait}");
    assert_eq!(refused("198.51.100.7").await.status(), 303, "others are not in the way");
}

/// Shows: LIM-2.
#[tokio::test]
async fn work_whose_caller_hung_up_keeps_its_connections_place() {
    let (begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, release) = (Arc::clone(&begun), Arc::clone(&release));
        get(async move || {
            begun.notify_one();
            release.notified().await;
        })
    };
    let router = Router::new().route("/slow", slow).route("/quick", get(async || "here"));
    let listener = daemon::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let one = Connections::within(2, TrustedProxies::default());
    let stop = CancellationToken::new();
    tokio::spawn(daemon::serve_measured(vec![listener], router, one, Arc::default(), stop.clone()));
    let mut wire = Wire::open(&origin).await;
    wire.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    begun.notified().await;
    drop(wire);
    let quick = || http().get(format!("{origin}/quick")).send();
    assert!(timeout(Duration::from_millis(500), quick()).await.is_err(), "the one place is taken");
    release.notify_one();
    let answer = timeout(Duration::from_secs(10), quick()).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    stop.cancel();
}
