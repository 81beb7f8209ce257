//! Each kind of record where the operator wants it, and everything from one place to another while
//! people go on working.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pangea_mcp_auth::{
    clock::{Clock, UnixTime},
    repository::{Kind, Page, Repository, SqliteRepository, VaultRepository, WRITER_LEASE},
};
use serde_json::{Value, json};

use crate::{
    stage::VAULT_TOKEN,
    storage::vault::Vault,
    support::{
        Client, Options, PostgresDatabase, Records, Server, Tokens, at_once,
        process::{Daemon, Home, Outcome},
    },
};

/// Grants in the database, clients in Vault.
const CLIENTS_IN_VAULT: &str = r#"kind = "sqlite"
path = "main.sqlite"
[repository.clients]
kind = "vault"
token = { env = "VAULT_TOKEN" }
api_url = "{upstream}"
folder = "/routed"
cache = "0s""#;

async fn server() -> Server {
    Server::with(Options { storage: Some(CLIENTS_IN_VAULT), ..Options::default() }).await
}

/// The keys of a kind in a repository.
async fn keys(repository: &dyn Repository, kind: Kind, now: UnixTime) -> Vec<String> {
    let page = Page { limit: 1_000, ..Page::default() };
    repository.list(kind, &page, now).await.unwrap().into_iter().map(|record| record.key).collect()
}

async fn counts(repository: &dyn Repository, now: UnixTime) -> [usize; 3] {
    let mut counts = [0; 3];
    for (count, kind) in counts.iter_mut().zip([Kind::Client, Kind::Grant, Kind::Key]) {
        *count = keys(repository, kind, now).await.len();
    }
    counts
}

fn main_of(server: &Server) -> SqliteRepository {
    SqliteRepository::open(&server.folder.path().join("main.sqlite")).unwrap()
}

async fn vault_of(server: &Server) -> VaultRepository {
    let vault = Vault::of(server);
    vault.write_token(VAULT_TOKEN);
    vault.open("/routed", Duration::ZERO).await.unwrap()
}

/// A file for `repository copy` that names the repository of that server.
fn write_routed(home: &Home, server: &Server) {
    let main = server.folder.path().join("main.sqlite");
    let repository = CLIENTS_IN_VAULT
        .replace("main.sqlite", &main.display().to_string())
        .replace("{ env = \"VAULT_TOKEN\" }", "{ file = \"vault-token\" }")
        .replace("{upstream}", &server.upstream_url);
    home.write("routed.toml", &format!("[repository]\n{repository}\n"));
    home.write("vault-token", VAULT_TOKEN);
}

/// Runs a copy while this process goes on answering.
async fn copy(home: &Home, from: &str, to: &str) -> Outcome {
    let arguments = ["repository", "copy", "--from", from, "--to", to, "-o", "json"];
    let daemon = Daemon::start(&mut home.command(&arguments));
    tokio::task::spawn_blocking(|| daemon.wait()).await.unwrap()
}

fn kind<'a>(rows: &'a Value, kind: &str) -> &'a Value {
    rows.as_array().unwrap().iter().find(|row| row["kind"] == kind).unwrap()
}

fn sqlite(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_live_in_vault_and_all_else_in_the_database() {
    let server = server().await;
    let client = Client::confidential(&server).await;
    let tokens = client.login(&server).await;
    let refreshed = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
    assert_eq!(server.introspect(&refreshed.access).await["active"], true);
    let now = server.clock.now();
    let (main, vault) = (main_of(&server), vault_of(&server).await);
    assert_eq!((counts(&main, now).await, counts(&vault, now).await), ([0, 1, 1], [1, 0, 0]));
    assert_eq!(keys(&vault, Kind::Client, now).await, [client.id.as_str()]);
    assert_eq!(server.leases.lock().await.len(), 1, "Vault is single-writer, and only for its part");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_from_routed_places_into_one_and_back() {
    let (mut server, home) = (server().await, Home::new());
    write_routed(&home, &server);
    let client = Client::confidential(&server).await;
    let tokens = client.login(&server).await;

    let one = home.path("one.sqlite");
    let there = copy(&home, "routed.toml", &sqlite(&one)).await;
    assert_eq!(there.code, Some(0), "{there:?}");
    server.repository = Some(Arc::new(SqliteRepository::open(&one).unwrap()));
    let switched = server.twin().await;
    let second = Tokens::of(client.refresh(&switched, &tokens.refresh).await).await;
    let other = Client::public(&switched).await;

    let back = copy(&home, &sqlite(&one), "routed.toml").await;
    assert_eq!(back.code, Some(0), "{back:?}");
    let rows: Value = serde_json::from_str(&back.out).unwrap();
    assert_eq!((&kind(&rows, "grant")["replaced"], &kind(&rows, "client")["added"]), (&json!(1), &json!(1)));
    let now = server.clock.now();
    assert_eq!(counts(&vault_of(&server).await, now).await, [2, 0, 0]);
    assert_eq!(counts(&main_of(&server), now).await, [0, 1, 1]);
    Tokens::of(client.refresh(&server, &second.refresh).await).await;
    other.login(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_write_is_not_copied_out_of_vault() {
    let storage =
        "kind = \"vault\"\ntoken = { env = \"VAULT_TOKEN\" }\napi_url = \"{upstream}\"\nfolder = \"/routed\"";
    let (server, home) =
        (Server::with(Options { storage: Some(storage), ..Options::default() }).await, Home::new());
    Client::public(&server).await.login(&server).await;
    let file = format!("[repository]\n{storage}\n").replace("{upstream}", &server.upstream_url);
    home.write("vault.toml", &file.replace("{ env = \"VAULT_TOKEN\" }", "{ file = \"vault-token\" }"));
    home.write("vault-token", VAULT_TOKEN);
    let to = home.path("to.sqlite");
    for _ in 0..2 {
        let copied = copy(&home, "vault.toml", &sqlite(&to)).await;
        assert_eq!(copied.code, Some(0), "{copied:?}");
        assert!(server.renew_leases().await);
    }
    let copied = keys(&SqliteRepository::open(&to).unwrap(), Kind::Replay, server.clock.now()).await;
    assert!(!copied.is_empty() && copied.iter().all(|key| key != WRITER_LEASE), "{copied:?}");
}

/// A client that refreshes until `stop` is set. Returns its last tokens.
async fn work(server: &Server, stop: &AtomicBool) -> (Client, Tokens) {
    let client = Client::public(server).await;
    let mut tokens = client.login(server).await;
    while !stop.load(Ordering::Relaxed) {
        tokens = Tokens::of(client.refresh(server, &tokens.refresh).await).await;
    }
    (client, tokens)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_serves_while_everything_is_copied_to_postgres_and_tokens_work_after_the_switch() {
    let (mut server, home, engine) = (Server::start().await, Home::new(), PostgresDatabase::new());
    home.write("postgres.toml", &format!("[repository]\n{}", engine.configuration()));
    let old = Client::confidential(&server).await;
    let unused = old.login(&server).await;
    let from = sqlite(&server.folder.path().join("test.sqlite"));
    let stop = AtomicBool::new(false);
    let copies = async {
        // Records change under the copy: whether both sides agree is not settled while they do.
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(copy(&home, &from, "postgres.toml").await);
        }
        stop.store(true, Ordering::Relaxed);
        all
    };
    let (copied, worked) = tokio::join!(copies, at_once((0..4).map(|_| work(&server, &stop))));
    for outcome in copied {
        assert!(matches!(outcome.code, Some(0 | 4)), "{outcome:?}");
    }
    let last = copy(&home, &from, "postgres.toml").await;
    assert_eq!(last.code, Some(0), "what is still is verified: {last:?}");

    server.repository = Some(engine.repository().await);
    let switched = server.twin().await;
    for (client, tokens) in worked.iter().chain([&(old, unused)]) {
        assert_eq!(switched.introspect(&tokens.access).await["active"], true);
        Tokens::of(client.refresh(&switched, &tokens.refresh).await).await;
    }
}
