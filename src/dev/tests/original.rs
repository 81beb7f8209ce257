//! The proof from outside: the original Python library and the official SDK, unchanged.

use std::{ffi::OsStr, process::Stdio};

use tokio::task::spawn_blocking;

use super::*;
use crate::dev::SERVICE_TOKEN;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dev_original/sign_in.py");

/// `PYTHON_ORIGINAL` names a Python (3.12 or later) that has `pangea-authn-fastmcp==0.3.2`.
#[tokio::test(flavor = "multi_thread")]
async fn the_original_library_signs_in_through_the_stand_in() {
    let python = std::env::var_os("PYTHON_ORIGINAL")
        .expect("PYTHON_ORIGINAL: use tests/run, or run tests/setup and source tests/.cache/env");
    for access_token in ["opaque", "jwt"] {
        let mcp_port = free_port().await;
        let served = serve(|config| {
            config.redirect_uris = vec![format!("http://127.0.0.1:{mcp_port}/pangea/callback")];
        })
        .await;
        served.stand_in.switches().token.apply(&serde_json::json!({"access_token": access_token})).unwrap();
        let arguments = [&served.issuer, CLIENT_ID, CLIENT_SECRET, SERVICE_TOKEN, &mcp_port.to_string()]
            .map(str::to_owned);
        let python = python.clone();
        spawn_blocking(move || run(&python, &arguments)).await.unwrap();
        assert_eq!(served.stand_in.requests().of("/v2/oauth/token"), 1);
    }
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

fn run(python: &OsStr, arguments: &[String]) {
    let output = std::process::Command::new(python)
        .arg(SCRIPT)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("PYTHON_ORIGINAL ({}) does not start: {error}", python.display()));
    assert!(
        output.status.success(),
        "{SCRIPT} failed under PYTHON_ORIGINAL:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
