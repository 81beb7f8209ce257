//! Clients that people use, through everything that happens to a connection. `docs/clients.md` has the results.

use std::process::Command;

use serde_json::json;

use super::outside::{Configured, GRACE, fastmcp};
use crate::support::{Finished, RS_SECRET, tool, tree};

/// A client in one version.
struct Program {
    name: &'static str,
    /// The variable that names its Python.
    python: &'static str,
    /// The list of its packages, and the one whose version counts.
    packages: (&'static str, &'static str),
    script: &'static str,
    /// What makes it listen on another port. FastMCP does so each time.
    moved: &'static [&'static str],
    /// Whether it asks for more scope when a call needs it. Otherwise it asks for everything at first.
    steps_up: bool,
}

const MOVED: &[&str] = &["--redirect-uri", "http://127.0.0.1:33419/callback"];

#[tokio::test(flavor = "multi_thread")]
async fn fastmcp_4() {
    let packages = ("fastmcp", "fastmcp");
    let (python, script) = ("PANGEA_TEST_PYTHON", "fastmcp_client.py");
    lives_through_it(Program { name: "FastMCP 4", python, packages, script, moved: &[], steps_up: true })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fastmcp_3_4() {
    let packages = ("fastmcp_3_4", "fastmcp");
    let (python, script) = ("PANGEA_TEST_PYTHON_FASTMCP_3_4", "fastmcp_client.py");
    lives_through_it(Program { name: "FastMCP 3.4", python, packages, script, moved: &[], steps_up: true })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_sdk_2() {
    let packages = ("fastmcp", "mcp");
    let (name, python, script) = ("MCP SDK for Python 2", "PANGEA_TEST_PYTHON", "sdk_client.py");
    lives_through_it(Program { name, python, packages, script, moved: MOVED, steps_up: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_sdk_1_28() {
    let packages = ("sdk_1_28", "mcp");
    let (name, python) = ("MCP SDK for Python 1.28", "PANGEA_TEST_PYTHON_SDK_1_28");
    let script = "sdk_client_1.py";
    lives_through_it(Program { name, python, packages, script, moved: MOVED, steps_up: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_sdk_1_20() {
    let packages = ("sdk_1_20", "mcp");
    let (name, python) = ("MCP SDK for Python 1.20", "PANGEA_TEST_PYTHON_SDK_1_20");
    let script = "sdk_client_1.py";
    lives_through_it(Program { name, python, packages, script, moved: MOVED, steps_up: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_sdk_1_12() {
    let packages = ("sdk_1_12", "mcp");
    let (name, python) = ("MCP SDK for Python 1.12", "PANGEA_TEST_PYTHON_SDK_1_12");
    let script = "sdk_client_1.py";
    lives_through_it(Program { name, python, packages, script, moved: MOVED, steps_up: false }).await;
}

async fn lives_through_it(program: Program) {
    let mut configured = Configured::start().await;
    let credential = ("rs-1", RS_SECRET);
    let server = fastmcp(
        "introspection",
        &configured.issuer,
        configured.mcp_port,
        credential,
        &["--privileged", "admin"],
    );
    let store = tempfile::tempdir().unwrap();
    let client = |arguments: &[&str]| {
        let mut command = Command::new(tool(program.python));
        command.arg(tree::root().join("tests/clients").join(program.script)).arg(&server.url);
        command.arg("--store").arg(store.path()).args(["--email", GRACE]).args(arguments);
        Finished::of(&mut command)
    };

    // Connects, lists tools, calls one that needs to know the user, and refreshes.
    let first = client(&["--refresh"]).report(0);
    assert_eq!(first["answers"].as_array().unwrap().len(), 1);
    assert!(first["tools"].as_array().unwrap().contains(&json!("whoami")), "{first}");
    for call in first["calls"].as_array().unwrap() {
        assert!(call["sub"].as_str().unwrap().starts_with("pui_"), "{call}");
        assert_eq!(call["client_id"], first["client_id"]);
    }
    assert_eq!(first["calls"].as_array().unwrap().len(), 2);
    assert_eq!([&first["access_token_replaced"], &first["refresh_token_replaced"]], [true, true]);

    configured.daemon.restart();
    let later = client(&[]).report(0);
    assert_eq!(later["answers"], json!([]), "no second sign-in");
    assert_eq!(later["calls"][0]["sub"], first["calls"][0]["sub"]);

    let moved = client(&[&["--sign-in-again", "--step-up"], program.moved].concat());
    let moved = moved.report(0);
    assert_eq!(moved["client_id"], first["client_id"]);
    assert_ne!(moved["redirect_uris"][0], first["redirect_uris"][0]);
    let at_first = if program.steps_up { json!(["user"]) } else { json!(["user", "admin"]) };
    assert_eq!(moved["calls"][0]["scopes"], at_first);
    assert_eq!(moved["calls"][1]["scopes"], json!(["user", "admin"]));

    let client_id = first["client_id"].as_str().unwrap();
    configured.daemon.command(&["tokens", "revoke", "--client", client_id, "--yes"]);
    let signed_out = client(program.moved).report(0);
    assert_eq!(signed_out["answers"].as_array().unwrap().len(), 1, "a new sign-in");

    assert_documented(&program);
}

/// The page has this client's row, with what was shown just now.
fn assert_documented(program: &Program) {
    let (file, package) = program.packages;
    let list = std::fs::read_to_string(tree::root().join(format!("tests/clients/{file}.txt"))).unwrap();
    let version = list.lines().find_map(|line| line.strip_prefix(&format!("{package}=="))).unwrap();
    let steps_up = if program.steps_up { "yes" } else { "not needed" };
    let row = format!("| {} | {version} | yes | yes | yes | yes | {steps_up} | yes |", program.name);
    let page = std::fs::read_to_string(tree::root().join("docs/clients.md")).unwrap();
    assert!(page.lines().any(|line| line == row), "docs/clients.md needs: {row}");
}
