//! The proof from outside: the original Python library and the official SDK, unchanged.

use std::process::Command;

use pangea_mcp_auth::dev::SERVICE_TOKEN;
use serde_json::json;

use super::*;
use crate::support::{Finished, free_port, tool};

/// Runs a program that was written for Pangea, to a good end.
pub(super) fn succeeds(program: &str, arguments: &[&str]) {
    let mut command = Command::new(tool("PANGEA_TEST_PYTHON_ORIGINAL"));
    command.arg(format!("{}/tests/dev_original/{program}", env!("CARGO_MANIFEST_DIR")));
    let finished = tokio::task::block_in_place(|| Finished::of(command.args(arguments)));
    assert_eq!(finished.code, Some(0), "{}\n{}", finished.said, finished.complained);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_library_signs_in_through_the_stand_in() {
    for access_token in ["opaque", "jwt"] {
        let mcp_port = free_port();
        let served = serve(|config| {
            config.redirect_uris = vec![format!("http://127.0.0.1:{mcp_port}/pangea/callback")];
        })
        .await;
        served.stage.switches().token.apply(&json!({"access_token": access_token})).unwrap();
        let port = mcp_port.to_string();
        succeeds("sign_in.py", &[&served.issuer, CLIENT_ID, CLIENT_SECRET, SERVICE_TOKEN, &port]);
        assert_eq!(served.stage.requests().of("/v2/oauth/token"), 1);
    }
}
