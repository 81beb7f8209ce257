//! Clients that the Python library, unchanged, has kept in Vault.

use std::{process::Command, time::Duration};

use pangea_mcp_auth::{config::VaultConfig, secret::Secret};
use serde_json::Value;

use super::Vault;
use crate::{
    stage::VAULT_TOKEN,
    support::{Client, Options, Server, Tokens, tool},
};

const REPOSITORY: &str = r#"kind = "vault"
token = { env = "VAULT_TOKEN" }
api_url = "{upstream}"
cache = "1s""#;
pub(super) const SECRET: &str = "original-secret-canary";

/// Has the library keep two clients, one with a secret and one without.
pub(super) async fn keep_clients(vault: &str, folder: &str) -> Vec<Client> {
    let mut command = Command::new(tool("PANGEA_TEST_PYTHON_ORIGINAL"));
    command.arg(format!("{}/tests/dev_original/keep_client.py", env!("CARGO_MANIFEST_DIR")));
    command.args([vault, VAULT_TOKEN, folder]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let kept = String::from_utf8(output.stdout).unwrap();
    let kept = kept.lines().map(|line| serde_json::from_str(line).unwrap());
    kept.map(|client: Value| Client {
        id: client["client_id"].as_str().unwrap().to_owned(),
        secret: client["client_secret"].as_str().map(str::to_owned),
        redirect_uri: client["redirect_uris"][0].as_str().unwrap().to_owned(),
    })
    .collect()
}

async fn server() -> Server {
    Server::with(Options { storage: Some(REPOSITORY), ..Options::default() }).await
}

fn names(secrets: &[Value]) -> Vec<&str> {
    secrets.iter().filter_map(|secret| secret["name"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_librarys_clients_sign_people_in_without_registering_again() {
    let server = server().await;
    for folder in ["", "/original/clients"] {
        let clients = keep_clients(&server.upstream_url, folder).await;
        assert_eq!(clients.len(), 2);
        for client in clients {
            let tokens = client.login(&server).await;
            let refreshed = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
            assert_eq!(server.introspect(&refreshed.access).await["client_id"], *client.id);
            let stranger = Client { secret: client.secret.as_ref().map(|_| "wrong".to_owned()), ..client };
            if stranger.secret.is_some() {
                assert_eq!(stranger.refresh(&server, &refreshed.refresh).await.status(), 401);
            }
        }
    }
    let secrets = Vault::of(&server).secrets().await;
    let ours: String =
        secrets.iter().filter(|s| s["folder"] == "/pangea-mcp-auth/client/").map(Value::to_string).collect();
    assert!(ours.contains("Kept by the original") && !ours.contains(SECRET), "a hash alone: {ours}");
    // As the library reads it: untouched.
    assert!(secrets.iter().map(Value::to_string).collect::<String>().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_removed_does_not_come_back_from_the_library() {
    let server = server().await;
    let client = keep_clients(&server.upstream_url, "").await.remove(0);
    client.login(&server).await;
    let repository = open(&server).await;
    let now = pangea_mcp_auth::clock::Clock::now(&*server.clock);
    let kind = pangea_mcp_auth::repository::Kind::Client;
    assert!(repository.take(kind, &client.id, now).await.unwrap().is_some());
    assert!(repository.get(kind, &client.id, now).await.unwrap().is_none());
    assert!(!names(&Vault::of(&server).secrets().await).iter().any(|name| name.contains(&client.id)));
}

/// The server's repository as a command opens it.
async fn open(server: &Server) -> std::sync::Arc<dyn pangea_mcp_auth::repository::Repository> {
    let main = pangea_mcp_auth::config::RepositoryConfig::Vault(config(server));
    pangea_mcp_auth::daemon::open_repository(&main.into()).await.unwrap()
}

fn config(server: &Server) -> VaultConfig {
    VaultConfig {
        api_url: server.upstream_url.parse().unwrap(),
        token: Secret::new("vault token", VAULT_TOKEN.to_owned()),
        token_file: None,
        folder: "/pangea-mcp-auth".to_owned(),
        timeout: Duration::from_secs(5),
        cache: Duration::ZERO,
    }
}
