//! Whole logins over Vault, and what they leave there.

use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::Vault;
use crate::{
    operator::log::canaries::{Canaries, everything},
    stage::VAULT_TOKEN,
    support::{
        Client, Options, RS_SECRET, Server, Tokens, http,
        process::{Daemon, Home},
    },
};

const REPOSITORY: &str = r#"kind = "vault"
token = { env = "VAULT_TOKEN" }
api_url = "{upstream}"
folder = "/mcp"
cache = "0s""#;

async fn server() -> Server {
    Server::with(Options { storage: Some(REPOSITORY), ..Options::default() }).await
}

/// Everything that the server's Vault holds, as text.
async fn dump(server: &Server) -> String {
    Vault::of(server).secrets().await.iter().map(Value::to_string).collect()
}

#[tokio::test]
async fn a_login_works_over_vault_and_a_code_is_good_once() {
    let server = server().await;
    let client = Client::confidential(&server).await;
    let code = client.code(&server).await;
    let tokens = Tokens::of(client.redeem(&server, &code).await).await;
    assert_eq!(server.introspect(&tokens.access).await["active"], true);
    let refreshed = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
    assert_ne!(refreshed.refresh, tokens.refresh);
    assert_eq!(client.redeem(&server, &code).await.status(), 400, "a code is good once");
    assert_eq!(server.introspect(&refreshed.access).await["active"], false, "and a replay ends its grant");
}

#[tokio::test]
async fn a_revoked_token_stays_revoked() {
    let server = server().await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    let pairs = [("token", &*tokens.refresh), ("client_id", &*client.id)];
    assert_eq!(server.form("/revoke", &pairs).send().await.unwrap().status(), 200);
    assert_eq!(server.introspect(&tokens.access).await["active"], false);
    assert_eq!(client.refresh(&server, &tokens.refresh).await.status(), 400);
}

#[tokio::test]
async fn a_dump_of_vault_holds_no_secret() {
    let server = server().await;
    let mut canaries: Canaries = everything(&server.url, &server.resource, ("rs-1", RS_SECRET)).await;
    canaries.add("pangea secret", "pck_test");
    let client = Client::confidential(&server).await;
    canaries.add("client secret", client.secret.as_ref().unwrap());
    let code = client.code(&server).await;
    canaries.add("code", &code);
    let tokens = Tokens::of(client.redeem(&server, &code).await).await;
    canaries.add("access token", &tokens.access);
    canaries.add("refresh token", &tokens.refresh);
    let dump = dump(&server).await;
    assert!(dump.contains(&client.id) && dump.contains("mcp.grant.") && dump.contains("mcp.key."), "{dump}");
    canaries.assert_absent(dump.as_bytes(), "Vault");
}

/// Vault takes 10,240 bytes.
#[tokio::test]
async fn the_largest_registration_fits_into_vault() {
    let server = server().await;
    let long = |number: usize| format!("https://app.example/{number}/{}", "a".repeat(1_990));
    let mut metadata = json!({ "redirect_uris": (0..4).map(long).collect::<Vec<_>>() });
    let rest = 8 * 1024 - metadata.to_string().len() - r#","client_name":"""#.len();
    metadata["client_name"] = json!("n".repeat(rest));
    assert_eq!(metadata.to_string().len(), 8 * 1024);
    assert_eq!(server.json("/register", &metadata).send().await.unwrap().status(), 201);
}

#[tokio::test]
async fn the_server_is_ready_as_long_as_vault_answers() {
    let server = server().await;
    assert_eq!(http().get(format!("{}/readyz", server.url)).send().await.unwrap().status(), 200);
}

/// As `docs/repositories/vault.md` has it.
#[tokio::test(flavor = "multi_thread")]
async fn development_stores_in_vault_if_the_configuration_says_so() {
    let (vault, home) = (Vault::start().await, Home::new());
    home.write("vault-token", VAULT_TOKEN);
    let place = "[repository]\nkind = \"vault\"\ntoken = { file = \"vault-token\" }\nfolder = \"/trial\"\n";
    home.write("trial.toml", &format!("{place}api_url = \"{}\"\n", vault.url()));
    let free_ports = ["--listen", "127.0.0.1:0", "--dev-listen", "127.0.0.1:0"];
    let mut daemon =
        Daemon::start(home.command(&["serve", "--dev", "--config", "trial.toml"]).args(free_ports));
    let outcome = block_in_place(|| {
        daemon.out.wait_for("Stop with Ctrl-C.");
        daemon.stop()
    });
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let key = |item: &Value| item["folder"] == "/trial/key/";
    assert!(vault.secrets().await.iter().any(key), "the signing key is in Vault");
}
