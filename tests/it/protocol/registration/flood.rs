//! Strangers register without end: what is stored stays below a ceiling, and clients in use stay.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pangea_mcp_auth::{
    clock::Clock,
    flow::administration::{Administration, NewClient, Purpose},
    oauth::{imported, redirect::PrivateUseSchemes},
    repository::{Collection, Kind, MemoryRepository, Repository, RoutedRepository, SqliteRepository},
    secret::SystemRandom,
};
use serde_json::{Value, json};

use super::with;
use crate::support::{Browser, Client, Options, Server, Tokens, at_once, body};

const HOUR: Duration = Duration::from_hours(1);

/// A registration that is as large as any may be.
fn large(number: usize) -> Value {
    let uris: Vec<String> =
        (0..4).map(|n| format!("https://app.example/{number}/{n}/{}", "a".repeat(1900))).collect();
    with("redirect_uris", json!(uris))
}

async fn register(server: &Server, metadata: &Value) -> String {
    let response = server.json("/register", metadata).send().await.unwrap();
    assert_eq!(response.status(), 201);
    body(response).await["client_id"].as_str().unwrap().to_owned()
}

async fn is_known(server: &Server, client_id: &str, redirect_uri: &str) -> bool {
    let client = Client { id: client_id.to_owned(), secret: None, redirect_uri: redirect_uri.to_owned() };
    Browser::new().get(&client.authorize_url(server, &[])).await.status == 200
}

/// The bytes of the database with its companions.
fn disk(server: &Server) -> u64 {
    let files = std::fs::read_dir(server.folder.path()).unwrap().map(|file| file.unwrap());
    let ours = files.filter(|file| file.file_name().to_string_lossy().starts_with("test.sqlite"));
    ours.map(|file| file.metadata().unwrap().len()).sum()
}

/// Clients of every kind that must survive.
struct Settled {
    used: Client,
    tokens: Tokens,
    by_operator: String,
    imported: String,
}

const REDIRECT_URI: &str = "http://127.0.0.1:4711/callback";

impl Settled {
    async fn on(server: &Server, repository: &Arc<dyn Repository>) -> Self {
        let used = Client::public(server).await;
        let tokens = used.login(server).await;
        let administration = Administration::new(repository, None, server.clock.clone());
        let new = NewClient {
            name: Some("By hand".to_owned()),
            purpose: Purpose::SignIn { redirect_uris: vec![REDIRECT_URI.to_owned()], credential: None },
        };
        let added = administration.add_client(new, &PrivateUseSchemes::Any, &SystemRandom).await.unwrap();
        let text = json!({ "client_id": "imported-1", "redirect_uris": [REDIRECT_URI] }).to_string();
        let now = server.clock.now();
        let imported = imported::client("imported-1", &text, now.plus(imported::KEPT)).unwrap();
        Collection::new(Arc::clone(repository)).insert(imported, now).await.unwrap().unwrap();
        Self {
            used,
            tokens,
            by_operator: added.client.client_id.to_string(),
            imported: "imported-1".to_owned(),
        }
    }

    async fn assert_there(&mut self, server: &Server) {
        self.tokens = Tokens::of(self.used.refresh(server, &self.tokens.refresh).await).await;
        for id in [&self.used.id, &self.by_operator, &self.imported] {
            assert!(is_known(server, id, REDIRECT_URI).await, "{id}");
        }
    }
}

/// Shows: DCR-16, LIM-2.
#[tokio::test]
async fn a_day_of_floods_stays_below_the_ceiling_and_evicts_no_client_in_use() {
    let sections = "[registration]\nmax_unused = 150\nmax_unused_bytes = 800000\n";
    let server = Server::with(Options { sections, ..Options::default() }).await;
    let file = server.folder.path().join("test.sqlite");
    let repository: Arc<dyn Repository> = Arc::new(SqliteRepository::open(&file).unwrap());
    let mut settled = Settled::on(&server, &repository).await;
    let mut last = String::new();
    for hour in 0..24 {
        for part in 0..5 {
            let flood: Vec<Value> = (0..20).map(|n| large(hour * 100 + part * 20 + n)).collect();
            at_once(flood.iter().map(|metadata| register(&server, metadata))).await;
            last = register(&server, &with("client_name", json!("The last"))).await;
            server.advance(HOUR / 5);
        }
        while server.server.purge().await.unwrap() > 0 {}
        server.server.bound_registrations().await.unwrap();
        // What SQLite writes ahead of the database is about 4 MB.
        assert!(disk(&server) < 8_000_000, "{} bytes after {hour} hours of 20 MB a day", disk(&server));
    }
    settled.assert_there(&server).await;
    assert!(is_known(&server, &last, REDIRECT_URI).await, "the newest is the last to go");
    let database = rusqlite::Connection::open(&file).unwrap();
    let left = database.query_row(
        "SELECT count(*), total(length(value)) FROM record WHERE kind = 1 AND parent IS NOT NULL",
        [],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, f64>(1)?)),
    );
    let (count, bytes) = left.unwrap();
    assert!((50..=150).contains(&count) && (600_000.0..=800_000.0).contains(&bytes), "{count}, {bytes}");
}

/// Shows: DCR-16.
#[tokio::test]
async fn the_oldest_unused_registration_is_evicted_first_whatever_keeps_it() {
    let memory = || -> Arc<dyn Repository> { Arc::new(MemoryRepository::default()) };
    let routed =
        RoutedRepository::new(memory(), BTreeMap::from([(Kind::Client, memory()), (Kind::Key, memory())]));
    for repository in [memory(), Arc::new(routed)] {
        let options = Options {
            sections: "[registration]\nmax_unused = 3\n",
            repository: Some(Arc::clone(&repository)),
            ..Options::default()
        };
        let server = Server::with(options).await;
        let mut settled = Settled::on(&server, &repository).await;
        evicts_the_oldest(&server).await;
        settled.assert_there(&server).await;
    }
    let storage =
        "kind = \"vault\"\ntoken = { env = \"VAULT_TOKEN\" }\napi_url = \"{upstream}\"\ncache = \"0s\"";
    let options = Options {
        sections: "[registration]\nmax_unused = 3\n",
        storage: Some(storage),
        ..Options::default()
    };
    evicts_the_oldest(&Server::with(options).await).await;
}

async fn evicts_the_oldest(server: &Server) {
    let metadata = with("client_name", json!("A client"));
    let mut ids = Vec::new();
    // All in one second: the order in which they came counts.
    for _ in 0..7 {
        ids.push(register(server, &metadata).await);
    }
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(is_known(server, id, REDIRECT_URI).await, number >= 4, "{number}");
    }
}

/// Shows: DCR-16.
#[tokio::test]
async fn processes_that_share_a_repository_share_the_ceiling() {
    let sections = "[registration]\nmax_unused = 10\n";
    let server = Server::with(Options { sections, ..Options::default() }).await;
    let twin = server.twin().await;
    let metadata = with("client_name", json!("A client"));
    let mut ids = Vec::new();
    for number in 0..40 {
        ids.push(register(if number % 3 == 0 { &twin } else { &server }, &metadata).await);
        server.advance(Duration::from_secs(2));
    }
    for process in [&server, &twin, &server] {
        process.server.bound_registrations().await.unwrap();
    }
    let mut known = Vec::new();
    for id in &ids {
        known.push(is_known(&server, id, REDIRECT_URI).await);
    }
    let expected: Vec<bool> = (0..40).map(|number| number >= 30).collect();
    assert_eq!(known, expected);
}

/// A restarted process finds what is stored, and applies a lower ceiling to it.
/// Shows: DCR-16.
#[tokio::test]
async fn registrations_of_an_earlier_process_count() {
    let server = Server::start().await;
    let metadata = with("client_name", json!("A client"));
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(register(&server, &metadata).await);
        server.advance(Duration::from_secs(1));
    }
    let options = Options {
        sections: "[registration]\nmax_unused = 2\n",
        folder: Some(Arc::clone(&server.folder)),
        ..Options::default()
    };
    let later = Server::at(options, Arc::clone(&server.clock)).await;
    let newest = register(&later, &metadata).await;
    later.server.bound_registrations().await.unwrap();
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(is_known(&server, id, REDIRECT_URI).await, number == 5, "{number}");
    }
    assert!(is_known(&server, &newest, REDIRECT_URI).await);
}

/// A sign-in and an eviction at the same moment: one of them wins, and a client with a grant is there.
/// Shows: DCR-17.
#[tokio::test]
async fn a_client_that_is_signed_in_with_meanwhile_is_not_evicted() {
    let sections = "[registration]\nmax_unused = 2\n";
    let server = Server::with(Options { sections, ..Options::default() }).await;
    let twin = server.twin().await;
    let metadata = with("client_name", json!("A client"));
    let clients = [Client::public(&twin).await, Client::public(&twin).await];
    // One process signs users in; the other still takes both clients for unused.
    for client in &clients {
        client.login(&server).await;
    }
    for _ in 0..8 {
        register(&twin, &metadata).await;
    }
    for client in &clients {
        assert!(is_known(&server, &client.id, REDIRECT_URI).await);
    }
}
