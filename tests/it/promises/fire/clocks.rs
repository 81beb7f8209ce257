//! Daemons whose clocks are two minutes apart, on one repository.

use std::{sync::Arc, time::Duration};

use pangea_mcp_auth::{
    clock::{Clock, ManualClock, SKEW},
    flow::administration::Administration,
    keys::Turns,
    repository::{MemoryRepository, Repository},
};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::{SEED, actors, aftermath, site::Site};
use crate::support::{Browser, Client, Options, Server, Tokens, body, claims, query};

const MINUTE: Duration = Duration::from_mins(1);
/// Longer than the clocks are apart: otherwise every retry at the one ahead is a late one.
const GRACE: &str = "[tokens]\nrefresh_grace = \"5m\"";
/// Longer than nothing here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// One daemon, and another one whose clock is two minutes ahead.
async fn apart() -> [Server; 2] {
    let repository: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
    let slow =
        Server::with(Options { repository: Some(repository), sections: GRACE, ..Options::default() }).await;
    let ahead = Arc::new(ManualClock::at(slow.clock.now().plus(SKEW)));
    let fast = slow.twin_at(ahead).await;
    [slow, fast]
}

/// Both go on by the same time.
fn advance([slow, fast]: &[Server; 2], by: Duration) {
    slow.advance(by);
    fast.advance(by);
}

/// A code that `here` issues: the login begins at the one whose URL is the public one.
async fn code_of(here: &Server, public: &Server, client: &Client) -> String {
    let mut browser = Browser::new();
    let page = browser.get(&client.authorize_url(public, &[])).await;
    let upstream = browser.decide(&page, "approve").await.location().unwrap();
    let callback = browser.get(&upstream).await.location().unwrap().replace(&public.url, &here.url);
    let host = here.origin.trim_start_matches("http://").to_owned();
    let cookies = std::mem::take(&mut browser.cookies).into_iter();
    browser.cookies = cookies.map(|((_, name), value)| ((host.clone(), name), value)).collect();
    let answer = browser.get(&callback).await;
    query(&answer.location().unwrap())["code"].clone()
}

async fn is_active(server: &Server, token: &str) -> bool {
    server.introspect(token).await["active"] == true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_is_served_by_whoever_is_asked() {
    let repository: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
    let shared = Some(Arc::clone(&repository));
    let first = Server::with(Options { repository: shared, sections: GRACE, ..Options::default() }).await;
    let later = |minutes| {
        let now = first.clock.now().plus(MINUTE * minutes);
        first.twin_at(Arc::new(ManualClock::at(now)))
    };
    let (second, third) = (later(1).await, later(2).await);
    let clock: Arc<dyn Clock> = second.clock.clone();
    let operator = Administration::new(&repository, None, clock);
    let urls = [&first, &second, &third].map(|server| server.url.clone());
    let site = Site::new(first.url.clone(), urls.to_vec(), operator).await;
    let working = actors::work(&site, SEED);
    for _ in 0..10 {
        sleep(Duration::from_millis(200)).await;
        third.server.purge().await.unwrap();
    }
    aftermath(&site, working).await.must_be_clean("clocks");
}

/// Shows: CODE-1.
#[tokio::test]
async fn a_code_of_the_one_is_good_at_the_other_and_what_lives_is_not_purged() {
    let servers = apart().await;
    let [slow, fast] = &servers;
    let client = Client::public(slow).await;
    for (here, there) in [(slow, fast), (fast, slow)] {
        let code = code_of(here, slow, &client).await;
        // The requests take a minute, and a daemon sweeps meanwhile.
        advance(&servers, MINUTE);
        fast.server.purge().await.unwrap();
        let first = Tokens::of(client.redeem(there, &code).await).await;
        let second = Tokens::of(client.refresh(here, &first.refresh).await).await;
        let again = Tokens::of(client.refresh(there, &first.refresh).await).await;
        assert_eq!(again.refresh, second.refresh, "a lost answer is fetched again at the other");
        fast.server.purge().await.unwrap();
        for server in &servers {
            assert!(is_active(server, &second.access).await && is_active(server, &again.access).await);
        }
        let pairs = [("token", &*second.refresh), ("client_id", &*client.id)];
        assert_eq!(here.form("/revoke", &pairs).send().await.unwrap().status(), 200);
        for server in &servers {
            assert!(!is_active(server, &second.access).await);
            assert_eq!(client.refresh(server, &second.refresh).await.status(), 400);
        }
    }
}

#[tokio::test]
async fn what_the_one_takes_for_expired_is_kept_for_the_other() {
    let servers = apart().await;
    let [slow, fast] = &servers;
    let client = Client::public(slow).await;
    let first = client.login(slow).await;
    advance(&servers, 9 * MINUTE);
    let second = Tokens::of(client.refresh(fast, &first.refresh).await).await;
    fast.server.purge().await.unwrap();
    assert!(!is_active(fast, &first.access).await, "it has expired");
    assert!(is_active(slow, &first.access).await, "it has a minute left");
    assert!(is_active(slow, &second.access).await);
}

/// Shows: JWKS-2.
#[tokio::test]
async fn through_two_rotations_each_publishes_what_the_other_signs_with() {
    let servers = apart().await;
    let client = Client::public(&servers[0]).await;
    let mut refresh = client.login(&servers[0]).await.refresh;
    let mut signed: Vec<Tokens> = Vec::new();
    let mut kids = std::collections::BTreeSet::new();
    for minute in 0..120 {
        if minute % 60 == 5 {
            let rotating = &servers[minute / 60 % 2];
            // Published for ten minutes before it signs.
            let turns = Turns { lifetime: 40 * MINUTE, access_lifetime: 10 * MINUTE };
            rotating.server.keys().rotate(turns, rotating.server.now()).await.unwrap();
        }
        for server in &servers {
            server.server.purge().await.unwrap();
            server.server.keep_keys().await.unwrap();
            let tokens = Tokens::of(client.refresh(server, &refresh).await).await;
            refresh.clone_from(&tokens.refresh);
            kids.insert(kid(&tokens.access));
            signed.push(tokens);
        }
        for server in &servers {
            let published = body(server.get("/jwks.json").await).await;
            let now = server.clock.now().as_secs();
            for tokens in signed.iter().filter(|t| now < claims(&t.access)["exp"].as_u64().unwrap()) {
                let is_published = published["keys"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|key| key["kid"].as_str() == Some(&kid(&tokens.access)));
                assert!(is_published, "minute {minute}");
            }
        }
        advance(&servers, MINUTE);
    }
    assert_eq!(kids.len(), 3, "it was rotated twice");
}

/// Shows: UP-10.
#[tokio::test]
async fn while_the_one_asks_the_upstream_the_other_does_not() {
    let servers = apart().await;
    let [slow, fast] = &servers;
    let client = Client::public(slow).await;
    let refresh = client.login(slow).await.refresh;
    advance(&servers, MINUTE);
    let introspections = || slow.upstream.requests().of("/v2/oauth/token/introspect");
    let before = introspections();
    slow.upstream.switches().introspection.set(|introspection| introspection.delay_ms = 1_000);
    let asks = client.refresh(slow, &refresh);
    let meanwhile = async {
        while introspections() == before {
            sleep(Duration::from_millis(5)).await;
        }
        let served = client.refresh(fast, &refresh).await;
        (served, introspections())
    };
    let (asked, (served, asked_by_then)) =
        timeout(PATIENCE, async { tokio::join!(asks, meanwhile) }).await.unwrap();
    assert_eq!(asked_by_then - before, 1);
    assert_eq!((asked.status().as_u16(), served.status().as_u16()), (200, 200));
}

fn kid(token: &str) -> String {
    let header = pangea_mcp_auth::secret::decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}
