//! The stand-in for Vault, used by programs for the real one: the official SDK and the original library,
//! both unchanged.

use std::process::{Command, Stdio};

use pangea_mcp_auth::dev::VAULT_TOKEN;
use serde_json::{Value, json};

use crate::support::{Daemon, Finished, body, http, pangea, tool};

/// Runs a program against a stand-in, to a good end.
fn succeeds(program: &str, arguments: &[&str]) {
    let mut command = Command::new(tool("PANGEA_TEST_PYTHON_ORIGINAL"));
    command.arg(format!("{}/tests/dev_original/{program}", env!("CARGO_MANIFEST_DIR")));
    let finished = Finished::of(command.args(arguments).stdin(Stdio::null()));
    assert_eq!(finished.code, Some(0), "{}\n{}", finished.said, finished.complained);
}

async fn stand_in() -> String {
    pangea(("psa_vault", "pck_vault"), "http://127.0.0.1:1/callback".to_owned()).await
}

/// The items that a call of Vault gives.
async fn items(stand_in: &str, call: &str) -> Vec<Value> {
    let request = http().post(format!("{stand_in}/v2/{call}")).bearer_auth(VAULT_TOKEN);
    let answer =
        body(request.body(json!({"filter": {"type": "secret"}}).to_string()).send().await.unwrap()).await;
    answer["result"]["items"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_sdk_does_everything_that_vault_can() {
    succeeds("vault_sdk.py", &[&stand_in().await, VAULT_TOKEN, ""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_sdk_finds_vault_behind_a_path() {
    succeeds("vault_sdk.py", &[&stand_in().await, VAULT_TOKEN, "/{SERVICE_NAME}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_original_library_wrote_can_be_listed() {
    let stand_in = stand_in().await;
    succeeds("vault_repository.py", &[&stand_in, VAULT_TOKEN]);

    let [item] = &items(&stand_in, "list").await[..] else { panic!("one item is left") };
    assert_eq!(
        (&item["name"], &item["folder"]),
        (&json!("client_to_authn_4f2b"), &json!("/original/tokens/"))
    );
    assert_eq!(item["item_versions"][0].get("secret"), None);
    let secret = &items(&stand_in, "get_bulk").await[0]["item_versions"][0]["secret"];
    let value: Value = serde_json::from_str(secret.as_str().unwrap()).unwrap();
    assert_eq!(value, json!({"token": "ptu_2", "scopes": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn development_has_a_vault_to_try() {
    let daemon = Daemon::dev();
    let stand_in = daemon.said("stand-in for Pangea");
    succeeds("vault_repository.py", &[stand_in, VAULT_TOKEN]);
    assert_eq!(items(stand_in, "list").await.len(), 1);
}
