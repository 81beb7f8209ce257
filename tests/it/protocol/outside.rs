//! The real binary, and counterparts that were written by others: FastMCP, the official SDK, the official
//! conformance suite.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    Daemon, FastMcp, Finished, RS_SECRET, SEALING_KEY, VERIFIER, body, challenge, claims, free_port, http,
    pangea, python, query, tool,
};

pub(super) const GRACE: &str = "grace@example.com";

/// `serve` with a configuration file, as against a real Pangea project, and what stands for that project.
pub(super) struct Configured {
    /// The issuer, which has a path.
    pub(super) issuer: String,
    /// Where the one MCP server must listen.
    pub(super) mcp_port: u16,
    pub(super) daemon: Daemon,
}

impl Configured {
    pub(super) async fn start() -> Self {
        Self::offering(r#"["user", "admin"]"#).await
    }

    /// With these scopes of the MCP server.
    async fn offering(scopes: &str) -> Self {
        let (port, mcp_port) = (free_port(), free_port());
        let issuer = format!("http://127.0.0.1:{port}/tenant1");
        let upstream = pangea(("psa_outside", "pck_outside"), format!("{issuer}/pangea/callback")).await;
        let configuration = format!(
            r#"
public_url = "{issuer}"
listen = "127.0.0.1:{port}"

[authn]
issuer_url = "{upstream}"
client_id = "psa_outside"
client_secret = {{ file = "client-secret" }}
scopes = ["user"]

[[resources]]
url = "http://127.0.0.1:{mcp_port}/mcp"
scopes = {scopes}
introspection = {{ client_id = "rs-1", client_secret = {{ file = "rs-1-secret" }} }}

[keys]
sealing = {{ file = "sealing-key" }}
"#
        );
        let secrets =
            [("client-secret", "pck_outside"), ("rs-1-secret", RS_SECRET), ("sealing-key", SEALING_KEY)];
        Self { issuer, mcp_port, daemon: Daemon::configured(&configuration, &secrets) }
    }
}

/// The issuer that `serve --dev` has.
fn issuer(daemon: &Daemon) -> &str {
    daemon.said("authorization server")
}

/// A FastMCP server that verifies tokens in this way.
pub(super) fn fastmcp(
    verifier: &str,
    issuer: &str,
    port: u16,
    credential: (&str, &str),
    more: &[&str],
) -> FastMcp {
    let mut command = python("fastmcp_server.py");
    command.args([verifier, issuer, &port.to_string()]).args(more);
    command.env("INTROSPECTION_CLIENT_ID", credential.0).env("INTROSPECTION_CLIENT_SECRET", credential.1);
    FastMcp::start(&mut command)
}

/// Shows: META-6, META-10, AUTHZ-7, AUTHZ-16, CONSENT-11, DCR-1, DCR-8.
#[test]
fn fastmcps_client_and_server_work_together_with_jwts() {
    fastmcp_works("jwt");
}

/// Shows: META-6, META-10, AUTHZ-7, AUTHZ-16, CONSENT-11, DCR-1, DCR-8, INTRO-3.
#[test]
fn fastmcps_client_and_server_work_together_with_introspection() {
    fastmcp_works("introspection");
}

fn fastmcp_works(verifier: &str) {
    let daemon = Daemon::dev();
    let issuer = issuer(&daemon);
    let credential = daemon.said("client_id=").split_once(" client_secret=").unwrap();
    let server = fastmcp(verifier, issuer, 0, credential, &[]);
    let store = tempfile::tempdir().unwrap();
    let stored = store.path().to_str().unwrap();
    let client =
        |arguments: &[&str]| Finished::of(python("fastmcp_client.py").arg(&server.url).args(arguments));

    let first = client(&["--email", GRACE, "--refresh", "--store", stored]).report(0);
    assert_eq!(first["answers"][0]["iss"], issuer);
    assert_eq!(first["calls"].as_array().unwrap().len(), 2);
    for call in first["calls"].as_array().unwrap() {
        assert_eq!(call["claims"]["iss"], issuer);
        assert_eq!(call["claims"]["aud"], server.url);
        assert_eq!(call["client_id"], first["client_id"]);
        assert!(call["sub"].as_str().unwrap().starts_with("pui_"), "{call}");
        assert_eq!(call["claims"]["username"] == GRACE, verifier == "introspection", "{call}");
    }
    assert_eq!([&first["access_token_replaced"], &first["refresh_token_replaced"]], [true, true]);

    let started_again = client(&["--store", stored]).report(0);
    assert_eq!(started_again["answers"], json!([]), "needs no second sign-in");
    assert_eq!(started_again["calls"][0]["sub"], first["calls"][0]["sub"]);

    let from_another_port = client(&["--email", GRACE, "--store", stored, "--sign-in-again"]).report(0);
    assert_eq!(from_another_port["client_id"], first["client_id"]);
    assert_ne!(from_another_port["redirect_uris"], first["redirect_uris"]);

    let denied = client(&["--decision", "deny"]).report(3);
    assert_eq!(denied["answers"][0]["error"], "access_denied");
    assert_eq!(denied["answers"][0]["iss"], issuer);
    assert_eq!(denied["calls"], json!([]));
}

/// Shows: META-2, META-6, AUTHZ-23, CONSENT-11.
#[tokio::test(flavor = "multi_thread")]
async fn the_official_sdks_client_works_with_an_issuer_with_a_path_and_jwts() {
    sdk_works("jwt").await;
}

/// Shows: META-2, META-6, AUTHZ-23, CONSENT-11, INTRO-3.
#[tokio::test(flavor = "multi_thread")]
async fn the_official_sdks_client_works_with_an_issuer_with_a_path_and_introspection() {
    sdk_works("introspection").await;
}

async fn sdk_works(verifier: &str) {
    let configured = Configured::start().await;
    let issuer = configured.issuer.as_str();
    let more = ["--privileged", "admin"];
    let server = fastmcp(verifier, issuer, configured.mcp_port, ("rs-1", RS_SECRET), &more);
    let client = |arguments: &[&str]| Finished::of(python("sdk_client.py").arg(&server.url).args(arguments));

    let report = client(&["--email", GRACE, "--refresh", "--step-up"]).report(0);
    assert_eq!(report["answers"].as_array().unwrap().len(), 2);
    assert_eq!(report["answers"][1]["iss"], issuer);
    assert_eq!([&report["access_token_replaced"], &report["refresh_token_replaced"]], [true, true]);
    let calls = report["calls"].as_array().unwrap();
    let scopes: Vec<&Value> = calls.iter().map(|call| &call["scopes"]).collect();
    assert_eq!(scopes, [&json!(["user"]), &json!(["user"]), &json!(["user", "admin"])]);

    let denied = client(&["--decision", "deny"]).report(3);
    assert_eq!(denied["answers"][0]["error"], "access_denied");
}

/// Shows: CAUTH-1, CAUTH-11, CC-2, CC-4.
#[tokio::test(flavor = "multi_thread")]
async fn the_official_sdks_machine_clients_work_with_secrets_and_keys() {
    let configured = Configured::start().await;
    let issuer = configured.issuer.as_str();
    let server = fastmcp("jwt", issuer, configured.mcp_port, ("rs-1", RS_SECRET), &[]);
    let add =
        ["clients", "add", "--grant", "client-credentials", "--resource", &server.url, "--scope", "user"];
    let run = |id: &str, method: &str, secret: &str, more: &[&str]| {
        let mut client = python("sdk_machine.py");
        client.args(["run", &server.url, issuer, id, method]).args(more).env("CLIENT_SECRET", secret);
        Finished::of(&mut client).report(0)
    };
    let text = |added: &Value, name: &str| added[name].as_str().unwrap_or_default().to_owned();
    let mut reports = Vec::new();
    let added = configured.daemon.command(&add);
    for method in ["client_secret_basic", "client_secret_post"] {
        reports.push(run(&text(&added, "client_id"), method, &text(&added, "client_secret"), &[]));
    }
    for algorithm in ["ES256", "EdDSA", "PS256", "RS256"] {
        let folder = tempfile::tempdir().unwrap();
        let keys = Finished::of(python("sdk_machine.py").arg("keys").arg(folder.path()).arg(algorithm));
        assert_eq!(keys.code, Some(0), "{keys:?}");
        let [jwks, key] =
            ["jwks.json", "private.pem"].map(|file| folder.path().join(file).display().to_string());
        let added = configured.daemon.command(&[&add[..], &["--jwks", &jwks]].concat());
        let more = ["--key", &*key, "--algorithm", algorithm, "--scope", "user"];
        reports.push(run(&text(&added, "client_id"), "private_key_jwt", "", &more));
    }
    for report in reports {
        assert_eq!(report["access_token_replaced"], true, "{report}");
        for call in report["calls"].as_array().unwrap() {
            assert_eq!([&call["sub"], &call["client_id"]], [&report["client_id"]; 2], "{call}");
            assert_eq!(call["scopes"], json!(["user"]));
        }
    }
}

/// What public reports found in other servers: clients ask for OpenID Connect's scopes where none is offered,
/// and name the resource as its user typed it, with a query.
const TYPED: &str = "?utm_source=plugin";
const HABIT: &str = "openid email profile";

/// An MCP server without scopes, the documented default, and its authorization server.
async fn bare() -> (Configured, FastMcp) {
    let configured = Configured::offering("[]").await;
    let (issuer, port) = (configured.issuer.as_str(), configured.mcp_port);
    let server = fastmcp("jwt", issuer, port, ("rs-1", "rs-1-secret"), &["--scope", ""]);
    (configured, server)
}

/// Shows: AUTHZ-18, AUTHZ-20, DCR-9.
#[tokio::test(flavor = "multi_thread")]
async fn mcp_remote_signs_in_whatever_it_asks_for() {
    let (configured, server) = bare().await;
    for (package, asked) in [("mcp-remote", ""), ("mcp-remote-0.1", HABIT)] {
        let proxy = tool("PANGEA_TEST_NODE_MODULES").join(package).join("dist/proxy.js");
        let url = format!("{}{TYPED}", server.url);
        let mut client = python("mcp_remote.py");
        client.arg(tool("PANGEA_TEST_NODE")).arg(proxy).arg(url);
        let report = Finished::of(&mut client).report(0);
        assert_eq!(report["scopes_asked"], json!([asked]), "{package}");
        assert_eq!(report["answers"][0]["iss"], configured.issuer, "{package}");
        assert_eq!(report["calls"][0]["claims"]["aud"], server.url, "{package}");
        assert_eq!(report["calls"][0]["scopes"], json!([]), "{package}");
    }
}

/// It asks for the scopes of OpenID Connect where it knows no other.
/// Shows: CC-2, CC-3.
#[tokio::test(flavor = "multi_thread")]
async fn mcp_remote_works_as_a_machine_client() {
    let (configured, server) = bare().await;
    let add = ["clients", "add", "--grant", "client-credentials", "--resource", &server.url];
    let added = configured.daemon.command(&add);
    let folder = tempfile::tempdir().unwrap();
    let info = folder.path().join("client.json");
    let known = json!({ "client_id": added["client_id"], "client_secret": added["client_secret"] });
    std::fs::write(&info, known.to_string()).unwrap();
    let proxy = tool("PANGEA_TEST_NODE_MODULES").join("mcp-remote").join("dist/proxy.js");
    let mut client = python("mcp_remote.py");
    client.arg(tool("PANGEA_TEST_NODE")).arg(proxy).arg(&server.url).arg("--machine").arg(info);
    let report = Finished::of(&mut client).report(0);
    assert_eq!(report["scopes_asked"], json!([]), "no one signed in");
    let call = &report["calls"][0];
    assert_eq!([&call["sub"], &call["client_id"]], [&added["client_id"]; 2], "{call}");
}

/// Shows: AUTHZ-18, AUTHZ-20, DCR-9.
#[tokio::test(flavor = "multi_thread")]
async fn the_official_sdks_old_and_new_sign_in_whatever_they_ask_for() {
    let (_configured, server) = bare().await;
    let url = format!("{}{TYPED}", server.url);
    let mut client = Command::new(tool("PANGEA_TEST_PYTHON_SDK_1_12"));
    client.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/sdk_client_1.py"));
    let report = Finished::of(client.args([&*url, "--scope", HABIT, "--refresh"])).report(0);
    assert_eq!(report["scopes_asked"], json!([HABIT]));
    assert_eq!(report["calls"][1]["claims"]["aud"], server.url);
    assert_eq!([&report["access_token_replaced"], &report["refresh_token_replaced"]], [true, true]);

    let report = Finished::of(python("sdk_client.py").args([&*url, "--scope", HABIT, "--refresh"])).report(0);
    assert_eq!(report["calls"][1]["claims"]["aud"], server.url);
    assert_eq!([&report["access_token_replaced"], &report["refresh_token_replaced"]], [true, true]);

    let mut client = Command::new(tool("PANGEA_TEST_NODE"));
    client.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/typescript_client.mjs"));
    client.arg(tool("PANGEA_TEST_NODE_MODULES")).arg(tool("PANGEA_TEST_PYTHON")).args([&*url, HABIT]);
    let report = Finished::of(&mut client).report(0);
    assert_eq!(report["asked"]["scope"], HABIT);
    assert_eq!(report["call"]["claims"]["aud"], server.url);
    assert_eq!(report["tokens"]["refreshes"], true);
}

/// Shows: AUTHZ-20.
#[test]
fn in_development_a_fastmcp_server_gets_the_scopes_that_it_demands() {
    let daemon = Daemon::dev();
    let server = fastmcp("jwt", issuer(&daemon), 0, ("", ""), &["--scope", "notes:read notes:write"]);
    let report = Finished::of(python("fastmcp_client.py").args([&*server.url, "--email", GRACE])).report(0);
    assert_eq!(report["calls"][0]["scopes"], json!(["notes:read", "notes:write"]));
}

/// Shows: META-1, META-8, META-9, AUTHZ-6, AUTHZ-15, AUTHZ-16, AUTHZ-19.
#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_passes_for_an_issuer_without_a_path() {
    let daemon = Daemon::dev();
    conforms(issuer(&daemon), "http://localhost:9000/mcp").await;
}

/// Shows: META-2, META-8, META-9, AUTHZ-6, AUTHZ-15, AUTHZ-16, AUTHZ-19.
#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_passes_for_an_issuer_with_a_path() {
    let configured = Configured::start().await;
    conforms(&configured.issuer, &format!("http://127.0.0.1:{}/mcp", configured.mcp_port)).await;
}

/// Runs the suite's scenarios for authorization servers, with and without naming a resource.
async fn conforms(issuer: &str, resource: &str) {
    let client_id = register(issuer).await;
    tool("PANGEA_TEST_NODE");
    tool("PANGEA_TEST_CONFORMANCE");
    for more in [vec![], vec!["--resource", resource]] {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/conformance.sh"));
        command.args([issuer, &client_id, "--port", &free_port().to_string()]).args(&more);
        let suite = Finished::of(&mut command);
        assert_eq!(suite.code, Some(0), "{more:?}: {}\n{}", suite.said, suite.complained);
        // The suite also succeeds when it leaves the code grant out.
        assert!(suite.said.contains("✓ authorization-code-grant: 1 passed, 0 failed"), "{}", suite.said);
    }
}

/// Five windows of one editor share a refresh token; none of them may be signed out.
#[tokio::test(flavor = "multi_thread")]
async fn five_processes_with_one_refresh_token_all_go_on() {
    let daemon = Daemon::dev();
    let issuer = issuer(&daemon);
    let resource = "http://localhost:9000/mcp";
    let client_id = register(issuer).await;
    let challenge = challenge();
    let redirect_uri = "http://127.0.0.1:3000/callback";
    let asked = [
        ("response_type", "code"),
        ("client_id", &client_id),
        ("redirect_uri", redirect_uri),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("resource", resource),
    ];
    let asked = form_urlencoded::Serializer::new(String::new()).extend_pairs(asked).finish();
    let browser = Finished::of(python("browser.py").arg(format!("{issuer}/authorize?{asked}")));
    assert_eq!(browser.code, Some(0), "{}", browser.complained);
    let code = query(browser.said.trim()).remove("code").unwrap();
    let redeemed = [
        ("grant_type", "authorization_code"),
        ("client_id", &client_id),
        ("code", &code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", VERIFIER),
    ];
    let redeemed = form_urlencoded::Serializer::new(String::new()).extend_pairs(redeemed).finish();
    let request = http().post(format!("{issuer}/token")).body(redeemed);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let tokens = body(request.send().await.unwrap()).await;
    assert_eq!(claims(tokens["access_token"].as_str().unwrap())["aud"], resource);

    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let racing = Finished::of(python("racing_refresh.py").args([
        &format!("{issuer}/token"),
        &client_id,
        refresh_token,
        resource,
    ]));
    assert_eq!(racing.code, Some(0), "{}\n{}", racing.said, racing.complained);
    assert_eq!(racing.said.lines().count(), 5, "{}", racing.said);
}

/// A public client that may use any loopback port.
async fn register(issuer: &str) -> String {
    let client = json!({
        "client_name": "Outside",
        "redirect_uris": ["http://127.0.0.1:3000/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    });
    let request = http().post(format!("{issuer}/register")).header("content-type", "application/json");
    let registered = body(request.body(client.to_string()).send().await.unwrap()).await;
    registered["client_id"].as_str().unwrap().to_owned()
}
