//! `repository import`: the clients of the Python library, brought into other repositories.

use std::time::Duration;

use pangea_mcp_auth::{
    clock::{Clock, SystemClock},
    repository::{Kind, Page, Repository, SqliteRepository},
};
use serde_json::{Value, json};

use super::{
    Vault,
    original::{SECRET, keep_clients},
};
use crate::{
    operator::check::fits_schema,
    stage::{UniqueNames, VAULT_TOKEN, VaultFault},
    support::{
        Client, Options, PostgresDatabase, Records, Server, Tokens,
        process::{Daemon, Home, Outcome},
    },
};

/// Runs the import with the library's token in a file.
async fn import(home: &Home, vault: &str, more: &[&str]) -> Outcome {
    let always = ["repository", "import", "--from-pangea-authn-fastmcp"];
    let source = ["--token-file", "vault-token", "--api-url", vault];
    run(home, &[&always[..], &source, more].concat()).await
}

/// Vault answers from this process, so nothing may block it.
async fn run(home: &Home, arguments: &[&str]) -> Outcome {
    home.write("vault-token", VAULT_TOKEN);
    let daemon = Daemon::start(&mut home.command(arguments));
    let outcome = tokio::task::spawn_blocking(|| daemon.wait()).await.unwrap();
    for secret in [SECRET, VAULT_TOKEN] {
        assert!(!outcome.out.contains(secret) && !outcome.err.contains(secret), "{outcome:?}");
    }
    outcome
}

fn report(outcome: &Outcome) -> Value {
    let report = serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    fits_schema("repository-import.json", &report);
    report
}

/// What another program, or the library itself, keeps next to the clients.
async fn keep(vault: &Vault, name: &str, secret: &Value) {
    let secret = secret.as_str().map_or_else(|| secret.to_string(), str::to_owned);
    vault
        .call("secret/store", &json!({ "type": "secret", "secret": secret, "name": name, "folder": "/" }))
        .await;
}

fn client_of_the_library(id: &str, more: &Value) -> Value {
    let mut client = json!({
        "client_id": id, "client_secret": SECRET, "redirect_uris": ["http://127.0.0.1:4711/callback"],
        "token_endpoint_auth_method": "client_secret_post", "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"], "client_name": null,
    });
    client.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client
}

/// Imports into the place of a server that runs, whose clients then sign in.
async fn the_librarys_clients_move_to(server: &Server, home: &Home, place: &str) {
    let vault = Vault::of(server);
    let kept = keep_clients(&server.upstream_url, "/original/clients").await;
    keep(
        &vault,
        "sha256-AA/+=",
        &json!({ "token": "mcp_1", "client_id": "x", "scopes": [], "expires_at": 1 }),
    )
    .await;
    keep(&vault, "client_to_authn_x", &json!({ "token": "ptu_1" })).await;
    keep(&vault, "mcp_0f", &json!({ "code": "mcp_0f", "client_id": "x", "scopes": [] })).await;
    keep(&vault, "another's", &json!("hunter2")).await;
    let before = vault.secrets().await;

    let dry = import(home, &server.upstream_url, &["--to", place, "--dry-run", "-o", "json"]).await;
    assert_eq!((dry.code, &report(&dry)["imported"]), (Some(0), &json!(2)), "{dry:?}");
    let unknown = kept[0].refresh(server, "x").await;
    assert_eq!(unknown.status(), 401, "nothing was written");

    for (imported, present) in [(2, 0), (0, 2)] {
        let outcome = import(home, &server.upstream_url, &["--to", place, "-o", "json"]).await;
        let expected = json!({
            "dry_run": false, "imported": imported, "present": present, "not_imported": [],
            "left_behind": { "tokens": 2, "codes": 1, "others": 1 },
        });
        assert_eq!((outcome.code, report(&outcome)), (Some(0), expected), "{outcome:?}");
    }
    assert_eq!(vault.secrets().await, before, "the library's Vault is as it was");

    for client in kept {
        let tokens = client.login(server).await;
        let refreshed = Tokens::of(client.refresh(server, &tokens.refresh).await).await;
        assert_eq!(server.introspect(&refreshed.access).await["client_id"], *client.id);
        if client.secret.is_some() {
            let stranger = Client { secret: Some("wrong".to_owned()), ..client };
            assert_eq!(stranger.refresh(server, &refreshed.refresh).await.status(), 401);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_librarys_clients_move_to_sqlite_and_sign_people_in() {
    let (server, home) = (Server::start().await, Home::new());
    let place = format!("sqlite:{}", server.folder.path().join("test.sqlite").display());
    the_librarys_clients_move_to(&server, &home, &place).await;
    assert!(!server.database_text().contains(SECRET), "a hash alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_librarys_clients_move_to_postgres_and_sign_people_in() {
    let (engine, home) = (PostgresDatabase::new(), Home::new());
    let repository = engine.repository().await;
    let server = Server::with(Options { repository: Some(repository), ..Options::default() }).await;
    home.write("postgres.toml", &format!("[repository]\n{}", engine.configuration()));
    the_librarys_clients_move_to(&server, &home, "postgres.toml").await;
    assert!(!String::from_utf8_lossy(&engine.dump()).contains(SECRET), "a hash alone");
}

/// The ids of the clients in a database of this home.
async fn clients(home: &Home, file: &str) -> Vec<String> {
    let repository = SqliteRepository::open(&home.path(file)).unwrap();
    let page = Page { limit: 1_000, ..Page::default() };
    let clients = repository.list(Kind::Client, &page, SystemClock.now()).await.unwrap();
    clients.into_iter().map(|client| client.key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cannot_be_used_is_named_with_the_reason_and_the_others_are_imported() {
    let (vault, home) =
        (Vault::start().await, Home::with_configuration("http://127.0.0.1:1", "http://127.0.0.1:1"));
    for (id, more) in [
        ("good", json!({})),
        ("by-key", json!({ "token_endpoint_auth_method": "private_key_jwt" })),
        ("run-out", json!({ "client_secret_expires_at": 1_000_000_000 })),
        ("nowhere\u{1b}[2J", json!({ "redirect_uris": ["javascript:alert(1)"] })),
    ] {
        keep(&vault, id, &client_of_the_library(id, &more)).await;
    }
    let outcome = import(&home, &vault.url, &["--config", "config.toml", "-o", "json"]).await;
    let report = report(&outcome);
    assert_eq!((outcome.code, &report["imported"]), (Some(4), &json!(1)), "{outcome:?}");
    assert_eq!(clients(&home, "records.sqlite").await, ["good"], "the configured repository");
    let left: Vec<(&str, &str)> = report["not_imported"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| (left["client_id"].as_str().unwrap(), left["reason"].as_str().unwrap()))
        .collect();
    let reason =
        |id: &str| left.iter().find(|(client, _)| *client == id).unwrap_or_else(|| panic!("{left:?}")).1;
    assert!(reason("by-key").contains("token_endpoint_auth_method"), "{left:?}");
    assert_eq!(reason("run-out"), "its secret has expired");
    assert!(reason("nowhere\u{1b}[2J").contains("can be none here"), "{left:?}");
    assert!(
        !outcome.err.contains('\u{1b}') && outcome.err.contains("error: 3 clients not imported"),
        "{}",
        outcome.err
    );

    let words = import(&home, &vault.url, &["--config", "config.toml"]).await;
    assert!(
        words.out.is_empty() && words.err.contains("0 clients imported, 1 already present, 3 not imported"),
        "{words:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_client_that_is_kept_twice_the_newest_counts() {
    let (vault, home) = (Vault::start().await, Home::new());
    vault.switches().habits.set(|habits| habits.unique_names = UniqueNames::Off);
    for name in ["old", "new"] {
        keep(&vault, "twice", &client_of_the_library("twice", &json!({ "client_name": name }))).await;
        vault.clock.advance(Duration::from_secs(1));
    }
    let outcome = import(&home, &vault.url, &["--to", "sqlite:to.sqlite", "-o", "json"]).await;
    assert_eq!((&report(&outcome)["imported"], &report(&outcome)["present"]), (&json!(1), &json!(0)));
    let repository = SqliteRepository::open(&home.path("to.sqlite")).unwrap();
    let held = repository.get(Kind::Client, "twice", SystemClock.now()).await.unwrap().unwrap();
    assert!(held.record.value.contains("\"client_name\":\"new\""), "{}", held.record.value);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_killed_goes_on_when_it_is_run_again() {
    let (vault, home) = (Vault::start().await, Home::new());
    for number in 0..45 {
        let id = format!("client-{number}");
        keep(&vault, &id, &client_of_the_library(&id, &json!({}))).await;
    }
    home.write("vault-token", VAULT_TOKEN);
    // Vault gives forty at a time.
    vault.switches().get_bulk.set(|call| call.delay_ms = 4_000);
    let arguments = ["repository", "import", "--from-pangea-authn-fastmcp", "--token-file", "vault-token"];
    let to = ["--api-url", &vault.url, "--to", "sqlite:to.sqlite"];
    let running = Daemon::start(&mut home.command(&[&arguments[..], &to].concat()));
    while !home.path("to.sqlite").exists() || clients(&home, "to.sqlite").await.len() < 40 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.kill();
    vault.switches().get_bulk.reset();
    let again = import(&home, &vault.url, &["--to", "sqlite:to.sqlite", "-o", "json"]).await;
    assert_eq!(
        (&report(&again)["imported"], &report(&again)["present"]),
        (&json!(5), &json!(40)),
        "{again:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_and_the_place_of_the_token_can_be_said() {
    let (server, home) = (Server::start().await, Home::new());
    let inside = keep_clients(&server.upstream_url, "/o").await;
    keep_clients(&server.upstream_url, "").await;
    for (folder, count) in [("/o", 2), ("o/", 2), ("/", 2), ("/nothing", 0)] {
        let to = format!("sqlite:{}.sqlite", folder.replace('/', "_"));
        let outcome =
            import(&home, &server.upstream_url, &["--folder", folder, "--to", &to, "-o", "json"]).await;
        assert_eq!(report(&outcome)["imported"], count, "{folder}: {outcome:?}");
        assert_eq!(outcome.code, Some(if count == 0 { 3 } else { 0 }), "{folder}: {outcome:?}");
    }
    assert_eq!(clients(&home, "_o.sqlite").await.len(), inside.len());

    let arguments =
        ["repository", "import", "--from-pangea-authn-fastmcp", "--api-url", &server.upstream_url];
    let mut command = home.command(&[&arguments[..], &["--to", "sqlite:variable.sqlite"]].concat());
    let daemon = Daemon::start(command.env("PANGEA_VAULT_TOKEN", VAULT_TOKEN));
    let outcome = tokio::task::spawn_blocking(|| daemon.wait()).await.unwrap();
    assert_eq!((outcome.code, clients(&home, "variable.sqlite").await.len()), (Some(0), 4), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_an_import_from_its_work_is_said_with_its_code() {
    let (vault, home) = (Vault::start().await, Home::new());
    let to = ["--to", "sqlite:to.sqlite"];
    let none = run(&home, &[&["repository", "import"][..], &to].concat()).await;
    assert_eq!(none.code, Some(2), "{none:?}");
    let source = ["repository", "import", "--from-pangea-authn-fastmcp"];
    let no_token = run(&home, &[&source[..], &to].concat()).await;
    assert_eq!(no_token.code, Some(78), "{no_token:?}");
    assert!(
        no_token.err.contains("PANGEA_VAULT_TOKEN") && no_token.err.contains("--token-file"),
        "{no_token:?}"
    );
    let in_clear = import(&home, "http://vault.example.org", &to).await;
    assert_eq!(in_clear.code, Some(2), "{in_clear:?}");
    let address = import(&home, &vault.url, &["--to", "postgres://app:canary@db/x"]).await;
    assert!(address.code == Some(2) && !address.err.contains("canary"), "{address:?}");
    let unreachable = import(&home, "http://127.0.0.1:9", &to).await;
    assert_eq!(unreachable.code, Some(69), "{unreachable:?}");
    vault.switches().list.set(|call| call.fault = VaultFault::Unauthorized);
    let refused = import(&home, &vault.url, &to).await;
    assert_eq!(refused.code, Some(69), "{refused:?}");
    assert!(refused.err.contains("Vault refuses the token"), "{refused:?}");
    home.set_mode("vault-token", 0o644);
    let arguments = [&source[..], &["--token-file", "vault-token"], &to].concat();
    let open_file = Daemon::start(&mut home.command(&arguments)).wait();
    assert_eq!(open_file.code, Some(78), "{open_file:?}");
    assert!(open_file.err.contains("can be read by others"), "{open_file:?}");
}
