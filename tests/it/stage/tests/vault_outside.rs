//! The simulator of Vault, used by programs for the real one: the official SDK and the original library, both
//! unchanged.

use serde_json::json;

use super::{original::succeeds, *};
use crate::stage::VAULT_TOKEN;

#[tokio::test(flavor = "multi_thread")]
async fn the_official_sdk_does_everything_that_vault_can() {
    let served = serve(|_| {}).await;
    succeeds("vault_sdk.py", &[&served.issuer, VAULT_TOKEN, ""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_sdk_finds_vault_behind_a_path() {
    let served = serve(|_| {}).await;
    succeeds("vault_sdk.py", &[&served.issuer, VAULT_TOKEN, "/{SERVICE_NAME}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_original_library_wrote_can_be_listed() {
    let served = serve(|_| {}).await;
    succeeds("vault_repository.py", &[&served.issuer, VAULT_TOKEN]);

    let secrets = json!({"filter": {"type": "secret"}});
    let listed = served.vault_ok("list", secrets.clone()).await;
    let [item] = &listed["items"].as_array().unwrap()[..] else { panic!("one item is left") };
    assert_eq!(
        (&item["name"], &item["folder"]),
        (&json!("client_to_authn_4f2b"), &json!("/original/tokens/"))
    );
    assert_eq!(item["item_versions"][0].get("secret"), None);
    let read = served.vault_ok("get_bulk", secrets).await;
    let secret = &read["items"][0]["item_versions"][0]["secret"];
    let value: Value = serde_json::from_str(secret.as_str().unwrap()).unwrap();
    assert_eq!(value, json!({"token": "ptu_2", "scopes": []}));
}
