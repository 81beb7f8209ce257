//! Documents of hosts that mean harm, and documents as a means to reach what only this server can reach.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use pangea_mcp_auth::oauth::params::Params;
use serde_json::json;
use tokio::{io::AsyncReadExt, net::TcpListener};

use super::{CLIENT, asked_by, is_refusal, server_for};
use crate::support::{Browser, Client, Deed, DocumentServer, Options, Server, at_once};

/// The page without what differs between any two: its reference and the client's URL.
fn words(page: &crate::support::Page, client: &Client) -> String {
    let host = url::Url::parse(&client.id).unwrap().host_str().unwrap().to_owned();
    let html = page.html.replace(page.header("x-request-id"), "").replace(&client.id, "");
    html.replace(&host, "")
}

/// Shows: CIMD-4, LOG-4.
#[tokio::test]
async fn no_request_leads_to_this_machine_and_callers_learn_nothing_about_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let documents = DocumentServer::start();
    documents.does("/silent", Deed::HangUp);
    documents.answers("/status", 500, &[], "");
    let (closed, open) = (Server::start().await, server_for(&documents, "").await);
    let at = |url: String| Client { id: url, ..documents.named(CLIENT) };
    let mut pages = Vec::new();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "0.0.0.0"] {
        let client = at(format!("https://{host}:{port}/client"));
        pages.push((asked_by(&client, &closed).await, client));
    }
    let unused = at("https://127.0.0.1:1/client".to_owned());
    let unknown = at("https://client.invalid/client".to_owned());
    for client in [unused, unknown, documents.named("/silent"), documents.named("/status")] {
        pages.push((asked_by(&client, &open).await, client));
    }
    let expected = words(&pages[0].0, &pages[0].1);
    for (page, client) in &pages {
        assert!(is_refusal(page), "{}: {} {}", client.id, page.status, page.html);
        assert_eq!(words(page, client), expected, "{}", client.id);
    }
    let accepted = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(accepted.is_err(), "it was connected to");
}

/// Shows: CIMD-4.
#[tokio::test]
async fn a_private_network_is_reached_only_if_the_operator_names_it() {
    let documents = DocumentServer::start();
    let ca_file = documents.section("").lines().nth(2).unwrap().to_owned();
    for (networks, status) in
        [("127.0.0.2", 400), ("10.0.0.0/8", 400), ("127.0.0.0/30", 200), ("127.0.0.1", 200)]
    {
        let sections = format!("[client_documents]\nprivate_networks = [\"{networks}\"]\n{ca_file}\n").leak();
        let server = Server::with(Options { sections, ..Options::default() }).await;
        let page = asked_by(&documents.client(CLIENT, &json!({})), &server).await;
        assert_eq!(page.status, status, "{networks}");
    }
}

/// Shows: TLS-2.
#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_accepted() {
    let (documents, others) = (DocumentServer::start(), DocumentServer::start());
    let server = server_for(&others, "").await;
    assert!(is_refusal(&asked_by(&documents.client(CLIENT, &json!({})), &server).await));
    assert_eq!(documents.requests(), 0);
}

/// Shows: CIMD-5.
#[tokio::test]
async fn a_slow_host_costs_five_seconds_and_an_endless_one_little() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    documents.does("/silent", Deed::Silence);
    documents.does("/trickle", Deed::Trickle);
    documents.does("/flood", Deed::Flood);
    let begun = Instant::now();
    let paths = ["/silent", "/trickle", "/flood"];
    let clients = paths.map(|path| documents.named(path));
    let pages = at_once(clients.iter().map(|client| asked_by(client, &server))).await;
    assert!(pages.iter().all(is_refusal));
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let taken = documents.flooded();
    // What fits into buffers between the two.
    assert!(taken < 16 * 1024 * 1024, "{taken}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(documents.flooded(), taken, "the flood goes on");
}

/// Shows: CIMD-5.
#[tokio::test]
async fn a_document_is_small_and_not_compressed() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let large = |length: usize| {
        let mut document = documents.document(CLIENT).to_string().into_bytes();
        document.resize(length, b' ');
        document
    };
    for (length, accepted) in [(5 * 1024, true), (5 * 1024 + 1, false), (100_000, false)] {
        documents.answers(CLIENT, 200, &["content-type: application/json"], large(length));
        server.advance(Duration::from_hours(25));
        let page = asked_by(&documents.named(CLIENT), &server).await;
        assert_eq!(page.status == 200, accepted, "{length}");
    }
    for coding in ["gzip", "br", "deflate"] {
        let header = format!("content-encoding: {coding}");
        documents.answers(CLIENT, 200, &["content-type: application/json", &header], large(1000));
        server.advance(Duration::from_hours(25));
        assert!(is_refusal(&asked_by(&documents.named(CLIENT), &server).await), "{coding}");
    }
}

/// Shows: CIMD-15.
#[tokio::test]
async fn one_network_causes_few_fetches() {
    let documents = DocumentServer::start();
    let top = "trusted_proxies = [\"127.0.0.1\"]";
    let server = Server::with(Options { top, sections: documents.section(""), ..Options::default() }).await;
    let known = documents.client(CLIENT, &json!({}));
    let asked = async |client: &Client, address: &str| {
        let mut browser = Browser::new().sending("x-forwarded-for", address);
        browser.get(&client.authorize_url(&server, &[])).await
    };
    assert_eq!(asked(&known, "203.0.113.9").await.status, 200);
    let mut refused = 0;
    for number in 0..50 {
        let client = documents.client(&format!("/{number}"), &json!({}));
        let page = asked(&client, "203.0.113.9").await;
        if page.status == 429 {
            assert!(page.header("retry-after").parse::<u64>().is_ok_and(|wait| wait > 0));
            refused += 1;
        }
    }
    assert!(refused >= 15, "{refused}");
    assert_eq!(documents.requests(), 51 - refused);
    // Others pay nothing for that, and a document that is known needs no fetch.
    assert_eq!(asked(&documents.client("/50", &json!({})), "203.0.113.10").await.status, 200);
    assert_eq!(asked(&known, "203.0.113.9").await.status, 200);
}

/// Shows: CIMD-15.
#[tokio::test]
async fn one_host_is_asked_for_few_documents() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    // Programs on this machine have no network whose budget ends.
    let clients: Vec<Client> =
        (0..120).map(|number| documents.client(&format!("/{number}"), &json!({}))).collect();
    let mut pages = Vec::new();
    for client in &clients {
        pages.push(asked_by(client, &server).await.status);
    }
    let served = pages.iter().filter(|status| **status == 200).count();
    assert!((60..110).contains(&served), "{served}");
    assert!(pages.iter().all(|status| [200, 429].contains(&status.as_u16())));
    assert_eq!(documents.requests(), served);
}

/// A server that accepts connections and never speaks, not even TLS.
struct Mute {
    port: u16,
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Mute {
    async fn start() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mute = Self { port, open: Arc::default(), most: Arc::default() };
        let (open, most) = (Arc::clone(&mute.open), Arc::clone(&mute.most));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let open = Arc::clone(&open);
                most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::spawn(async move {
                    while stream.read(&mut [0; 4096]).await.is_ok_and(|length| length > 0) {}
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        mute
    }
}

/// Memory that this process holds, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Shows: CIMD-5, CIMD-15.
#[tokio::test]
async fn a_thousand_clients_of_mute_hosts_cost_few_connections_and_little_time_and_memory() {
    const CLIENTS: usize = 1000;
    let (mute, documents) = (Mute::start().await, DocumentServer::start());
    let server = server_for(&documents, "").await;
    let known = documents.client(CLIENT, &json!({}));
    assert_eq!(asked_by(&known, &server).await.status, 200);
    let asks = async |number: usize| {
        let id = format!("https://127.0.{}.{}:{}/client", number / 250, number % 250 + 3, mute.port);
        let url = Client { id, ..known.clone() }.authorize_url(&server, &[]);
        let query = url.split_once('?').unwrap().1.to_owned();
        let params = Params::parse(query.as_bytes()).unwrap();
        server.server.begin_login(&params, "browser", &|| Ok(())).await.is_err()
    };
    let (before, begun) = (resident(), Instant::now());
    let refused = at_once((0..CLIENTS).map(asks)).await;
    let (spent, grown) = (begun.elapsed(), resident().saturating_sub(before));
    assert!(refused.iter().all(|refused| *refused));
    assert!(spent < Duration::from_secs(20), "{spent:?}");
    assert!(grown < 64 * 1024 * 1024, "{grown} bytes");
    let most = mute.most.load(Ordering::SeqCst);
    assert!((1..=32).contains(&most), "{most} connections at once");
    while mute.open.load(Ordering::SeqCst) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(40), "connections stay open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eprintln!("{CLIENTS} clients: {spent:?}, {grown} bytes, {most} connections");
    assert_eq!(asked_by(&known, &server).await.status, 200, "others are served");
}
